"""A bundle over a stream of spectra: memory, throughput, and what one answer costs beside the recipe in Python.

    python benchmarks/bundle_stream.py BUNDLE [SPECTRA] [npy|csv|parquet]

Another process writes so many simulated spectra (float32) on the bundle's axis into one file of a temporary folder.
They are predicted into CSV: seconds, spectra a second and the largest resident memory are printed. Then one spectrum at
a time: CPU milliseconds through the bundle, and through the same recipe rebuilt with torch or numpy, and their ratio.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ONE = 100


def main(bundle: Path, spectra: int, form: str) -> None:
    from polydx.bundle import load
    from polydx.workflows import predict_into

    start = time.process_time()
    predictor = load(bundle)
    print(f"load: {time.process_time() - start:.2f} s of CPU, after the imports")
    axis = next(about["axis"] for about in predictor.modalities.values() if about["kind"] == "spectra")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"stream.{form}"
        writer = multiprocessing.get_context("spawn").Process(target=WRITERS[form], args=(path, spectra, axis))
        writer.start()
        writer.join()
        before = peak()
        start, cpu = time.perf_counter(), time.process_time()
        count, _ = predict_into(bundle, [path], Path(folder) / "answers.csv")
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    told = f"{count} spectra of {len(axis)} points ({form}): {seconds:.0f} s, {cpu:.0f} s of CPU, {count / cpu:.0f}/s"
    print(f"{told}; at most {peak():.0f} MB resident ({before:.0f} before)")
    one_at_a_time(bundle, predictor, axis)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def blocks(spectra: int, axis: np.ndarray) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    block = rng.random((1024, len(axis)), dtype=np.float32).cumsum(axis=1)
    for first in range(0, spectra, 1024):
        yield block[: spectra - first]


def write_npy(path: Path, spectra: int, axis: np.ndarray) -> None:
    np.save(path.with_name("stream_axis.npy"), axis)
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (spectra, len(axis))}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks(spectra, axis):
            file.write(block.tobytes())


def write_csv(path: Path, spectra: int, axis: np.ndarray) -> None:
    with path.open("w") as file:
        file.write(",".join(f"{point:.6f}" for point in axis) + "\n")
        lines = [",".join(f"{value:.5g}" for value in row) + "\n" for row in next(blocks(1024, axis))]
        for first in range(0, spectra, 1024):
            file.writelines(lines[: spectra - first])


def write_parquet(path: Path, spectra: int, axis: np.ndarray) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"{point:.6f}" for point in axis]
    with pq.ParquetWriter(path, pa.schema([(name, pa.float32()) for name in names])) as writer:
        for block in blocks(spectra, axis):
            writer.write_table(pa.table(list(block.T.copy()), names=names))


WRITERS = {"npy": write_npy, "csv": write_csv, "parquet": write_parquet}


def one_at_a_time(bundle: Path, predictor: object, axis: np.ndarray) -> None:
    from polydx.bundle.inputs import gathered
    from polydx.recipes.store import load_model

    name = next(iter(predictor.modalities))
    sample = [{name: (np.sin(axis / 40)[None] + 2, axis)}]
    fast = milliseconds(lambda: predictor.predict(sample))
    model = load_model(bundle)
    study = gathered(model, sample).study(model)
    slow = milliseconds(lambda: model.fitted.predict_proba(study))
    print(f"one spectrum: {fast:.2f} ms of CPU; the recipe in Python {slow:.2f} ms; ratio {fast / slow:.2f}")


def milliseconds(call: object) -> float:
    call()
    start = time.process_time()
    for _ in range(ONE):
        call()
    return 1000 * (time.process_time() - start) / ONE


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    main(Path(sys.argv[1]), count, sys.argv[3] if len(sys.argv) > 3 else "npy")
