"""The size that a compressed image declares for itself, read without decoding it.

A decoder allocates what the code stream says, whatever the file around it says; so the two are compared first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SOC_SIZ = b"\xff\x4f\xff\x51"
SOI = b"\xff\xd8"
NO_FRAME = (0xC4, 0xC8, 0xCC)  # DHT, JPG and DAC lie among the start-of-frame markers
FRAMES = (*(m for m in range(0xC0, 0xD0) if m not in NO_FRAME), 0xF7)  # F7: JPEG-LS
WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
RLE_HEADER = 64


@dataclass(frozen=True)
class Shape:
    """What a code stream declares.

    Attributes:
        rows: H.
        columns: W.
        channels: C.
        bits: of one value, the most of all channels.
    """

    rows: int
    columns: int
    channels: int
    bits: int


def declared_shape(stream: bytes) -> Shape | None:
    """Return what a JPEG, JPEG-LS or JPEG 2000 code stream declares, None if it is none or broken."""
    return jpeg_shape(stream) if stream.startswith(SOI) else jpeg2000_shape(stream)


def jpeg_shape(stream: bytes) -> Shape | None:
    """Return what the start-of-frame marker of a JPEG or JPEG-LS stream declares (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 < len(stream):
        if stream[at] != 0xFF:
            return None
        marker = stream[at + 1]
        if marker in FRAMES:
            bits, rows, columns, channels = struct.unpack(">BHHB", stream[at + 4 : at + 10])
            return Shape(rows, columns, channels, bits)
        if marker == 0xFF or marker in WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None


def jpeg2000_shape(stream: bytes) -> Shape | None:
    """Return what the SIZ marker of a JPEG 2000 stream declares, alone or in a JP2 file (ITU-T T.800, A.5.1)."""
    at = stream.find(SOC_SIZ)
    if at < 0 or at + 42 > len(stream):
        return None
    width, height, left, top = struct.unpack(">4I", stream[at + 8 : at + 24])
    (channels,) = struct.unpack(">H", stream[at + 40 : at + 42])
    depths = stream[at + 42 : at + 42 + 3 * channels : 3]
    return Shape(height - top, width - left, channels, max(((d & 0x7F) + 1 for d in depths), default=8))


def rle_fits(stream: bytes, pixels: int) -> bool:
    """Return whether no segment of a DICOM RLE frame grows far beyond the pixels it is for (PS3.5, annex G).

    Args:
        stream: the frame, with its header of 64 bytes.
        pixels: H * W, the bytes that a segment should give.
    """
    if len(stream) < RLE_HEADER:
        return False
    number, *offsets = struct.unpack("<16I", stream[:RLE_HEADER])
    ends = [*offsets[1:number], len(stream)]
    return number <= 15 and all(
        _unpacked(stream[a:b], 2 * pixels + 2) <= 2 * pixels + 2 for a, b in zip(offsets, ends, strict=False)
    )


def _unpacked(segment: bytes, most: int) -> int:
    """Return the bytes a PackBits segment unpacks to; counting stops beyond `most`."""
    at = total = 0
    while at < len(segment) and total <= most:
        control = segment[at]
        if control < 128:
            total, at = total + control + 1, at + control + 2
        elif control > 128:
            total, at = total + 257 - control, at + 2
        else:
            at += 1
    return total
