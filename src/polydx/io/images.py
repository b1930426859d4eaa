"""Read images: one call for photographs, scans and DICOM, one frame at a time, in the file's own bit depth.

Shapes: `H, W` height and width, `C` channels. What a file holds is told by its content, never by its name. Files are
taken as hostile: sizes are checked before anything is decoded, and whatever a decoder says is answered with a
`ReadError`. Of a header nothing is kept but what the pixels mean, and `PatientID` where it is asked for.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ReadError
from polydx.io.files import open_file, refusal
from polydx.io.source import Source

__all__ = ["count_frames", "read_image", "read_patient_id"]

Pixels: TypeAlias = NDArray[Any]
Window: TypeAlias = Literal["file"] | tuple[float, float] | None

MOST_FRAMES = 20_000


def read_image(path: str | Source, frame: int = 0, *, window: Window = None) -> Pixels:
    """Read one frame of an image file.

    JPEG, PNG, TIFF, BMP, GIF, WebP, JPEG 2000 and PGM/PPM are turned upright as their orientation tag (EXIF, TIFF, XMP)
    says. Palettes, CMYK and YCbCr become RGB; a palette with transparent colours becomes RGBA; a colour declared
    transparent in a grey or RGB image is left as it is stored.

    DICOM: rescaled as its header says (Hounsfield units of a CT, for example), MONOCHROME1 inverted within the range
    of its stored bits, YBR and PALETTE COLOR as RGB. Windowing is left to the caller unless `window` is given.

    Args:
        path: the file.
        frame: of a file with several (TIFF pages, GIF and WebP animations, DICOM cines), counted from 0.
        window: DICOM with one channel only: `"file"` for the window of the header (or, where there is none, the range
            of the frame), or (centre, width) in rescaled units; other files are given as they are.

    Returns:
        (H, W) grey or (H, W, C) colour, C = 2 (grey and alpha), 3 (RGB) or 4 (RGBA), in the file's own dtype: bool
        for 1 bit, uint8, uint16 for 9 to 16 bits, signed where the file says so, float32. Rescaled DICOM is int16,
        int32 or float32; windowed, float32 from 0 (dark) to 1.

    Raises:
        ReadError: missing, no image, a kind of image no decoder is here for, broken, cut off, over the limit of
            decoded size, or no such frame; the message says which and what to do.
    """
    from polydx.io.dicom import is_dicom, read_dicom
    from polydx.io.pictures import read_picture

    path, head = open_file(path)
    if frame < 0:
        raise refusal(ReadError, path, [f"frame {frame} was asked for; frames are counted from 0"])
    if is_dicom(path, head):
        return np.ascontiguousarray(read_dicom(path, frame, window))
    return np.ascontiguousarray(read_picture(path, head, frame))


def count_frames(path: str | Source) -> int:
    """Return how many frames an image file holds, without decoding any.

    Raises:
        ReadError: as `read_image`, for all that can be known without decoding; or more than `MOST_FRAMES`.
    """
    from polydx.io.dicom import dicom_frames, is_dicom
    from polydx.io.pictures import picture_frames

    path, head = open_file(path)
    frames = dicom_frames(path) if is_dicom(path, head) else picture_frames(path, head)
    if frames > MOST_FRAMES:
        what = f"holds {frames} frames, over the limit of {MOST_FRAMES}; split it"
        raise refusal(ReadError, path, [what])
    return frames


def read_patient_id(path: str | Source) -> str | None:
    """Return the PatientID of a DICOM file, None where it is empty or missing; nothing else of the header is kept.

    Raises:
        ReadError: no DICOM file, or a header that cannot be read.
    """
    from polydx.io.dicom import dicom_patient, is_dicom

    path, head = open_file(path)
    if not is_dicom(path, head):
        raise refusal(ReadError, path, ["is no DICOM file: there is no PatientID in it; name patients in a column"])
    return dicom_patient(path)
