"""How does `polydx serve` bear load: errors, latencies, memory, and what answering requests together gains.

    OMP_NUM_THREADS=1 python benchmarks/serve_load.py [MODEL.zip] [--seconds 60] [--clients 200]

A server process, and this one, which asks it over loopback: first one request at a time, then by many clients that each
wait for their answer and ask again. Without a model, a logistic regression on the simulated cohort is trained. Each
request is one spectrum, as numbers in JSON.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

STUDY = """
study: {dataset: simulated-tumour}
recipes:
  logistic: {kind: classical, model: logistic_regression, preprocessing: {raman: [snv, standardise]}, params: {C: 0.1}}
"""


def trained(folder):
    (folder / "study.yaml").write_text(STUDY)
    command = [sys.executable, "-m", "polydx", "train", "study.yaml", "--recipe", "logistic", "--out", "model.zip"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "model.zip"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def resident_mb(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def wait_until_up(port, process):
    started = time.perf_counter()
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz"):
                return time.perf_counter() - started
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("the server ended at once")


def asked(port):
    """The bytes of one request, made of the model's example."""
    base = f"http://127.0.0.1:{port}/v1/models"
    with urllib.request.urlopen(base) as answer:
        name = json.load(answer)["models"][0]["name"]
    with urllib.request.urlopen(f"{base}/{name}/example") as answer:
        body = answer.read()
    head = f"POST /v1/models/{name}/predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def client(port, request, end, latencies, errors):
    """Ask, wait for the answer, ask again, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < end:
        started = time.perf_counter()
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            errors.append(repr(error))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        if b" 200 " not in head[:20]:
            errors.append(head[:40].decode())
        latencies.append(time.perf_counter() - started)
    writer.close()


async def load(port, pid, request, clients, seconds):
    latencies, errors, memory = [], [], []
    end = time.perf_counter() + seconds

    async def watch():
        while time.perf_counter() < end:
            memory.append(resident_mb(pid))
            await asyncio.sleep(max(0.5, seconds / 60))

    started = time.perf_counter()
    await asyncio.gather(watch(), *(client(port, request, end, latencies, errors) for _ in range(clients)))
    return np.array(latencies), errors, memory, len(latencies) / (time.perf_counter() - started)


def told(name, clients, found):
    latencies, errors, memory, rate = found
    p50, p99 = 1000 * np.percentile(latencies, [50, 99])
    quarter = max(1, len(memory) // 4)
    print(f"{name}: {clients} client(s), {len(latencies)} answers, {len(errors)} errors {errors[:3]}")
    print(f"  {rate:8.0f} answers/s   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   longest {1000 * latencies.max():7.1f} ms")
    print(f"  memory {memory[0]:.0f} MB at first, {np.mean(memory[quarter:2 * quarter]):.0f} MB in the second quarter, "
          f"{np.mean(memory[-quarter:]):.0f} MB in the last, at most {max(memory):.0f} MB")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or trained(Path(folder))
        port = free_port()
        command = [sys.executable, "-m", "polydx", "serve", str(model), "--port", str(port)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        try:
            print(f"up after {wait_until_up(port, server):.2f} s, {resident_mb(server.pid):.0f} MB")
            request = asked(port)
            print(f"a request has {len(request) / 1000:.1f} kB")
            alone = asyncio.run(load(port, server.pid, request, 1, min(10, options.seconds)))
            told("one at a time", 1, alone)
            many = asyncio.run(load(port, server.pid, request, options.clients, options.seconds))
            told("under load", options.clients, many)
            print(f"throughput under load / one at a time: {many[3] / alone[3]:.2f}")
        finally:
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    main()
