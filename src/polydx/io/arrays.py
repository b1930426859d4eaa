"""Spectra stored as arrays: NumPy and HDF5 files, and axes kept beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.errors import AxisError, ReadError
from polydx.io.files import refusal

AXIS_FILES = ("{stem}_axis.npy", "axis.npy", "wavenumbers.npy")
VALUE_NAMES = ("spectra", "values", "X")
AXIS_NAMES = ("axis", "wavenumbers")


def read_npy(path: Path) -> NDArray[np.float64]:
    """Return the numbers of a `.npy` file as float64; pickled objects are never loaded.

    Raises:
        ReadError: no NumPy array, cut short, no numbers, or Python objects.
    """
    try:
        # Mapping checks the claimed shape against the file's size before any memory is taken.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        what = f"is no NumPy array that can be read safely ({error}); save plain numbers with numpy.save"
        raise refusal(ReadError, path, [what]) from error
    return _numbers(array, path, "the array")


def read_hdf5(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values (n, L) or (L,), and the axis (L,), of an HDF5 file with both at its root.

    Raises:
        ReadError: a broken file, a dataset missing (those there are listed), no numbers.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            there = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
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


def _dataset(there: dict[str, Any], wanted: Sequence[str], path: Path) -> NDArray[np.float64]:
    name = next(name for name in wanted if name in there)
    return _numbers(there[name][()], path, f"dataset '{name}'")


def _numbers(array: Any, path: Path, what: str) -> NDArray[np.float64]:
    array = np.asarray(array)
    if array.dtype.kind not in "fiu":
        raise refusal(ReadError, path, [f"{what} holds {array.dtype}, expected real numbers"])
    return np.array(array, dtype=np.float64)


def as_rows(values: NDArray[np.float64], points: int, path: Path) -> NDArray[np.float64]:
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


def sibling_axis(path: Path) -> Path:
    """Return the axis file that stands beside a `.npy` file of spectra.

    Raises:
        AxisError: there is none.
    """
    candidates = [path.with_name(name.format(stem=path.stem)) for name in AXIS_FILES]
    for candidate in candidates:
        if candidate != path and candidate.is_file():
            return candidate
    names = ", ".join(candidate.name for candidate in candidates)
    what = f"has no axis: put one of {names} beside it, or give `axis=`"
    raise refusal(AxisError, path, [what])
