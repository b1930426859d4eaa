"""Files that must be refused, each with what is wrong and where. One row of a table is one file."""

import os
import time
import zipfile
from contextlib import suppress

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polydx.errors import AxisError, PolydxError, ReadError, SpectrumError
from polydx.io import columns, files
from polydx.io.source import FileBytes
from polydx.io.spectra import read_axis, read_spectra, read_spectra_table

AXIS = [400.5 + 1.75 * i for i in range(12)]
LINES = [f"{x}\t{i + 0.5}" for i, x in enumerate(AXIS)]
HEADER = "id," + ",".join(map(str, AXIS))
ROW = "p1," + ",".join(str(i + 0.5) for i in range(12))


def but(position: int, line: str, lines: list[str] = LINES) -> str:
    """Return the good file with one line replaced (position from 1, as in messages)."""
    return "\n".join([*lines[: position - 1], line, *lines[position:]])


def joined(delimiter: str, comma: bool = False) -> list[str]:
    return [line.replace(".", "," if comma else ".").replace("\t", delimiter) for line in LINES]


TEXT = [
    # text among the numbers
    (but(5, "1199.4 n/a"), ReadError, "line 5: expected two numbers, found '1199.4 n/a'"),
    (but(1, "400.5\tn/a"), ReadError, r"line 1: expected two numbers, found '400.5\tn/a'"),
    (but(2, "402.25\tx"), ReadError, "line 2: expected two numbers"),
    (but(3, "404.0\tx"), ReadError, "line 3: expected two numbers"),
    (but(12, "end of data"), ReadError, "line 12: expected two numbers, found 'end of data'"),
    (but(7, "# a comment"), ReadError, "line 7: expected two numbers, found '# a comment'"),
    (but(7, "411.0"), ReadError, "line 7: expected two numbers, found '411.0'"),
    (but(7, "411.0\t"), ReadError, "line 7: expected two numbers"),
    (but(7, "411.0\t6.5\t7"), ReadError, "line 7: expected two numbers"),
    (but(1, "400.5\t0.5\t7"), ReadError, "line 1: expected two numbers"),
    (but(1, "12\n" + LINES[0]), ReadError, "line 1: expected two numbers, found '12'"),
    (but(6, "409.25\t1_000"), ReadError, "line 6: expected two numbers"),
    (but(6, "409.25\t0x1F"), ReadError, "line 6: expected two numbers"),
    (but(6, "409.25\t٣"), ReadError, "line 6: expected two numbers"),
    (but(6, "409.25\t8.76902e-"), ReadError, "line 6: expected two numbers"),
    (but(6, "409.25\t" + "9" * 50 + "z" * 500), ReadError, r"line 6: .* \.\.\.'"),
    ("\n".join(line if i % 2 else line + "x" for i, line in enumerate(LINES)), ReadError, "6 problems"),
    ("shift\ta\tb\n" + "\n".join(line + "\t1" for line in LINES) + "\n500\t1", ReadError, "expected three numbers"),
    ("\n".join(line + "\t1\t2\t3" for line in LINES) + "\n500\t\t1\t2", ReadError, "line 13: expected 5 numbers"),
    # decimal marks and thousands
    ("\n".join(joined(";", comma=True)).replace("11,5", "1.234,5"), ReadError, "without thousands separators"),
    (but(6, "409.25\t1,234.5"), ReadError, "line 6: .*without thousands separators"),
    (but(6, "409.25\t1.234.567"), ReadError, "line 6: .*without thousands separators"),
    (but(6, "409.25\t5,5"), ReadError, "line 6: .*the decimal mark of the other lines is a point"),
    (but(6, "409.25;5", joined(";", comma=True)), ReadError, "line 6: .*decimal mark of the other lines is a comma"),
    ("\n".join(f"{400 + i}\t{21 + i},063" for i in range(12)), ReadError, "'21,063' may be 21063 or 21.063"),
    ("\n".join(f"{400 + i},{i},{i},5" for i in range(12)), ReadError, "may be 4 whole numbers, or two with decimal"),
    ("\n".join(f"{400 + i},{i},5" for i in range(12)), ReadError, "name the columns in a first line"),
    # not finite
    (but(4, "405.75\tnan"), SpectrumError, "line 4: intensity is nan"),
    (but(1, "400.5\tNaN"), SpectrumError, "line 1: intensity is nan"),
    (but(4, "405.75\t-inf"), SpectrumError, "line 4: intensity is -inf"),
    (but(4, "405.75\t1e999"), SpectrumError, "line 4: intensity is inf"),
    (but(4, "405.75\t1.#QNAN"), SpectrumError, "line 4: intensity is nan"),
    (but(4, "nan\t3.5"), AxisError, "line 4: axis point is nan"),
    ("\n".join(line + "\tinf" for line in LINES), SpectrumError, "line 1, spectrum 2: intensity is inf"),
    ("\n".join(f"{x}\tnan" for x in AXIS), SpectrumError, r"\.\.\. and 7 more"),
    # the axis
    (but(4, LINES[2]), AxisError, "line 4: axis point 404 cm.-1 repeats line 3"),
    (but(4, "500\t3.5"), AxisError, "line 5: axis falls from 500 to 407.5 cm.-1 where it rises elsewhere"),
    ("\n".join([*LINES[::-1], "900\t1"]), AxisError, "line 13: axis rises from 400.5 to 900"),
    ("\n".join(LINES + LINES), AxisError, "one direction"),
    ("\n".join(LINES[:7]), AxisError, "has 7 axis points; a spectrum needs at least 8"),
    (but(4, LINES[2].replace("2.5", "nan")), AxisError, "(?s)repeats line 3.*line 4: intensity is nan"),
    ("Wavelength (nm)\tcounts\n" + "\n".join(LINES), AxisError, "the axis is in nm"),
    ("\n".join(",".join(str((i * j * 7) % 11 + 0.5) for i in range(20)) for j in range(9)), AxisError, "give `axis=`"),
    # nothing in it
    ("", ReadError, "is empty"),
    ("  \n\t\n", ReadError, "holds blanks only"),
    ("\n".join(str(x) for x in AXIS), ReadError, "holds one column of numbers"),
    ("Dear reader,\nthere is nothing here.\n", ReadError, "holds no numbers in columns.*found 'Dear reader,'"),
    ("Chapter 1 2\n5 6\nprose\nmore prose\nand more\n", ReadError, "holds no numbers in columns"),
    # wide
    (HEADER + "\n", ReadError, "no spectrum under it"),
    (f"{HEADER}\n{ROW}\n{ROW},9", ReadError, "line 3: 14 cells under a header of 13"),
    (f"{HEADER}\n{ROW.replace(',2.5,', ',low,')}", ReadError, "line 2, column '404.0': expected a number, found 'low'"),
    (f"{HEADER}\n{ROW.replace(',2.5,', ',,')}", ReadError, "line 2, column '404.0': .* found an empty cell"),
    (f"{HEADER}\n{ROW.replace(',2.5,', ',nan,')}", SpectrumError, "line 2, column '404.0': intensity is nan"),
    (f"{HEADER.replace('404.0', '402.25')}\n{ROW}", AxisError, "column '402.25': axis point .* repeats"),
    (f"{HEADER.replace('404.0', '999')}\n{ROW}", AxisError, "axis falls from 999"),
    (f"{HEADER},id\n{ROW},x", ReadError, "column name 'id' stands 2 times"),
    (f'{HEADER}\n"{ROW}', ReadError, "broken quotes"),
    (
        f"{HEADER}\n{ROW}\n".replace(",", ";").replace(";2.5;", ";12,063;").replace(".5", "").replace(".", ","),
        ReadError,
        "may be 12063 or 12.063",
    ),
]


