"""Files held in memory, such as uploads, are read as the same files on the disk are, and nothing touches a disk."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from polydx.errors import AxisError, PolydxError, ReadError
from polydx.io.images import count_frames, read_image
from polydx.io.source import FileBytes
from polydx.io.spectra import read_spectra
from polydx.io.tables import read_table

AXIS = np.linspace(600.0, 1600.0, 12)
ROWS = np.arange(24.0).reshape(2, 12)


def hdf5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["spectra"], file["axis"] = ROWS, AXIS
    return buffer.getvalue()


def wide(kind: str) -> bytes:
    frame, buffer = pd.DataFrame(ROWS, columns=[f"{a:.2f}" for a in AXIS]), io.BytesIO()
    frame.to_excel(buffer, index=False) if kind == "xlsx" else frame.to_parquet(buffer)
    return buffer.getvalue()


def picture(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(buffer, kind, **options)
    return buffer.getvalue()


FILES = {
    "columns.txt": "\n".join(f"{a}\t{b}" for a, b in zip(AXIS, ROWS[0], strict=True)).encode(),
    "wide.csv": pd.DataFrame(ROWS, columns=[f"{a:.2f}" for a in AXIS]).to_csv(index=False).encode(),
    "wide.xlsx": wide("xlsx"),
    "wide.parquet": wide("parquet"),
    "arrays.h5": hdf5(),
}


@pytest.mark.parametrize("name", FILES)
def test_spectra_in_memory_are_read_like_those_on_disk(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    for ours, disk in zip(read_spectra(FileBytes(name, FILES[name])), read_spectra(tmp_path / name), strict=True):
        np.testing.assert_array_equal(ours, disk)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_images_in_memory_are_read_like_those_on_disk(tmp_path, kind):
    data = picture(kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    (tmp_path / "a").write_bytes(data)
    np.testing.assert_array_equal(read_image(FileBytes("a", data)), read_image(tmp_path / "a"))


@pytest.mark.parametrize("name", ["CT_small.dcm", "image_dfl.dcm", "JPEG2000.dcm"])
def test_dicom_in_memory_is_read_like_that_on_disk(name):
    path = get_testdata_file(name, download=False)
    with open(path, "rb") as file:
        source = FileBytes(name, file.read())
    assert count_frames(source) == int(dcmread(path).get("NumberOfFrames", 1))
    np.testing.assert_array_equal(read_image(source), read_image(path))


def test_tables_and_arrays_with_an_axis_in_memory():
    frame = read_table(FileBytes("t.csv", b"id,age\n01,40\n02,50\n"))
    assert frame.to_dict("list") == {"id": ["01", "02"], "age": [40, 50]}
    buffer = io.BytesIO()
    np.save(buffer, ROWS)
    values, axis = read_spectra(FileBytes("a.npy", buffer.getvalue()), axis=AXIS)
    np.testing.assert_array_equal(values, ROWS)
    np.testing.assert_array_equal(axis, AXIS)
    with pytest.raises(AxisError, match="nothing stands beside it; send text or a table that holds the axis"):
        read_spectra(FileBytes("a.npy", buffer.getvalue()))


def npy(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + b"\0" * 80


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (npy((10**12,)), "fewer bytes than its shape needs"),
        (npy((10,), "|O"), "Python objects"),
        (b"\x93NUMPY\x03\x00" + b"\0" * 80, "format 3.0"),
    ],
)
def test_an_array_that_promises_more_than_it_holds_is_refused_before_memory_is_taken(data, said):
    with pytest.raises(ReadError, match=said):
        read_spectra(FileBytes("a.npy", data), axis=AXIS)


def test_an_hdf5_file_that_points_to_others_or_unpacks_to_too_much_is_refused(tmp_path):
    (tmp_path / "secret").write_bytes(b"\1" * 96)
    (tmp_path / "other.h5").write_bytes(hdf5())

    def held(fill: object) -> FileBytes:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file["axis"] = AXIS
            fill(file)
        return FileBytes("a.h5", buffer.getvalue())

    def external(file: h5py.File) -> None:
        file.create_dataset("spectra", (12,), "f8", external=[(str(tmp_path / "secret"), 0, 96)])

    def linked(file: h5py.File) -> None:
        file["spectra"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/spectra")

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((2, 12), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "spectra", (2, 12))
        file.create_virtual_dataset("spectra", layout)

    def huge(file: h5py.File) -> None:
        file.create_dataset("spectra", (10**9, 12), "f8", chunks=(1, 12))

    for fill, said in (
        (external, "is kept in another file"), (linked, "has no dataset spectra"), (virtual, "is kept in another file"),
        (huge, "unpacks to 89.4 GB"),
    ):  # fmt: skip
        with pytest.raises(ReadError, match=said):
            read_spectra(held(fill))


@pytest.mark.parametrize("name", ["a.txt", "a.png", "a.dcm", "a.xlsx", "a.npy", "a.h5", "a.parquet", "a.wdf"])
@pytest.mark.parametrize(
    "data", [b"", b"\0" * 40, b"PK\3\4" + b"x" * 99, b"\x89PNG\r\n\x1a\n" + b"x" * 40, b"II*\0" * 9]
)
def test_nonsense_in_memory_is_refused_by_name(name, data):
    for read in (read_spectra, read_image, count_frames):
        with pytest.raises(PolydxError, match=name):
            read(FileBytes(name, data))


def test_what_is_held_does_not_show_when_it_is_printed():
    assert "secret" not in repr(FileBytes("a.txt", b"secret"))
