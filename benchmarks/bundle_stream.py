"""A bundle over a stream of spectra: memory, throughput, and what one answer costs beside the recipe in Python.

    python benchmarks/bundle_stream.py BUNDLE [SPECTRA]

Writes a NumPy file of so many simulated spectra (float32) on the bundle's axis into a temporary folder, predicts it
into CSV, and prints seconds, spectra a second and the largest resident memory. Then one spectrum at a time: CPU
milliseconds through the bundle, and through the same recipe rebuilt with torch or numpy, and their ratio.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ONE = 100


def main(bundle: Path, spectra: int) -> None:
    from polydx.bundle import load
    from polydx.workflows import predict_into

    start = time.process_time()
    predictor = load(bundle)
    print(f"load: {time.process_time() - start:.2f} s of CPU, after the imports")
    axis = next(about["axis"] for about in predictor.modalities.values() if about["kind"] == "spectra")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stream.npy"
        written(path, spectra, axis)
        start, cpu = time.perf_counter(), time.process_time()
        count, _ = predict_into(bundle, [path], Path(folder) / "answers.csv")
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        print(
            f"{count} spectra: {seconds:.0f} s, {cpu:.0f} s of CPU, {count / cpu:.0f}/s; at most {peak:.0f} MB resident"
        )
    )
    one_at_a_time(bundle, predictor, axis)


def written(path: Path, spectra: int, axis: np.ndarray) -> None:
    np.save(path.with_name("stream_axis.npy"), axis)
    held = np.lib.format.open_memmap(path, "w+", np.float32, (spectra, len(axis)))
    rng = np.random.default_rng(0)
    block = rng.random((1024, len(axis)), dtype=np.float32).cumsum(axis=1)
    for first in range(0, spectra, 1024):
        held[first : first + 1024] = block[: spectra - first]
    held.flush()


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
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