@pytest.mark.parametrize(("text", "error", "message"), TEXT)
def test_malformed_text_is_refused_by_line(tmp_path, text, error, message):
    path = tmp_path / "59_AD.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message) as caught:
        read_spectra(path)
    assert str(path) in str(caught.value)
    assert caught.value.problems


PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
BYTES = [
    ("s.txt", PNG, "is named .txt but holds a PNG image"),
    ("s.txt", b"\xff\xd8\xff\xe0" + bytes(50), "holds a JPEG image"),
    ("s.txt", b"PK\x03\x04" + bytes(50), "is named .txt but holds a ZIP archive or Office file"),
    ("s.csv", b"\x93NUMPY" + bytes(50), "is named .csv but holds a NumPy array"),
    ("s.csv", b"\x89HDF\r\n\x1a\n" + bytes(50), "holds an HDF5 file"),
    ("s.csv", b"\x1f\x8b\x08" + bytes(50), "gzip archive; unpack it first"),
    ("s.txt", b"%PDF-1.7\n", "a PDF document"),
    ("s.txt", bytes(128) + b"DICM" + bytes(40), "a DICOM image"),
    ("s.txt", b"<!DOCTYPE html>", "a web page"),
    ("s.xls", b"\xd0\xcf\x11\xe0" + bytes(50), "save it as .xlsx without a password"),
    ("s.dat", bytes(range(256)) * 4, "holds binary data, not text"),
    ("s", np.random.default_rng(0).bytes(999), "holds binary data, not text"),
    ("s.txt", "400.5\t1".encode("utf-16")[:-1], "broken UTF-16 text"),
    ("s.wdf", b"WDF1" + bytes(50), "is a Renishaw WDF file.*export it there as text"),
    ("s.spc", bytes(50), "is a Galactic SPC file.*export it there as text"),
    ("s.0", b"\x0a\x0a\xfe\xfe" + bytes(50), "is a Bruker OPUS file"),
    ("s.jdx", b"##TITLE=x", "is a JCAMP-DX file"),
    ("s.txt", b"##TITLE=x\n##JCAMP-DX=4.24\n", "is a JCAMP-DX file"),
    ("s.npy", b"400.5\t1\n", "is named .npy but holds text"),
    ("s.npy", b"\x93NUMPY" + bytes(50), "no NumPy array that can be read safely"),
    ("s.h5", b"\x89HDF\r\n\x1a\n" + bytes(50), "is a broken HDF5 file"),
    ("s.parquet", b"PAR1" + bytes(50), "is a broken Parquet file"),
    ("s.xlsx", b"PK\x03\x04" + bytes(50), "no Excel workbook that can be read"),
    ("s.xlsx", b"id,400\n", "is named .xlsx but holds text"),
]


