"""Photographs and scans: every mode in its own bit depth, upright; what cannot be read is refused by name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polydx.errors import ReadError
from polydx.io.images import count_frames, read_image, read_patient_id
from polydx.io.pictures import MOST_DECODED


def save(tmp_path: Path, values: np.ndarray, name: str = "a.png", **options: object) -> Path:
    path = tmp_path / name
    Image.fromarray(values).save(path, **options)
    return path


def png(path: Path, values: np.ndarray, colour_type: int, bits: int, declared: tuple[int, int] | None = None) -> Path:
    """Write a PNG by hand: no filter, any bit depth that PNG knows."""
    rows = values.astype(">u2" if bits == 16 else np.uint8).reshape(len(values), -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    height, width = declared or values.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def tiff(path: Path, data: bytes, tags: dict[int, tuple[int, tuple[int, ...]]], following: int = 0) -> Path:
    """Write a little-endian TIFF of one strip by hand. `tags`: number -> (type 3 short or 4 long, values)."""
    entries, extra = [], b""
    tags = {**tags, 273: (4, (8,)), 279: (4, (len(data),))}
    directory = 8 + len(data) + len(data) % 2
    at = directory + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            packed, extra = struct.pack("<I", at + len(extra)), extra + packed
        entries.append(struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0"))
    body = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)
    path.write_bytes(b"II*\0" + struct.pack("<I", directory) + data + b"\0" * (len(data) % 2) + body + extra)
    return path


def tags_of(values: np.ndarray, bits: int, photometric: int, sample_format: int = 1) -> dict:
    channels = 1 if values.ndim == 2 else values.shape[2]
    return {
        256: (4, (values.shape[1],)), 257: (4, (values.shape[0],)), 258: (3, (bits,) * channels), 259: (3, (1,)),
        262: (3, (photometric,)), 277: (3, (channels,)), 278: (4, (values.shape[0],)),
        339: (3, (sample_format,) * channels),
    }  # fmt: skip


SHAPES = {"L": (5, 7), "RGB": (5, 7, 3), "RGBA": (5, 7, 4), "LA": (5, 7, 2)}


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif", "a.webp", "a.jp2"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossless_formats_give_back_the_bytes(tmp_path, rng, name, mode):
    values = rng.integers(0, 256, SHAPES[mode], dtype=np.uint8)
    lossless = {"a.webp": {"lossless": True}, "a.jp2": {"irreversible": False}}.get(name, {})
    if name == "a.gif":  # 256 colours: few values only
        values = values // 128 * 128
    found = read_image(save(tmp_path, values, name, **lossless))
    if found.ndim > values.ndim:  # GIF and WebP know no grey
        assert np.array_equal(found[..., 0], found[..., 1])
        found = found[..., 0]
    assert found.dtype == np.uint8
    assert np.array_equal(found, values)


def test_jpeg_is_close_to_what_was_saved(tmp_path):
    smooth = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    found = read_image(save(tmp_path, smooth, "a.jpg", quality=95))
    assert found.shape == (32, 48)
    assert np.abs(found.astype(int) - smooth).max() <= 4


@pytest.mark.parametrize(("mode", "colour_type"), [("L", 0), ("RGB", 2), ("LA", 4), ("RGBA", 6)])
def test_png_of_16_bits_keeps_every_bit_of_every_channel(tmp_path, rng, mode, colour_type):
    values = rng.integers(0, 2**16, SHAPES[mode], dtype=np.uint16)
    found = read_image(png(tmp_path / "a.png", values, colour_type, 16))
    assert found.dtype == np.uint16
    assert np.array_equal(found, values)


@pytest.mark.parametrize(
    ("dtype", "sample_format"), [("uint16", 1), ("int16", 2), ("uint32", 1), ("int32", 2), ("float32", 3)]
)
def test_grey_tiff_keeps_depth_and_sign(tmp_path, rng, dtype, sample_format):
    values = rng.normal(size=(5, 7)).astype(dtype) if dtype == "float32" else None
    if values is None:
        ends = np.iinfo(dtype)
        values = rng.integers(ends.min, ends.max, (5, 7), dtype=dtype, endpoint=True)
        values[0, :2] = ends.min, ends.max
    path = tiff(tmp_path / "a.tif", values.tobytes(), tags_of(values, values.itemsize * 8, 1, sample_format))
    found = read_image(path)
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, values)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_tiff_of_16_bits_keeps_every_bit(tmp_path, rng, mode):
    values = rng.integers(0, 2**16, SHAPES[mode], dtype=np.uint16)
    tags = tags_of(values, 16, 2) | ({338: (3, (2,))} if mode == "RGBA" else {})
    assert np.array_equal(read_image(tiff(tmp_path / "a.tif", values.tobytes(), tags)), values)


def test_tiff_where_white_is_zero_is_turned(tmp_path, rng):
    eight, sixteen = rng.integers(0, 256, (4, 6), dtype=np.uint8), rng.integers(0, 2**16, (4, 6), dtype=np.uint16)
    found = read_image(tiff(tmp_path / "a.tif", eight.tobytes(), tags_of(eight, 8, 0)))
    assert np.array_equal(found, 255 - eight)
    found = read_image(tiff(tmp_path / "b.tif", sixteen.tobytes(), tags_of(sixteen, 16, 0)))
    assert np.array_equal(found, 65535 - sixteen)


def test_tiff_of_12_bits_is_unpacked(tmp_path):
    values = np.array([[0, 1, 2048, 4095], [256, 17, 4094, 3]], dtype=np.uint16)
    a, b = values[:, ::2].astype(int), values[:, 1::2].astype(int)
    packed = np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], axis=2).astype(np.uint8)
    found = read_image(tiff(tmp_path / "a.tif", packed.tobytes(), tags_of(values, 12, 1)))
    assert np.array_equal(found, values)


def test_one_bit_is_bool(tmp_path):
    values = np.array([[True, False, True], [False, False, True]])
    found = read_image(save(tmp_path, values))
    assert found.dtype == bool
    assert np.array_equal(found, values)


def test_a_palette_becomes_its_colours_and_its_transparency_alpha(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), mode="P")
    image.putpalette([10, 20, 30, 200, 100, 0, 7, 8, 9])
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[10, 20, 30], [200, 100, 0]], [[7, 8, 9], [200, 100, 0]]]
    image.save(tmp_path / "b.png", transparency=bytes([255, 0, 128]))
    found = read_image(tmp_path / "b.png")
    assert found.shape == (2, 2, 4)
    assert found[..., 3].tolist() == [[255, 0], [128, 0]]


def test_cmyk_becomes_rgb(tmp_path):
    values = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255]]], dtype=np.uint8)
    Image.fromarray(values, mode="CMYK").save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").tolist() == [[[255] * 3, [0, 255, 255], [255, 0, 0], [0] * 3]]


UPRIGHT = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: a[::-1, ::-1], 4: np.flipud, 5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2), 8: np.rot90,
}  # fmt: skip
"""What an orientation asks for (EXIF 2.3, 4.6.4), written with NumPy."""


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_images_are_turned_upright(tmp_path, rng, orientation, name):
    values = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"tiffinfo": {274: orientation}} if name == "a.tif" else {"exif": exif}
    found = read_image(save(tmp_path, values, name, **options, **({"lossless": True} if name == "a.webp" else {})))
    assert np.array_equal(found, UPRIGHT[orientation](values))


@pytest.mark.parametrize("orientation", [3, 6])
def test_tiff_of_16_bit_colour_is_turned_upright(tmp_path, rng, orientation):
    values = rng.integers(0, 2**16, (4, 6, 3), dtype=np.uint16)
    path = tiff(tmp_path / "a.tif", values.tobytes(), tags_of(values, 16, 2) | {274: (3, (orientation,))})
    assert np.array_equal(read_image(path), UPRIGHT[orientation](values))


@pytest.mark.parametrize("name", ["a.tif", "a.gif"])
def test_frames_are_read_one_by_one(tmp_path, name):
    pages = [np.full((4, 5), value, dtype=np.uint8) for value in (0, 100, 200)]
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(tmp_path / name, save_all=True, append_images=rest)
    assert count_frames(tmp_path / name) == 3
    for number, page in enumerate(pages):
        found = read_image(tmp_path / name, number)
        assert np.array_equal(found if found.ndim == 2 else found[..., 0], page)
    with pytest.raises(ReadError, match=r"has 3 frames; there is no frame 3 \(they are counted from 0\)"):
        read_image(tmp_path / name, 3)
    with pytest.raises(ReadError, match="frame -1 was asked for; frames are counted from 0"):
        read_image(tmp_path / name, -1)


def test_jpeg2000_of_few_bits_keeps_its_values(tmp_path):
    # Pillow writes 8 and 16 bits only; the depth in SIZ and QCD of a lossless stream is what makes it 12.
    values = (np.arange(64 * 64).reshape(64, 64) % 4096).astype(np.uint16)
    path = save(tmp_path, values, "a.jp2", irreversible=False)
    assert np.array_equal(read_image(path), values)


def test_pgm_of_16_bits_is_unsigned(tmp_path):
    values = np.array([[0, 1, 65535]], dtype=">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 65535\n" + values.tobytes())
    found = read_image(tmp_path / "a.pgm")
    assert found.dtype == np.uint16
    assert found.tolist() == [[0, 1, 65535]]


@pytest.mark.parametrize("text", [b"P5 2 1 1023\n\x00\x01\x03\xff", b"P2 2 1 255\n1 2\n"])
def test_pgm_of_other_depths_is_refused(tmp_path, text):
    (tmp_path / "a.pgm").write_bytes(text)
    with pytest.raises(ReadError, match="another maximum than 255 or 65535, or in text; save it as PNG"):
        read_image(tmp_path / "a.pgm")


def test_ppm_of_16_bits_is_refused(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6 1 1 65535\n" + bytes(6))
    with pytest.raises(ReadError, match="more than 8 bits a channel, packed in a way no decoder|another maximum"):
        read_image(tmp_path / "a.ppm")


def test_lab_is_refused(tmp_path):
    Image.new("LAB", (3, 2)).save(tmp_path / "a.tif")
    with pytest.raises(ReadError, match=r"a.tif +holds CIE L\*a\*b\* colour, which is not read; save it as RGB"):
        read_image(tmp_path / "a.tif")


def test_animated_16_bit_colour_is_refused(tmp_path, rng):
    plain = png(tmp_path / "a.png", rng.integers(0, 2**16, (2, 2, 3), dtype=np.uint16), 2, 16).read_bytes()
    body = struct.pack(">II", 2, 0)
    control = struct.pack(">I", 8) + b"acTL" + body + struct.pack(">I", zlib.crc32(b"acTL" + body))
    (tmp_path / "a.png").write_bytes(plain[:33] + control + plain[33:])
    with pytest.raises(ReadError, match="several frames of 16-bit colour, which no decoder here reads; save each"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"%PDF-1.7 and so on", "holds a PDF document; expected JPEG, PNG"),
        (b"patient,label\nP1,yes\n", "holds no image that can be recognised; expected JPEG, PNG"),
        (b"\x89PNG\r\n\x1a\nnothing", "begins like a PNG image, but its header is damaged"),
        (b"", r"is empty \(0 bytes\)"),
    ],
)
def test_other_content_is_refused_by_name(tmp_path, content, what):
    (tmp_path / "scan.png").write_bytes(content)
    with pytest.raises(ReadError, match=f"scan.png +{what}"):
        read_image(tmp_path / "scan.png")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "a.gif"])
def test_a_file_cut_off_is_refused(tmp_path, rng, name):
    whole = save(tmp_path, rng.integers(0, 256, (40, 40), dtype=np.uint8), name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match=f"{name} +(is cut off, damaged|begins like)"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("side", [8000, 12000, 30000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, side):
    small = np.zeros((1, 3), dtype=np.uint8)
    path = png(tmp_path / "bomb.png", small, 2, 8, declared=(side, side))
    assert side * side * 3 > MOST_DECODED
    with pytest.raises(ReadError, match=r"bomb.png +declares .*(over the limit of 150 MB|more pixels than can be)"):
        read_image(path)


def test_a_tiff_whose_pages_go_in_circles_ends(tmp_path):
    values = np.zeros((2, 2), dtype=np.uint8)
    path = tiff(tmp_path / "a.tif", values.tobytes(), tags_of(values, 8, 1), following=12)
    assert count_frames(path) < 10


def test_too_many_frames_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("polydx.io.images.MOST_FRAMES", 1)
    page = Image.fromarray(np.zeros((2, 2), dtype=np.uint8))
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(ReadError, match="a.tif +holds 2 frames, over the limit of 1; split it"):
        count_frames(tmp_path / "a.tif")


def test_a_patient_is_sought_in_dicom_only(tmp_path):
    path = save(tmp_path, np.zeros((2, 2), dtype=np.uint8))
    with pytest.raises(ReadError, match="is no DICOM file: there is no PatientID in it; name patients in a column"):
        read_patient_id(path)
