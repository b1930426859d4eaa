"""Photographs and scans through Pillow, in their own bit depth: what it cannot hold is put together or refused.

Shapes: `H, W` height and width, `C` channels. Pillow has no mode for colour of 16 bits a channel and keeps the upper
eight; such files are decoded twice, once for either byte, and joined.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ReadError, counted
from polydx.io.codestreams import jpeg2000_shape
from polydx.io.files import FOREIGN, refusal
from polydx.io.source import Source, handle

if TYPE_CHECKING:
    from PIL import ImageFile

Pixels: TypeAlias = NDArray[Any]

FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # MPO is opened as JPEG
READABLE = "JPEG, PNG, TIFF, BMP, DICOM, GIF, WebP, JPEG 2000 or PGM/PPM"
DAMAGED = "is cut off, damaged or compressed in a way that cannot be decoded here; copy it again, or save it as PNG"
MOST_DECODED = 150_000_000
"""Bytes of one decoded frame. Decoding takes up to five times as much, which keeps it under 1 GB."""

BYTES = {"1": 1, "L": 1, "P": 3, "LA": 2, "PA": 4, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Bytes a pixel takes once decoded, by Pillow's mode; 4 for all others."""

CONVERTED = {"CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}
"""What Pillow's other modes are given as."""

SWAPPED = {"16B": "16L", "16L": "16B", "16N": "16B" if np.little_endian else "16L"}
"""The raw mode that takes the lower byte where its partner takes the upper one."""

PHOTOMETRIC, SAMPLE_FORMAT = 262, 339  # TIFF tags
STRIPS = ((273, 279), (324, 325))  # of offsets and lengths, in strips or tiles
UNSIGNED = 1


def read_picture(path: Source, head: bytes, frame: int) -> Pixels:
    """Return one frame; see `polydx.io.images.read_image`."""
    with _opened(path, head) as image:
        _seek(path, head, image, frame)
        _check_size(path, image)
        _check_strips(path, image)
        if not _is_wide_colour(image):
            return _values(path, image)
        if frame or getattr(image, "n_frames", 1) > 1:
            what = "holds several frames of 16-bit colour, which no decoder here reads; save each frame by itself"
            raise refusal(ReadError, path, [what])
        upper = _bytes_of(path, image, lower=False)
    with _opened(path, head) as image:
        return upper.astype(np.uint16) << 8 | _bytes_of(path, image, lower=True)


def picture_frames(path: Source, head: bytes) -> int:
    """Return how many frames a file holds."""
    with _opened(path, head) as image:
        return int(getattr(image, "n_frames", 1))


@contextmanager
def _opened(path: Source, head: bytes) -> Iterator[ImageFile.ImageFile]:
    """Open a file by its content; whatever goes wrong until it is closed is a `ReadError`."""
    from PIL import Image, UnidentifiedImageError

    # What Pillow warns of (a tag it skips, a size over its own limit) is either harmless or refused here.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    Image.init()
    try:
        with Image.open(handle(path), formats=FORMATS) as image:
            yield image
    except ReadError:
        raise
    except Image.DecompressionBombError as error:
        what = f"declares more pixels than can be decoded here ({MOST_DECODED // 10**6} MB); save a smaller copy"
        raise refusal(ReadError, path, [what]) from error
    except UnidentifiedImageError as error:
        raise refusal(ReadError, path, [_unknown(head)]) from error
    except Exception as error:
        # Decoders answer damaged bytes with errors of every kind: OSError, SyntaxError, TypeError, struct.error ...
        raise refusal(ReadError, path, [DAMAGED]) from error


def _unknown(head: bytes) -> str:
    words = next((words for start, words in FOREIGN if head.startswith(start)), None)
    if words is not None and words.endswith(" image"):
        return f"begins like {words}, but its header is damaged or of a kind that cannot be read; save it again"
    return f"holds {words or 'no image that can be recognised'}; expected {READABLE}"


def _seek(path: Source, head: bytes, image: ImageFile.ImageFile, frame: int) -> None:
    if frame == 0:
        return
    try:
        image.seek(frame)
    except EOFError as error:
        frames = picture_frames(path, head)
        what = f"has {counted(frames, 'frame')}; there is no frame {frame} (they are counted from 0)"
        raise refusal(ReadError, path, [what]) from error


def _check_size(path: Source, image: ImageFile.ImageFile) -> None:
    """Refuse a frame that would take too much, before it is decoded."""
    each = 3 if image.mode == "RGB" else BYTES.get(image.mode, 4)
    needed = image.width * image.height * each * (2 if _is_wide_colour(image) else 1)
    if needed > MOST_DECODED:
        what = (
            f"declares {image.width} x {image.height} pixels, {needed / 1e6:.0f} MB decoded, over the limit of "
            f"{MOST_DECODED // 10**6} MB (a decompression bomb?); save a smaller copy, or tiles"
        )
        raise refusal(ReadError, path, [what])


def _check_strips(path: Source, image: ImageFile.ImageFile) -> None:
    """Refuse a TIFF whose strips or tiles are not all there, of which libtiff would tell the terminal at length."""
    if not any(tile.codec_name == "libtiff" for tile in image.tile):
        return
    tags, size = getattr(image, "tag_v2", {}), path.stat().st_size
    for starts, lengths in ((tags.get(a, ()), tags.get(b, ())) for a, b in STRIPS):
        inside = all(n > 0 and a + n <= size for a, n in zip(starts, lengths, strict=False))
        if len(starts) != len(lengths) or not inside:
            raise refusal(ReadError, path, [DAMAGED])


def _is_wide_colour(image: ImageFile.ImageFile) -> bool:
    """Return whether a file holds more than 8 bits a channel of several, of which Pillow would keep 8."""
    if image.format == "JPEG2000":
        return image.mode not in ("L", "I;16") and _jpeg2000_bits(image) > 8
    if image.format == "PPM":
        return image.mode == "RGB" and any(tile.codec_name == "raw" and ";16" in str(tile.args) for tile in image.tile)
    return image.mode not in ("I", "I;16", "I;16B", "F") and any(";16" in _raw_mode(tile) for tile in image.tile)


def _raw_mode(tile: Any) -> str:
    return str(tile.args[0] if isinstance(tile.args, tuple) else tile.args)


def _bytes_of(path: Source, image: ImageFile.ImageFile, *, lower: bool) -> Pixels:
    """Return the upper or the lower byte of every value of a colour image of 16 bits a channel."""
    raw = {_raw_mode(tile) for tile in image.tile}
    mode, _, order = next(iter(raw)).partition(";")
    known = len(raw) == 1 and image.format in ("PNG", "TIFF") and order in SWAPPED
    if known and mode == "LA":  # Pillow knows one byte order of it only: take the two values as four bytes
        image._mode, new = "RGBA", "RGBA"
    elif known and mode in ("RGB", "RGBA", "RGBX"):
        new = f"{mode};{SWAPPED[order] if lower else order}"
    else:
        what = "holds colour of more than 8 bits a channel, packed in a way no decoder here reads; save it as PNG"
        raise refusal(ReadError, path, [what])
    image.tile = [tile._replace(args=_with_raw_mode(tile.args, new)) for tile in image.tile]
    values = _upright(image)
    return values[..., (1, 3) if lower else (0, 2)] if mode == "LA" else values


def _with_raw_mode(args: Any, raw_mode: str) -> Any:
    return (raw_mode, *args[1:]) if isinstance(args, tuple) else raw_mode


def _upright(image: ImageFile.ImageFile) -> Pixels:
    from PIL import ImageOps

    image.load()
    return np.asarray(ImageOps.exif_transpose(image))


def _values(path: Source, image: ImageFile.ImageFile) -> Pixels:
    """Return the pixels of an opened frame, as arrays can hold them."""
    if image.format == "PPM" and any(tile.codec_name.startswith("ppm") for tile in image.tile):
        what = "is a PGM/PPM file of another maximum than 255 or 65535, or in text; save it as PNG"
        raise refusal(ReadError, path, [what])
    if image.mode in ("P", "PA"):
        return _converted(image, "RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if image.mode in CONVERTED:
        return _converted(image, CONVERTED[image.mode])
    if image.mode == "LAB":
        raise refusal(ReadError, path, ["holds CIE L*a*b* colour, which is not read; save it as RGB"])
    return _stored(image)


def _converted(image: ImageFile.ImageFile, mode: str) -> Pixels:
    from PIL import ImageOps

    image.load()
    return np.asarray(ImageOps.exif_transpose(image).convert(mode))


def _stored(image: ImageFile.ImageFile) -> Pixels:
    """Return values as the file stores them, where Pillow widened or shifted them."""
    bits, tags, tiles, form = 0, getattr(image, "tag_v2", {}), list(image.tile), image.format
    if form == "JPEG2000" and image.mode in ("L", "I;16"):
        bits = _jpeg2000_bits(image)
    values = _upright(image)
    if bits:
        return values >> ((8 if bits <= 8 else 16) - bits)
    if values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("="))
    if image.mode == "I" and form == "PPM":
        return values.astype(np.uint16)
    if image.mode == "I" and any(_raw_mode(tile).startswith("I;16") for tile in tiles):
        return values.astype(np.int16)
    if image.mode == "I" and form == "TIFF" and tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == UNSIGNED:
        return values.view(np.uint32)
    if image.mode == "I;16" and tags.get(PHOTOMETRIC) == 0:  # white is zero: Pillow turns 8 bits only
        return np.iinfo(np.uint16).max - values
    return values


def _jpeg2000_bits(image: ImageFile.ImageFile) -> int:
    file: Any = image.fp
    at = file.tell()
    file.seek(0)
    start = file.read(65536)
    file.seek(at)
    shape = jpeg2000_shape(start)
    return shape.bits if shape is not None else 8