@pytest.mark.parametrize(("name", "content", "message"), BYTES)
def test_foreign_and_broken_content_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=message) as caught:
        read_spectra(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_suggests_close_names(tmp_path):
    (tmp_path / "59_ALS.txt").write_text("x")
    with pytest.raises(ReadError, match=r"does not exist; close names there: 59_ALS\.txt"):
        read_spectra(tmp_path / "59_AL.txt")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ReadError, match="nor does its folder"):
        read_spectra(str(tmp_path / "no" / "59_AL.txt"))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ReadError, match="is a folder; give one file"):
        read_spectra(tmp_path)


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "a.txt")
    with pytest.raises(ReadError, match="symbolic link that leads back to itself"):
        read_spectra(tmp_path / "a.txt")


def test_a_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "gone.txt")
    with pytest.raises(ReadError, match=r"is a link to .*gone\.txt, which does not exist"):
        read_spectra(tmp_path / "a.txt")


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(ReadError, match="no regular file"):
        read_spectra(tmp_path / "pipe.txt")


def test_a_name_no_system_allows_is_refused(tmp_path):
    with pytest.raises(ReadError, match="null byte"):
        read_spectra("a\0b.txt")
    with pytest.raises(ReadError, match="cannot be read: File name too long"):
        read_spectra(tmp_path / ("a" * 999))


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(LINES))

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)  # root may read anything, so rights alone prove nothing
    with pytest.raises(ReadError, match="no permission"):
        read_spectra(path)


def test_a_file_that_vanishes_while_read_is_refused(tmp_path):
    with pytest.raises(ReadError, match="does not exist"):
        files.read_bytes(tmp_path / "gone.txt")


def test_a_file_over_the_limit_is_refused(tmp_path):
    path = tmp_path / "huge.txt"
    path.touch()
    os.truncate(path, files.MOST_BYTES + 1)  # sparse: takes no room
    with pytest.raises(ReadError, match="over the limit of 2 GB"):
        read_spectra(path)


NPY = [
    (np.array([{"a": 1}], dtype=object), ReadError, "no NumPy array that can be read safely"),
    (np.array(["a"] * 12), ReadError, "expected real numbers"),
    (np.ones(12, dtype=complex), ReadError, "expected real numbers"),
    (np.ones((2, 2, 12)), ReadError, r"shape \(2, 2, 12\)"),
    (np.ones((3, 11)), AxisError, "spectra have 11 points, the axis 12"),
    (np.ones((12, 3)), AxisError, "transpose it"),
    (np.full((3, 12), np.nan), SpectrumError, "spectrum 1, point 1: intensity is nan"),
]


