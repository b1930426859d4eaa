"""DICOM files written here, one for each thing a header can say of its pixels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from polydx.errors import ConfigError, ReadError
from polydx.io.codestreams import declared_shape, jpeg2000_shape, jpeg_shape, rle_fits
from polydx.io.dicom_values import windowed
from polydx.io.images import count_frames, read_image, read_patient_id

SECRET = "Doe^Jane"


def dicom(
    path: Path, values: np.ndarray, syntax: UID = ExplicitVRLittleEndian, pixels: bytes | None = None, **header: object
) -> Path:
    """Write a file; `values` (H, W), (H, W, 3) or, with NumberOfFrames, one more axis in front."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    shape = values.shape[1:] if "NumberOfFrames" in header else values.shape
    dataset.PatientName, dataset.PatientID = SECRET, "P-0042"
    dataset.Rows, dataset.Columns = shape[:2]
    dataset.SamplesPerPixel = shape[2] if len(shape) == 3 else 1
    if dataset.SamplesPerPixel > 1:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if len(shape) == 3 else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.itemsize
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    for key, value in header.items():
        setattr(dataset, key, value)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = values.tobytes() if pixels is None else pixels
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "a.dcm"


@pytest.fixture
def ct(rng) -> np.ndarray:
    return rng.integers(0, 4096, (6, 8), dtype=np.uint16)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int8"])
def test_stored_values_keep_depth_and_sign(path, rng, dtype):
    values = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (6, 8), dtype=dtype)
    found = read_image(dicom(path, values))
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, values)


@pytest.mark.parametrize(
    ("bits", "slope", "intercept", "dtype"),
    [
        (12, 1, -1024, "int16"),
        (16, 1, -1024, "int32"),
        (12, 0.5, -10, "float32"),
        (12, 1, 0, "uint16"),
        (12, -1, 0, "int16"),
    ],
)
def test_values_are_rescaled(path, ct, bits, slope, intercept, dtype):
    found = read_image(dicom(path, ct, BitsStored=bits, RescaleSlope=slope, RescaleIntercept=intercept))
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, ct.astype(float) * slope + intercept)


def test_a_lookup_table_of_the_modality_is_applied(path):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 16], [10, 20, 400, 8000]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    found = read_image(dicom(path, np.array([[0, 1], [3, 2]], dtype=np.uint8), ModalityLUTSequence=[table]))
    assert found.tolist() == [[10, 20], [8000, 400]]


def test_each_frame_of_an_enhanced_file_is_rescaled_by_its_own_header(path, ct):
    groups = []
    for intercept in (-100, 5):
        item, group = Dataset(), Dataset()
        item.RescaleSlope, item.RescaleIntercept = 1, intercept
        group.PixelValueTransformationSequence = [item]
        groups.append(group)
    stack = np.stack([ct, ct + 1])
    dicom(path, stack, NumberOfFrames=2, BitsStored=13, PerFrameFunctionalGroupsSequence=groups)
    assert count_frames(path) == 2
    assert np.array_equal(read_image(path, 0), ct.astype(int) - 100)
    assert np.array_equal(read_image(path, 1), ct.astype(int) + 1 + 5)
    with pytest.raises(ReadError, match=r"has 2 frames; there is no frame 2 \(they are counted from 0\)"):
        read_image(path, 2)


def test_monochrome1_is_turned_within_its_stored_bits(path, ct):
    found = read_image(dicom(path, ct, BitsStored=12, PhotometricInterpretation="MONOCHROME1"))
    assert found.dtype == np.uint16
    assert np.array_equal(found, 4095 - ct)
    signed = np.array([[-2048, 2047, 5]], dtype=np.int16)
    found = read_image(dicom(path, signed, BitsStored=12, PhotometricInterpretation="MONOCHROME1"))
    assert found.tolist() == [[2047, -2048, -6]]
    found = read_image(
        dicom(path, ct, BitsStored=12, PresentationLUTShape="INVERSE", RescaleSlope=0.5, RescaleIntercept=0)
    )
    assert np.array_equal(found, (4095 - ct.astype(float)) / 2)


