"""What the stored values of a DICOM frame stand for: rescaled, windowed, black on white or in colours.

Shapes: `H, W` height and width. Sections are those of DICOM PS3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError, ReadError
from polydx.io.files import refusal
from polydx.io.source import Source

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Pixels: TypeAlias = NDArray[Any]
Window: TypeAlias = Literal["file"] | tuple[float, float] | None
Range: TypeAlias = tuple[float, float]

PALETTE = "PALETTE COLOR"
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


def meaning(path: Source, stored: Pixels, dataset: Dataset, frame: int, window: Window) -> Pixels:
    """Return what a decoded frame stands for.

    Args:
        path: names the file in errors.
        stored: (H, W) or (H, W, 3), as pydicom decodes it: YBR is RGB already, unused bits are cleared.
        dataset: its header.
        frame: its number, for what the header says of single frames.
        window: see `polydx.io.images.read_image`.

    Returns:
        (H, W) values, or (H, W, 3) RGB.

    Raises:
        ReadError: colours of a kind that is not read.
        ConfigError: a window without width.
    """
    kind = kind_of_colour(path, dataset)
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if kind == PALETTE:
        from pydicom.pixels.processing import apply_color_lut

        return np.asarray(apply_color_lut(stored, dataset))
    if kind in COLOUR:
        return stored
    values, (low, high) = rescaled(stored, dataset, frame)
    dark_is_high = kind == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    if window is not None:
        shown = _windowed(values, dataset, frame, window)
        return 1 - shown if dark_is_high else shown
    if stored.dtype == np.uint8 and dataset.get("BitsAllocated") == 1:
        return np.asarray(values == 0 if dark_is_high else values != 0)
    return _turned(values, low, high) if dark_is_high else values


def kind_of_colour(path: Source, dataset: Dataset) -> str:
    """Return the photometric interpretation, one that is read.

    Raises:
        ReadError: another one, or one that contradicts the number of channels.
    """
    kind = str(dataset.get("PhotometricInterpretation", "")).strip()
    one_channel = int(dataset.get("SamplesPerPixel") or 1) == 1
    if kind not in ((*GREY, PALETTE) if one_channel else COLOUR):
        what = "has colours of a kind that is not read (its photometric interpretation); export it as RGB or grey"
        raise refusal(ReadError, path, [what])
    return kind


def rescaled(stored: Pixels, dataset: Dataset, frame: int) -> tuple[Pixels, Range]:
    """Return values in the units of the modality (C.7.6.16.2.9, C.11.1), and the range that the stored bits allow.

    Whole slope and intercept give the smallest of the stored dtype, int16 and int32 that holds the range, so that all
    files of one device come alike; others give float32.
    """
    if "ModalityLUTSequence" in dataset:
        from pydicom.pixels.processing import apply_modality_lut

        values = np.asarray(apply_modality_lut(stored, dataset))
        return values, (float(values.min()), float(values.max()))
    where = _of_frame(dataset, frame, "PixelValueTransformationSequence", "RescaleSlope")
    slope, intercept = float(where.get("RescaleSlope", 1) or 1), float(where.get("RescaleIntercept", 0) or 0)
    low, high = _stored_range(stored, dataset)
    ends = sorted((slope * low + intercept, slope * high + intercept))
    bounds = (ends[0], ends[1])
    if (slope, intercept) == (1.0, 0.0):
        return stored, bounds
    if slope.is_integer() and intercept.is_integer() and stored.dtype.kind in "iu":
        for dtype in (np.int16, np.int32):
            if np.iinfo(dtype).min <= bounds[0] and bounds[1] <= np.iinfo(dtype).max:
                values = stored.astype(np.int32)
                values *= int(slope)
                values += int(intercept)
                return values.astype(dtype, copy=False), bounds
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept), bounds


def windowed(values: Pixels, centre: float, width: float, function: str = "LINEAR") -> NDArray[np.float32]:
    """Return values through a window, from 0 (dark) to 1 (C.11.2.1.2 and C.11.2.1.3).

    Args:
        values: (H, W), in the units of the window.
        centre: value that becomes middle grey.
        width: of the window, at least 1.
        function: LINEAR (of whole values), LINEAR_EXACT or SIGMOID.

    Raises:
        ConfigError: a width below 1, where nothing can be told apart.
    """
    if not width >= 1:
        raise ConfigError(f"a window needs a width of at least 1, found centre {centre:g} and width {width:g}")
    x = values.astype(np.float32)
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(-4 * (x - centre) / width)), dtype=np.float32)
    if function == "LINEAR_EXACT":
        return np.asarray(np.clip((x - centre) / width + 0.5, 0, 1), dtype=np.float32)
    if width == 1:
        return (x > centre - 0.5).astype(np.float32)
    return np.asarray(np.clip((x - (centre - 0.5)) / (width - 1) + 0.5, 0, 1), dtype=np.float32)


def _windowed(values: Pixels, dataset: Dataset, frame: int, window: Window) -> NDArray[np.float32]:
    if window is not None and window != "file":
        return windowed(values, *window)
    where = _of_frame(dataset, frame, "FrameVOILUTSequence", "WindowCenter")
    centres, widths = _numbers(where.get("WindowCenter")), _numbers(where.get("WindowWidth"))
    if centres and widths and widths[0] >= 1:
        return windowed(values, centres[0], widths[0], str(where.get("VOILUTFunction") or "LINEAR"))
    if "VOILUTSequence" in dataset:
        from pydicom.pixels.processing import apply_voi

        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        return np.asarray(apply_voi(values, dataset), dtype=np.float32) / np.float32(2**bits - 1)
    low, high = float(values.min()), float(values.max())
    return ((values.astype(np.float32) - low) / max(high - low, 1e-12)).astype(np.float32)


def _numbers(found: Any) -> list[float]:
    """Return a header's number, or several, as a list."""
    if found is None or found == "":
        return []
    return (
        [float(v) for v in found] if isinstance(found, list | tuple) or hasattr(found, "__iter__") else [float(found)]
    )


def _of_frame(dataset: Dataset, frame: int, sequence: str, keyword: str) -> Any:
    """Return the part of the header that says something of this frame: its own, that of all frames, or the header."""
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for groups in (*own[frame : frame + 1], *shared[:1]):
        for item in groups.get(sequence) or []:
            if keyword in item:
                return item
    return dataset


def _stored_range(stored: Pixels, dataset: Dataset) -> Range:
    """Return the lowest and highest value that the stored bits can hold."""
    if stored.dtype.kind == "f":
        return float(stored.min()), float(stored.max())
    bits = int(dataset.get("BitsStored") or stored.dtype.itemsize * 8)
    return (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if stored.dtype.kind == "i" else (0.0, 2.0**bits - 1)


def _turned(values: Pixels, low: float, high: float) -> Pixels:
    """Return values with dark and bright exchanged, in the range that the stored bits allow."""
    if values.dtype.kind == "f":
        return np.asarray(np.float32(low + high) - values)
    # The result is in range, so arithmetic that wraps around is exact, and takes no wider copy.
    both = np.array([int(low + high)], dtype=np.int64).astype(values.dtype)
    return np.asarray(both - values)