@pytest.mark.parametrize(("array", "error", "message"), NPY)
def test_malformed_arrays_are_refused(tmp_path, array, error, message):
    np.save(tmp_path / "X.npy", array, allow_pickle=True)
    np.save(tmp_path / "axis.npy", AXIS)
    with pytest.raises(error, match=message):
        read_spectra(tmp_path / "X.npy")


def test_an_array_without_axis_says_what_to_do(tmp_path):
    np.save(tmp_path / "axis.npy", np.ones((2, 12)))
    with pytest.raises(AxisError, match=r"put one of axis_axis\.npy, axis\.npy, wavenumbers\.npy beside it, or give"):
        read_spectra(tmp_path / "axis.npy")


def test_an_array_that_claims_more_than_it_has_is_refused_before_memory_is_taken(tmp_path):
    np.save(tmp_path / "X.npy", np.ones(12))
    honest, claimed = b"(12,), }" + b" " * 11, b"(9999999999999,), }"
    content = (tmp_path / "X.npy").read_bytes()
    assert content.count(honest) == 1
    (tmp_path / "X.npy").write_bytes(content.replace(honest, claimed))
    with pytest.raises(ReadError, match="no NumPy array that can be read safely"):
        read_spectra(tmp_path / "X.npy", axis=AXIS)


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ([400.0, 401.0], "needs at least 8"),
        ([[400.0] * 12], "expected one dimension"),
        ([*AXIS[:11], AXIS[3]], "axis point 12: axis point .* repeats axis point 4"),
        (AXIS[:11], "spectra have 12 points, the axis 11"),
    ],
)
def test_a_given_axis_must_be_one(tmp_path, axis, message):
    np.save(tmp_path / "X.npy", np.ones(12))
    with pytest.raises(AxisError, match=message):
        read_spectra(tmp_path / "X.npy", axis=axis)


def test_an_axis_sibling_is_checked_and_named(tmp_path):
    np.save(tmp_path / "X.npy", np.ones(12))
    np.save(tmp_path / "axis.npy", np.ones(12))
    with pytest.raises(AxisError, match=r"(?s)axis\.npy.*repeats"):
        read_spectra(tmp_path / "X.npy")


def test_a_table_with_its_own_axis_takes_no_other(tmp_path):
    pd.DataFrame([range(12)], columns=list(map(str, AXIS))).to_parquet(tmp_path / "w.parquet")
    with pytest.raises(AxisError, match="has an axis of its own"):
        read_spectra(tmp_path / "w.parquet", axis=AXIS)


def test_an_axis_file_holds_an_axis_alone(tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(LINES))
    with pytest.raises(ReadError, match="holds 12 x 2 numbers, expected an axis alone"):
        read_axis(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("datasets", "error", "message"),
    [
        ({"axis": AXIS}, ReadError, "has no dataset spectra or values or X; it has: axis"),
        ({"spectra": [AXIS], "foo": AXIS}, ReadError, "has no dataset axis or wavenumbers"),
        ({"spectra": [["a"] * 12], "axis": AXIS}, ReadError, "dataset 'spectra' holds object"),
        ({"spectra": [AXIS], "axis": AXIS[:9]}, AxisError, "spectra have 12 points, the axis 9"),
        ({"spectra": [AXIS], "axis": AXIS[:6] * 2}, AxisError, "repeats"),
    ],
)
def test_malformed_hdf5_is_refused(tmp_path, datasets, error, message):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values
    with pytest.raises(error, match=message):
        read_spectra(tmp_path / "s.h5")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": [1], "b": [2]}), "no axis in its header.*found 'a, b'"),
        (pd.DataFrame(columns=list(map(str, AXIS)), dtype=float), "no spectrum under it"),
        (pd.DataFrame([["x"] * 12], columns=list(map(str, AXIS))), "column '400.5' holds .*, expected numbers"),
        (pd.DataFrame([[np.inf] * 12], columns=list(map(str, AXIS))), "row 1, column '400.5': intensity is inf"),
        (pd.DataFrame({"a": [[1, 2]]}), "column 'a' holds list"),
    ],
)
def test_malformed_parquet_is_refused(tmp_path, frame, message):
    frame.to_parquet(tmp_path / "w.parquet")
    with pytest.raises(PolydxError, match=message):
        read_spectra(tmp_path / "w.parquet")


