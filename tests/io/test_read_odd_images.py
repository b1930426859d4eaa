"""Real odd files of Pillow's and pydicom's own tests: each is read as those libraries read it, or refused by name."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from polydx.errors import ReadError
from polydx.io.images import count_frames, read_image

DAMAGED = "is cut off, damaged or compressed in a way that cannot be decoded here"
REFUSED = {
    "broken.png": "begins like a PNG image, but its header is damaged",
    "broken_data_stream.png": DAMAGED,
    "crash-0c7e0e8e11ce787078f00b5b0ca409a167f070e0.tif": DAMAGED,
    "crash-2020-10-test.tif": DAMAGED,
    "crash-338516dbd2f0e83caddb8ce256c22db3bd6dc40f.tif": DAMAGED,
    "decompression_bomb.gif": "declares more pixels than can be decoded here",
    "la.tga": "holds no image that can be recognised",
    "mode_16bit.png": "holds several frames of 16-bit colour",
    "truncated_end_chunk.png": DAMAGED,
    "truncated_image.png": DAMAGED,
    "truncated_jpeg.jpg": DAMAGED,
    "JPEG-lossy.dcm": "is a JPEG of 12 bits, for which no decoder is here",
    "JPGExtended.dcm": "is a JPEG of 12 bits, for which no decoder is here",
    "MR_truncated.dcm": "is a DICOM file that is cut off, damaged or contradicts itself",
    "badVR.dcm": "is a DICOM file that is cut off, damaged or contradicts itself",
    "chrJapMulti.dcm": "is a DICOM file without an image",
    "chrKoreanMulti.dcm": "is a DICOM file without an image",
    "empty_charset_LEI.dcm": "is a DICOM file without an image",
    "meta_missing_tsyntax.dcm": "does not say how its pixels are stored",
    "no_meta.dcm": "is no DICOM file with a header of its own",
    "reportsi.dcm": "is a DICOM file without an image",
    "rtplan.dcm": "is a DICOM file without an image",
}
BY_PLATFORM = {"hopper_webp.tif"}  # libtiff has WebP or not
FRAMES = {
    "dispose_bgnd.gif": 5, "iss634.webp": 42, "multipage.tiff": 3, "sugarshack.mpo": 2, "SC_rgb_rle_2frame.dcm": 2,
}  # fmt: skip
DTYPES = {
    "12bit.cropped.tif": "uint16", "16bit.MM.cropped.tif": "uint16", "16bit.cropped.jp2": "uint16",
    "16bit.cropped.tif": "uint16", "16bit.r.tif": "uint16", "16bit.s.tif": "int16", "1_trns.png": "bool",
    "g4_orientation_6.tif": "bool", "hopper_16bit.pgm": "uint16", "i_trns.png": "uint16",
    "tiff_16bit_RGB.tiff": "uint16", "uint16_1_4660.tif": "uint16",
}  # fmt: skip
"""All others hold 8 bits."""


@pytest.fixture(scope="module")
def odd(data: Path) -> Path:
    folder = data / "odd-images"
    if not folder.is_dir():
        pytest.skip(f"odd images are not at {folder}")
    return folder


def files(odd: Path, folder: str, count: int) -> list[Path]:
    found = sorted((odd / folder).iterdir())
    assert len(found) == count
    return [path for path in found if path.name not in REFUSED | dict.fromkeys(BY_PLATFORM)]


def by_pillow(path: Path, frame: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.seek(frame)
            image.load()
            if image.mode == "P":
                mode = "RGBA" if "transparency" in image.info else "RGB"
                return np.asarray(ImageOps.exif_transpose(image).convert(mode))
            if image.mode == "CMYK":
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
            return np.asarray(ImageOps.exif_transpose(image))


def test_every_odd_file_that_cannot_be_read_is_refused_by_name(odd):
    for name, what in REFUSED.items():
        path = odd / ("pydicom" if name.endswith(".dcm") else "pillow") / name
        with pytest.raises(ReadError, match=f"{name} +{what}"):
            read_image(path)


@pytest.mark.slow
def test_pictures_are_read_as_pillow_reads_them(odd):
    for path in files(odd, "pillow", 65):
        assert count_frames(path) == FRAMES.get(path.name, 1), path.name
        for frame in range(count_frames(path)):
            found, expected = read_image(path, frame), by_pillow(path, frame)
            assert found.dtype == np.dtype(DTYPES.get(path.name, "uint8")), path.name
            if path.name == "tiff_16bit_RGB.tiff":  # of which Pillow keeps the upper byte
                assert (found & 255).any()
                found = found >> 8
            assert np.array_equal(found, expected), (path.name, frame)


def test_12_bits_are_unpacked_as_by_hand(odd):
    path = odd / "pillow" / "12bit.cropped.tif"
    with Image.open(path) as image:
        starts, counts = image.tag_v2[273], image.tag_v2[279]
    content = path.read_bytes()
    packed = np.frombuffer(b"".join(content[a : a + n] for a, n in zip(starts, counts, strict=True)), np.uint8).astype(
        int
    )
    a, b, c = packed[0::3], packed[1::3], packed[2::3]
    values = np.stack([a << 4 | b >> 4, (b & 15) << 8 | c], axis=1).reshape(100, 100)
    assert np.array_equal(read_image(path), values)


def test_dicom_is_read_as_pydicom_reads_it(odd):
    pydicom = pytest.importorskip("pydicom")
    for path in files(odd, "pydicom", 34):
        dataset = pydicom.dcmread(path)
        whole = dataset.pixel_array
        whole = whole if count_frames(path) > 1 else whole[None]
        assert len(whole) == count_frames(path) == FRAMES.get(path.name, 1)
        for frame, expected in enumerate(whole):
            found = read_image(path, frame)
            if dataset.PhotometricInterpretation == "PALETTE COLOR":
                tables = [dataset[0x0028, tag] for tag in (0x1201, 0x1202, 0x1203)]
                tables = [np.frombuffer(table.value, "<u2") for table in tables]
                expected = np.stack([table[expected] for table in tables], axis=-1)
            if "RescaleIntercept" in dataset:
                expected = expected.astype(int) * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept)
                assert found.dtype.kind == "i", path.name
            assert np.array_equal(found, expected), path.name
            assert found.dtype.isnative


def test_signs_and_depths_of_dicom_are_kept(odd):
    folder = odd / "pydicom"
    assert read_image(folder / "CT_small.dcm").min() == 128 - 1024
    assert read_image(folder / "MR_small_bigendian.dcm").dtype == np.int16
    assert read_image(folder / "SC_rgb_rle_16bit.dcm").dtype == np.uint16
    assert read_image(folder / "liver_1frame.dcm").dtype == bool
    assert read_image(folder / "examples_overlay.dcm").max() < 4096


def test_colours_of_one_image_are_the_same_however_they_are_packed(odd):
    packed = ["SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle_2frame.dcm", "SC_ybr_full_422_uncompressed.dcm"]
    first, *others = [read_image(odd / "pydicom" / name).astype(int) for name in packed]
    for other in others:
        assert np.abs(first - other).mean() < 3


def test_nothing_of_a_header_is_said_aloud(odd, caplog):
    caplog.set_level(logging.DEBUG, logger="pydicom")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        told = []
        for path in sorted((odd / "pydicom").iterdir()):
            try:
                read_image(path)
            except ReadError as error:
                told += [str(error), str(error.__cause__)]
    assert not heard
    assert not caplog.records
    for words in ("1A", "Yamada", "Hong", "=", "\ufffd"):
        assert not any(words in text for text in told)


LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from polydx.io.images import count_frames, read_image
from polydx.errors import ReadError
read = refused = 0
for path in sorted(Path(sys.argv[1]).glob("*/*")):
    try:
        for frame in range(count_frames(path)):
            read_image(path, frame)
        read += 1
    except ReadError:
        refused += 1
print(read, refused)
"""


@pytest.mark.slow
def test_no_odd_file_takes_a_gigabyte_or_a_minute(odd):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(odd)], capture_output=True, text=True, timeout=300, check=True
    )
    read, refused = map(int, done.stdout.split())
    assert read + refused == 99
    assert refused in (len(REFUSED), len(REFUSED) + 1)
