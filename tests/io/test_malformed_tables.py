"""Tables that must be refused, each with what is wrong and where. One row of a list is one file."""

import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from polydx.errors import ReadError
from polydx.io import sheets
from polydx.io.tables import read_table

CSV = [
    ("", "is empty"),
    (" \n ", "holds blanks only"),
    ("a,b\n", "has a header and no row under it"),
    ("a,b\n,\n,,\n", "has a header and no row under it"),
    ("a,b,c\n1,2,3\n1,2\n4,5,6\n", r"line 3: 2 cells under a header of 3 \('1 \| 2'\)"),
    ("a,b\n1,2\n1,2,3\n4,5\n", "line 3: 3 cells under a header of 2"),
    ("a;b\n1;2\n1;2;3\n4;5\n", "line 3: 3 cells under a header of 2"),
    ("a\tb\n1\t2\n1\n3\t4\n", "line 3: 1 cells under a header of 2"),
    ("a,b\n1,2\n\n\n1\n1,2\n", "line 5: 1 cells"),
    ('a,b\n"x\ny",2\n1\n1,2\n', "line 4: 1 cells"),
    ("age\n45\n45,5\n", "line 3: 2 cells under a header of 1"),
    ("a,b,c\n1,2\n1,2,3\n1,2,3\n1,2,3,4\n", "(?s)2 problems.*line 2: .*line 5: "),
    ("a,b,a\n1,2,3\n", r"column name 'a' stands 2 times \(columns 1, 3\)"),
    ("a, a,\u00a0a\n1,2,3\n", "column name 'a' stands 3 times"),
    ("a,a,b,b\n1,2,3,4\n", "(?s)2 problems.*'a' stands.*'b' stands"),
    ("column 2,\n1,2\n", "column name 'column 2' stands 2 times"),
    ('a,b\n"1,2\n3,4\n', "broken quotes"),
    ('a,b\n"1"x,2\n', "line 2: broken quotes"),
    ("a,b\n" + "x" * 200_000 + ",1\n", "line 2: broken quotes or an endless cell"),
]


@pytest.mark.parametrize(("text", "message"), CSV)
def test_malformed_text_tables_are_refused_by_line(tmp_path, text, message):
    path = tmp_path / "clinical.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert caught.value.problems


BYTES = [
    ("t.csv", b"\x89PNG\r\n\x1a\n" + bytes(50), "is named .csv but holds a PNG image"),
    ("t.csv", b"PK\x03\x04" + bytes(50), "must be named .xlsx"),
    ("t.csv", b"PAR1" + bytes(50), "is named .csv but holds a Parquet file"),
    ("t.csv", b"a,b\n1,\x00\x01\n", "holds binary data, not text"),
    ("t.csv", "a,b\n1,2".encode("utf-16")[:-1], "broken UTF-16 text"),
    ("t.xls", b"\xd0\xcf\x11\xe0" + bytes(50), "save it as .xlsx without a password"),
    ("t.xlsx", b"\xd0\xcf\x11\xe0" + bytes(50), "without a password"),
    ("t.xlsx", b"PK\x03\x04" + bytes(50), "no Excel workbook that can be read"),
    ("t.xlsx", b"a,b\n1,2\n", "is named .xlsx but holds text"),
    ("t.ods", b"PK\x03\x04" + bytes(50), "holds a ZIP archive or Office file"),
    ("t.parquet", b"PAR1" + bytes(50), "is a broken Parquet file"),
    ("t.parquet", b"a,b\n1,2\n", "is named .parquet but holds text"),
    ("t.npy", b"\x93NUMPY" + bytes(50), "holds a NumPy array; expected text or xlsx or parquet"),
    ("t.h5", b"\x89HDF\r\n\x1a\n" + bytes(50), "holds an HDF5 file; expected"),
]


@pytest.mark.parametrize(("name", "content", "message"), BYTES)
def test_foreign_and_broken_content_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=message):
        read_table(tmp_path / name)


def test_a_missing_table_suggests_close_names(tmp_path):
    (tmp_path / "clinical.xlsx").write_text("x")
    with pytest.raises(ReadError, match=r"close names there: clinical\.xlsx"):
        read_table(tmp_path / "clinicla.xlsx")


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(ReadError, match="is a folder"):
        read_table(tmp_path)


def book(folder: Path, **filled: list[list]) -> Path:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for title, rows in filled.items():
        worksheet = workbook.create_sheet(title)
        for row in rows:
            worksheet.append(row)
    workbook.save(folder / "t.xlsx")
    return folder / "t.xlsx"


GOOD = [["a", "b"], [1, 2]]
XLSX = [
    ({"one": [["a", "b"], [1, "#N/A"], ["#REF!", 2]]}, None, r"(?s)cell B2: holds the error #N/A.*cell A3: .*#REF!"),
    ({"one": [["a", "b"], [1, "=A2+1"]]}, None, "cell B2: has a formula whose result was never saved"),
    ({"one": GOOD, "two": GOOD}, "three", "no sheet 'three'; the sheets are: 'one', 'two'"),
    ({"one": GOOD, "two": GOOD}, "One", "no sheet 'One'"),
    ({"one": GOOD, "two": GOOD}, 2, "no sheet number 2; the sheets are: 'one', 'two'"),
    ({"one": GOOD}, -1, "no sheet number -1"),
    ({"one": []}, None, "sheet 'one' is empty"),
    ({"one": [], "two": GOOD}, None, "sheet 'one' is empty; the sheets are: one, two"),
    ({"one": [["a", "b"], [None, " "]]}, None, "has a header and no row under it"),
    ({"one": [["a", "b", "a "], [1, 2, 3]]}, None, "column name 'a' stands 2 times"),
]


@pytest.mark.parametrize(("filled", "sheet", "message"), XLSX)
def test_malformed_sheets_are_refused_by_cell(tmp_path, filled, sheet, message):
    with pytest.raises(ReadError, match=message):
        read_table(book(tmp_path, **filled), sheet=sheet)


def test_a_zip_named_like_a_workbook_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(ReadError, match="no Excel workbook that can be read"):
        read_table(tmp_path / "t.xlsx")


def test_a_workbook_cut_short_is_refused(tmp_path):
    path = book(tmp_path, one=GOOD)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ReadError, match="no Excel workbook that can be read"):
        read_table(path)


def test_a_workbook_that_unpacks_too_large_is_refused(tmp_path, monkeypatch):
    path = book(tmp_path, one=GOOD)
    monkeypatch.setattr(sheets, "MOST_BYTES", 1000)
    with pytest.raises(ReadError, match="unpacks to"):
        read_table(path)


def test_only_workbooks_have_sheets(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ReadError, match="`sheet` is for XLSX files"):
        read_table(tmp_path / "t.csv", sheet="one")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": [None, None]}), "holds no values"),
        (pd.DataFrame({"a": [[1], [2]]}), "column 'a' holds list"),
        (pd.DataFrame({"a": [1], "a ": [2]}), "column name 'a' stands 2 times"),
    ],
)
def test_malformed_parquet_is_refused(tmp_path, frame, message):
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ReadError, match=message):
        read_table(tmp_path / "t.parquet")


def test_infinite_and_missing_words_are_no_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\ninf,1\nnan,2\n")
    table = read_table(tmp_path / "t.csv")
    assert table["a"].tolist() == ["inf", "nan"]
    assert not np.issubdtype(table["b"].dtype, np.floating)
