"""DICOM files: one frame at a time, as the values it stands for; nothing else of the header leaves this module.

A header names people, places and devices, and pydicom quotes it in what it warns of and raises. So its warnings and log
are held back while a file is read, and errors are worded here. Sizes are compared before a decoder sees a byte.
"""

from __future__ import annotations

import logging
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError, ReadError, counted
from polydx.io.codestreams import declared_shape, rle_fits
from polydx.io.dicom_values import kind_of_colour, meaning
from polydx.io.files import refusal
from polydx.io.pictures import MOST_DECODED
from polydx.io.source import Source, handle

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

Pixels: TypeAlias = NDArray[Any]
Window: TypeAlias = Literal["file"] | tuple[float, float] | None

MARK, PREAMBLE = b"DICM", 128
PIXELS = ((0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010))
META_GROUP = 0x0002
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
CHUNK = 1 << 20

KEYWORDS = (
    "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PhotometricInterpretation", "PlanarConfiguration", "PresentationLUTShape",
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "VOILUTSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip
"""All that is read of a header: what the pixels mean."""

LEAST_BYTES = {"MONOCHROME1": 4, "MONOCHROME2": 4, "PALETTE COLOR": 6, "YBR_FULL": 4, "YBR_FULL_422": 4}
"""Bytes that a stored value takes on its way at least: rescaled, looked up, or turned from YBR to RGB in float32."""

_reading = threading.local()


@dataclass(frozen=True)
class _Head:
    """What is known of a file before its pixels are decoded.

    Attributes:
        dataset: the elements of `KEYWORDS`.
        syntax: UID of the transfer syntax.
        frames: how many.
        pixels_at: where the element of the pixels begins in the file; None in a deflated one.
    """

    dataset: FileDataset
    syntax: Any
    frames: int
    pixels_at: int | None


def is_dicom(path: Source, head: bytes) -> bool:
    """Return whether a file is DICOM by its mark, or called so without being anything else."""
    return head[PREAMBLE : PREAMBLE + 4] == MARK or path.suffix.lower() in (".dcm", ".dicom")


def read_dicom(path: Source, frame: int, window: Window) -> Pixels:
    """Return one frame; see `polydx.io.images.read_image`."""
    from pydicom.pixels.utils import pixel_array

    with _guarded(path):
        head = _head(path)
        if frame >= head.frames:
            what = f"has {counted(head.frames, 'frame')}; there is no frame {frame} (they are counted from 0)"
            raise refusal(ReadError, path, [what])
        kind_of_colour(path, head.dataset)
        if head.pixels_at is None:
            stored = pixel_array(_whole(path), index=frame)
        else:
            _check_stream(path, head, frame)
            stored = pixel_array(handle(path), index=frame)
        return meaning(path, np.asarray(stored), head.dataset, frame, window)


def dicom_frames(path: Source) -> int:
    """Return how many frames a file holds."""
    with _guarded(path):
        return _head(path).frames


def dicom_patient(path: Source) -> str | None:
    """Return the PatientID, None if empty or missing."""
    from pydicom import dcmread

    with _guarded(path):
        _check_deflated(path)
        found = dcmread(handle(path), stop_before_pixels=True, specific_tags=["PatientID"]).get("PatientID")
        return str(found).strip() or None if found is not None else None


class _Hushed(logging.Filter):
    """Drops what pydicom logs while a file is read here; in other threads it may talk."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record may be shown."""
        return not getattr(_reading, "active", False)


_HUSHED = _Hushed()


@contextmanager
def _guarded(path: Source) -> Iterator[None]:
    """Answer every failure of pydicom in words of our own: its own quote the header."""
    from pydicom.errors import InvalidDicomError

    logging.getLogger("pydicom").addFilter(_HUSHED)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    _reading.active = True
    try:
        yield
    except (ReadError, ConfigError):
        raise
    except InvalidDicomError:
        what = "is no DICOM file with a header of its own (no 'DICM' mark); write it anew with a DICOM tool"
        raise refusal(ReadError, path, [what]) from None
    except Exception:
        # Damaged files fail in every way; the cause is not chained, for it may quote a patient's name.
        what = "is a DICOM file that is cut off, damaged or contradicts itself; export it again"
        raise refusal(ReadError, path, [what]) from None
    finally:
        _reading.active = False


def _head(path: Source) -> _Head:
    from pydicom import dcmread

    deflated = _check_deflated(path)
    with path.open("rb") as file:
        dataset = dcmread(file, stop_before_pixels=True, specific_tags=list(KEYWORDS))
        at = None if deflated else file.tell()
        syntax = dataset.file_meta.get("TransferSyntaxUID")
        if syntax is None:
            what = "does not say how its pixels are stored (no transfer syntax); write it anew with a DICOM tool"
            raise refusal(ReadError, path, [what])
        start = file.read(4)
    order = "little" if syntax.is_little_endian else "big"
    tag = (int.from_bytes(start[:2], order), int.from_bytes(start[2:], order))  # type: ignore[arg-type]
    if not dataset.get("Rows") or not dataset.get("Columns") or (at is not None and tag not in PIXELS):
        what = "is a DICOM file without an image (a report, a plan, a header alone); leave it out"
        raise refusal(ReadError, path, [what])
    _check_size(path, dataset)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames < 1:
        raise ValueError("no frame")
    return _Head(dataset, syntax, frames, at)


def _check_size(path: Source, dataset: FileDataset) -> None:
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel") or 1)
    kind = str(dataset.get("PhotometricInterpretation", "")).strip()
    each = max(1, int(dataset.get("BitsAllocated") or 8) // 8, LEAST_BYTES.get(kind, 1))
    needed = rows * columns * samples * each
    if needed > MOST_DECODED:
        what = (
            f"declares a frame of {columns} x {rows} pixels, {needed / 1e6:.0f} MB decoded, over the limit of "
            f"{MOST_DECODED // 10**6} MB (a decompression bomb?); export it smaller"
        )
        raise refusal(ReadError, path, [what])


def _check_deflated(path: Source) -> bool:
    """Return whether a file is deflated as a whole; one that unpacks to too much is refused before pydicom does it."""
    from pydicom.filereader import read_dataset

    with path.open("rb") as file:
        if file.read(PREAMBLE + 4)[PREAMBLE:] != MARK:
            return False
        meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != META_GROUP)
        if meta.get("TransferSyntaxUID") != DEFLATED:
            return False
        file.seek(PREAMBLE + 4)
        file.seek(_after_meta(file.read(12)) + PREAMBLE + 4)
        unpacker, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while packed := file.read(CHUNK):
            while packed and total <= MOST_DECODED:
                total += len(unpacker.decompress(packed, CHUNK))
                packed = unpacker.unconsumed_tail
            if total > MOST_DECODED:
                what = f"unpacks to more than {MOST_DECODED // 10**6} MB (a decompression bomb?); export it smaller"
                raise refusal(ReadError, path, [what])
    return True


def _after_meta(first: bytes) -> int:
    """Return where the header's own group ends, from its first element: (0002,0000) UL, the length of what follows."""
    if first[:8] != b"\x02\x00\x00\x00UL\x04\x00":
        raise ValueError("no length of the file meta group")
    return 12 + int.from_bytes(first[8:12], "little")


def _whole(path: Source) -> FileDataset:
    from pydicom import dcmread

    return dcmread(handle(path), specific_tags=[*KEYWORDS, "PixelData"])


def _check_stream(path: Source, head: _Head, frame: int) -> None:
    """Refuse a compressed frame that no decoder is here for, or that declares another size than the header."""
    from pydicom.encaps import get_frame
    from pydicom.pixels.decoders.base import get_decoder

    if not head.syntax.is_encapsulated:
        return
    name = head.syntax.name if head.syntax.name != str(head.syntax) else "an unknown transfer syntax"
    remedy = "`pip install python-gdcm` may bring one, or decompress it first (dcmdjpeg of DCMTK)"
    try:
        available = get_decoder(head.syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise refusal(ReadError, path, [f"is compressed as {name}, for which no decoder is here; {remedy}"])
    with path.open("rb") as file:
        file.seek((head.pixels_at or 0) + 12)  # tag, VR, two reserved bytes and length of an encapsulated element
        stream = get_frame(file, frame, number_of_frames=head.frames)
    rows, columns = int(head.dataset.Rows), int(head.dataset.Columns)
    if head.syntax == RLE:
        fits = rle_fits(stream, rows * columns)
    else:
        shape = declared_shape(stream)
        fits = shape is not None and (shape.rows, shape.columns) == (rows, columns)
        if shape is not None and "Extended" in name and shape.bits > 8 and not _reads_twelve_bits():
            raise refusal(ReadError, path, [f"is a JPEG of {shape.bits} bits, for which no decoder is here; {remedy}"])
    if not fits:
        what = f"is compressed to another size than its header's {columns} x {rows}; export it again"
        raise refusal(ReadError, path, [what])


def _reads_twelve_bits() -> bool:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import JPEGExtended12Bit

    return any(plugin != "pillow" for plugin in get_decoder(JPEGExtended12Bit).available_plugins)
