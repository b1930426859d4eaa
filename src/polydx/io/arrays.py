"""Spectra stored as arrays: NumPy and HDF5 files, and axes kept beside them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.errors import AxisError, ReadError
from polydx.io.files import MOST_BYTES, refusal
from polydx.io.source import Source, handle

AXIS_FILES = ("{stem}_axis.npy", "axis.npy", "wavenumbers.npy")
VALUE_NAMES = ("spectra", "values", "X")
AXIS_NAMES = ("axis", "wavenumbers")


def read_npy(path: Source) -> NDArray[np.float64]:
    """Return the numbers of a `.npy` file as float64; pickled objects are never loaded.

    Raises:
        ReadError: no NumPy array, cut short, no numbers, or Python objects.
    """
    try:
        # Mapping checks the claimed shape against the file's size before any memory is taken.
        if isinstance(path, Path):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            array = _mapped(path.read_bytes())
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        what = f"is no NumPy array that can be read safely ({error}); save plain numbers with numpy.save"
        raise refusal(ReadError, path, [what]) from error
    return _numbers(array, path, "the array")


def read_hdf5(path: Source) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values (n, L) or (L,), and the axis (L,), of an HDF5 file with both at its root.

    Raises:
        ReadError: a broken file, a dataset missing (those there are listed), no numbers.
    """
    import h5py

    try:
        with h5py.File(handle(path), "r") as file:
            own = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
            there = {name: file[name] for name in own if isinstance(file[name], h5py.Dataset)}
            missing = [
                f"has no dataset {' or '.join(wanted)}; it has: {', '.join(file) or 'nothing'}"
                for wanted in (VALUE_NAMES, AXIS_NAMES)
                if not set(wanted) & set(there)
            ]
            if missing:
                raise refusal(ReadError, path, missing)
            return _dataset(there, VALUE_NAMES, path), _dataset(there, AXIS_NAMES, path)
    except (OSError, KeyError, RuntimeError) as error:
        raise refusal(ReadError, path, [f"is a broken HDF5 file ({error})"]) from error


def _dataset(there: dict[str, Any], wanted: Sequence[str], path: Source) -> NDArray[np.float64]:
    name = next(name for name in wanted if name in there)
    dataset = there[name]
    if dataset.external or dataset.is_virtual:  # a way to read any file of this machine
        raise refusal(ReadError, path, [f"dataset '{name}' is kept in another file; save the numbers in this one"])
    if dataset.nbytes > MOST_BYTES:
        limit = MOST_BYTES / 1024**3
        what = f"dataset '{name}' unpacks to {dataset.nbytes / 1024**3:.1f} GB, over the limit of {limit:.0f} GB"
        raise refusal(ReadError, path, [what])
    return _numbers(dataset[()], path, f"dataset '{name}'")


def _mapped(data: bytes) -> NDArray[Any]:
    """Return the array of a `.npy` file in memory without copying it: a shape too large for the bytes is refused."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in headers:
        raise ValueError(f"format {version[0]}.{version[1]}")
    shape, turned, dtype = headers[version](file)
    if dtype.hasobject:
        raise ValueError("Python objects")
    try:
        return np.ndarray(shape, dtype, data, offset=file.tell(), order="F" if turned else "C")
    except TypeError as error:
        raise ValueError("fewer bytes than its shape needs") from error


def _numbers(array: Any, path: Source, what: str) -> NDArray[np.float64]:
    array = np.asarray(array)
    if array.dtype.kind not in "fiu":
        raise refusal(ReadError, path, [f"{what} holds {array.dtype}, expected real numbers"])
    return np.array(array, dtype=np.float64)


def as_rows(values: NDArray[np.float64], points: int, path: Source) -> NDArray[np.float64]:
    """Return values as (n, L) for an axis of L points.

    Raises:
        ReadError: another number of dimensions.
        AxisError: another number of points than the axis has.
    """
    if values.ndim not in (1, 2) or values.size == 0:
        what = f"holds an array of shape {values.shape}; expected (spectra, points) or (points,)"
        raise refusal(ReadError, path, [what])
    rows = np.atleast_2d(values)
    if rows.shape[1] != points:
        turned = "; transpose it" if rows.shape[0] == points else ""
        what = f"spectra have {rows.shape[1]} points, the axis {points}: values are {values.shape}{turned}"
        raise refusal(AxisError, path, [what])
    return rows


def sibling_axis(path: Source) -> Path:
    """Return the axis file that stands beside a `.npy` file of spectra.

    Raises:
        AxisError: there is none.
    """
    if not isinstance(path, Path):
        what = "has no axis, and nothing stands beside it; send text or a table that holds the axis"
        raise refusal(AxisError, path, [what])
    candidates = [path.with_name(name.format(stem=path.stem)) for name in AXIS_FILES]
    for candidate in candidates:
        if candidate != path and candidate.is_file():
            return candidate
    names = ", ".join(candidate.name for candidate in candidates)
    what = f"has no axis: put one of {names} beside it, or give `axis=`"
    raise refusal(AxisError, path, [what])