def test_turning_is_exact_where_the_sum_of_both_ends_leaves_the_dtype(path):
    values = np.array([[0, 100, 32767]], dtype=np.int16)
    header = {
        "PhotometricInterpretation": "MONOCHROME1",
        "RescaleSlope": 1,
        "RescaleIntercept": 20000,
        "BitsStored": 13,
    }
    found = read_image(dicom(path, np.array([[0, 100, 8191]], dtype=np.uint16), **header))
    assert found.dtype == np.int16
    assert found.tolist() == [[28191, 28091, 20000]]
    assert np.array_equal(read_image(dicom(path, values, PhotometricInterpretation="MONOCHROME1")), -1 - values)


def test_palette_becomes_its_colours(path):
    tables = {}
    for name, data in (("Red", [1, 2]), ("Green", [30, 40]), ("Blue", [500, 600])):
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [2, 0, 16]
        tables[f"{name}PaletteColorLookupTableData"] = struct.pack("<2H", *data)
    values = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    found = read_image(dicom(path, values, PhotometricInterpretation="PALETTE COLOR", **tables))
    assert found.tolist() == [[[1, 30, 500], [2, 40, 600]], [[2, 40, 600], [1, 30, 500]]]


def test_ybr_becomes_rgb(path):
    rgb = np.array([[[200, 30, 90], [0, 0, 0], [255, 255, 255], [10, 200, 10]]], dtype=float)
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ybr = np.clip(np.round(rgb @ matrix.T + [0, 128, 128]), 0, 255).astype(np.uint8)  # PS3.3, C.7.6.3.1.2
    found = read_image(dicom(path, ybr, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(found - rgb).max() <= 2


def test_one_bit_is_bool(path):
    values = np.zeros((4, 8), dtype=np.uint8)
    dicom(path, values, pixels=bytes([0b00000001, 0b10000000, 0, 0xFF]), BitsAllocated=1, BitsStored=1)
    found = read_image(path)
    assert found.dtype == bool
    assert np.argwhere(found[:2]).tolist() == [[0, 0], [1, 7]]
    assert found[3].all()


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_follow_the_standards_formulas(path, ct, function):
    header = {"WindowCenter": [2000, 7], "WindowWidth": [1000, 9], "VOILUTFunction": function}
    found = read_image(dicom(path, ct, BitsStored=12, **header), window="file")
    plain = np.empty(ct.shape)
    for at, x in np.ndenumerate(ct.astype(float)):  # PS3.3, C.11.2.1.2 and C.11.2.1.3, value by value
        if function == "SIGMOID":
            plain[at] = 1 / (1 + np.exp(-4 * (x - 2000) / 1000))
        else:
            c, w = (2000 - 0.5, 1000 - 1) if function == "LINEAR" else (2000, 1000)
            plain[at] = 0 if x <= c - w / 2 else 1 if x > c + w / 2 else (x - c) / w + 0.5
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plain, atol=1e-6)


def test_a_window_of_the_users_choice_and_dark_on_bright(path, ct):
    dicom(path, ct, BitsStored=12, RescaleSlope=1, RescaleIntercept=-1024)
    ordinary = read_image(path, window=(40, 400))
    np.testing.assert_allclose(ordinary, windowed(ct.astype(int) - 1024, 40, 400), atol=0)
    dicom(path, ct, BitsStored=12, RescaleSlope=1, RescaleIntercept=-1024, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_allclose(read_image(path, window=(40, 400)), 1 - ordinary, atol=1e-6)
    assert windowed(np.array([[4, 5, 6]]), 5.5, 1).tolist() == [[0, 0, 1]]
    with pytest.raises(ConfigError, match="a window needs a width of at least 1, found centre 40 and width 0"):
        read_image(path, window=(40, 0))


def test_without_a_window_in_the_header_the_range_of_the_frame_is_taken(path, ct):
    found = read_image(dicom(path, ct), window="file")
    assert (found.min(), found.max()) == (0, 1)


def test_the_patient_is_read_where_asked_for(path, ct):
    assert read_patient_id(dicom(path, ct)) == "P-0042"
    assert read_patient_id(dicom(path, ct, PatientID="")) is None


def test_a_file_without_a_mark_is_refused(path, ct):
    path.write_bytes(b"\0" * 4 + dicom(path, ct).read_bytes())
    with pytest.raises(ReadError, match=r"a.dcm +is no DICOM file with a header of its own \(no 'DICM' mark\)"):
        read_image(path)


def test_a_file_without_an_image_is_refused(path, ct):
    dicom(path, ct)
    head = path.read_bytes()
    path.write_bytes(head[: head.index(b"\xe0\x7f\x10\x00")])
    with pytest.raises(ReadError, match="is a DICOM file without an image .*; leave it out"):
        read_image(path)


def test_damage_is_told_without_a_word_of_the_header(path, ct):
    content = dicom(path, ct).read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(ReadError, match="is cut off, damaged or contradicts itself; export it again") as caught:
        read_image(path)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_unknown_kind_of_colour_is_refused_without_quoting_it(path, ct):
    dicom(path, ct, PhotometricInterpretation="JANE")
    with pytest.raises(ReadError, match="has colours of a kind that is not read") as caught:
        read_image(path)
    assert "JANE" not in str(caught.value)


def test_a_frame_that_declares_too_much_is_refused_first(path, ct):
    dicom(path, ct, Rows=60000, Columns=60000)
    with pytest.raises(ReadError, match="declares a frame of 60000 x 60000 pixels, 14400 MB decoded, over the limit"):
        read_image(path)


@pytest.mark.slow
def test_a_deflated_file_is_read_and_a_deflated_bomb_refused(path, ct):
    dicom(path, ct, UID("1.2.840.10008.1.2.1.99"))
    assert np.array_equal(read_image(path), ct)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    zeros = b"\0" * (1 << 20)
    content, start = path.read_bytes(), path.read_bytes()[:132]
    meta = 12 + struct.unpack("<I", content[140:144])[0]
    body = b"".join(packer.compress(zeros) for _ in range(400)) + packer.flush()
    path.write_bytes(start + content[132 : 132 + meta] + body)
    with pytest.raises(ReadError, match="unpacks to more than 150 MB"):
        read_image(path)


def test_a_syntax_without_decoder_is_refused_by_its_name(path, ct):
    dicom(path, ct, JPEGLosslessSV1, pixels=encapsulate([b"\xff\xd8\xff\xd9"]))
    with pytest.raises(
        ReadError, match="is compressed as JPEG Lossless, .*for which no decoder is here; `pip install python-gdcm`"
    ):
        read_image(path)
    dicom(path, ct, UID("1.2.3.4.5"))
    path.write_bytes(path.read_bytes())
    with pytest.raises(ReadError, match="an unknown transfer syntax, for which no decoder|is cut off, damaged"):
        read_image(path)


def jpeg(rows: int, columns: int, quality: int = 90) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.full((rows, columns), 77, dtype=np.uint8)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def test_a_compressed_frame_of_another_size_is_refused(path):
    values = np.zeros((16, 24), dtype=np.uint8)
    dicom(path, values, JPEGBaseline8Bit, pixels=encapsulate([jpeg(16, 24)]))
    assert np.abs(read_image(path).astype(int) - 77).max() <= 1
    dicom(path, values, JPEGBaseline8Bit, pixels=encapsulate([jpeg(160, 240)]))
    with pytest.raises(ReadError, match="is compressed to another size than its header's 24 x 16; export it again"):
        read_image(path)


def test_a_run_length_bomb_is_refused(path):
    bomb = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * 1000  # 128 zeros each
    dicom(path, np.zeros((16, 24), dtype=np.uint8), RLELossless, pixels=encapsulate([bomb]))
    with pytest.raises(ReadError, match="is compressed to another size than its header's 24 x 16"):
        read_image(path)
    assert not rle_fits(b"short", 10)
    assert rle_fits(struct.pack("<16I", 1, 64, *[0] * 14) + b"\x80\x02abc\xff\x00", 5)


def test_code_streams_declare_their_size():
    found = jpeg_shape(jpeg(160, 240))
    assert found is not None
    assert (found.rows, found.columns, found.channels, found.bits) == (160, 240, 1, 8)
    assert jpeg_shape(b"\xff\xd8 nothing here at all") is None
    assert jpeg_shape(b"\xff\xd8" + b"\xff" * 4) is None
    siz = struct.pack(">2sHH8IH", b"\xff\x51", 41, 0, 300, 200, 10, 20, 300, 200, 0, 0, 1) + bytes([11, 1, 1])
    found = jpeg2000_shape(b"\xff\x4f" + siz)
    assert found is not None
    assert (found.rows, found.columns, found.channels, found.bits) == (180, 290, 1, 12)
    assert declared_shape(b"neither") is None