def test_a_table_of_spectra_needs_its_axis_in_the_header(tmp_path):
    (tmp_path / "w.csv").write_text("name,x,y\na,1,2\n")
    with pytest.raises(AxisError, match=r"no axis in its header.*found 'name,x,y'"):
        read_spectra_table(tmp_path / "w.csv")
    pd.DataFrame({"name": ["a"], "x": [1]}).to_excel(tmp_path / "w.xlsx", index=False)
    with pytest.raises(AxisError, match=r"no axis in its header.*found 'name, x'"):
        read_spectra_table(tmp_path / "w.xlsx")


def test_only_workbooks_have_sheets(tmp_path):
    (tmp_path / "w.csv").write_text(f"{HEADER}\n{ROW}")
    with pytest.raises(ReadError, match="`sheet` is for XLSX files"):
        read_spectra_table(tmp_path / "w.csv", sheet="a")


def test_a_bad_cell_of_a_sheet_is_named_by_row(tmp_path):
    frame = pd.DataFrame([[1.0] * 12, ["low"] + [1.0] * 11], columns=AXIS)
    frame.to_excel(tmp_path / "w.xlsx", index=False)
    with pytest.raises(ReadError, match=r"row 3, column '400\.5': expected a number, found 'low'"):
        read_spectra(tmp_path / "w.xlsx")


def test_a_table_format_is_not_an_array(tmp_path):
    np.save(tmp_path / "X.npy", np.ones(12))
    with pytest.raises(ReadError, match="holds a NumPy array; expected text or xlsx or parquet"):
        read_spectra_table(tmp_path / "X.npy")


def test_a_zip_named_like_a_workbook_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.xlsx", "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(ReadError, match="no Excel workbook that can be read"):
        read_spectra(tmp_path / "w.xlsx")


def test_all_problems_of_a_file_come_in_one_error(tmp_path):
    lines = [*LINES[:3], "x", *LINES[3:5], "y z", *LINES[5:]]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    with pytest.raises(ReadError) as caught:
        read_spectra(tmp_path / "a.txt")
    assert [p.what.split(":")[0] for p in caught.value.problems] == ["line 4", "line 7"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    good=st.sampled_from(["\n".join(LINES), "\n".join(joined(";", comma=True)), f"{HEADER}\n{ROW}\n{ROW}\n"]),
    at=st.integers(0, 200),
    cut=st.integers(0, 4),
    junk=st.binary(max_size=4) | st.sampled_from([b"nan", b",", b".", b"-", b"e", b"\n", b'"', b";", b"\t", b"\xa0"]),
)
@pytest.mark.slow
def test_damage_gives_numbers_or_one_of_our_errors(tmp_path, good, at, cut, junk):
    path = tmp_path / "damaged.txt"
    content = good.encode()
    path.write_bytes(content[:at] + junk + content[at + cut :])
    with suppress(PolydxError):  # anything else that is raised fails the test
        values, axis = read_spectra(path)
        assert np.isfinite(values).all()
        assert np.all(np.diff(axis) > 0)
        assert len(axis) == values.shape[1] >= 8


@pytest.mark.slow
def test_many_bad_lines_take_no_longer_than_many_good_ones(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text("\n".join(f"{i}\t{'x' if i % 2 else 1}" for i in range(50_000)))
    start = time.process_time()
    with pytest.raises(ReadError, match="1000 lines up to line 2000 are wrong"):
        read_spectra(path)
    assert time.process_time() - start < 5


def test_several_files_in_one_cell_are_told_where_they_belong(tmp_path):
    with pytest.raises(ReadError) as caught:
        read_spectra(tmp_path / "a.txt;b.txt")
    assert "give each a row of its own: with `unit: patient`" in caught.value.problems[0].what


@pytest.mark.parametrize(
    ("lines", "told", "most"),
    [
        ("1 2\n1 2 3\n" * 20_000, "line 2: expected two numbers, found '1 2 3'", 4 * columns.MOST_BAD),
        ("1 2\n" * 3 + "1 b\n" * 40_000, "1000 lines up to line 1003 are wrong", 10),
        ("1x y\n" * 150_000, "holds no numbers in columns", 2 * columns.LONGEST_HEADER),  # looked for twice
    ],
    ids=["alternating", "wrong", "words"],
)
def test_a_file_that_is_wrong_throughout_is_given_up_early(lines, told, most, monkeypatch):
    looked, original = [], columns.layout_of
    monkeypatch.setattr(columns, "layout_of", lambda line: looked.append(line) or original(line))
    with pytest.raises(ReadError, match=told):
        read_spectra(FileBytes("hostile.txt", lines.encode()))
    assert len(looked) <= most
