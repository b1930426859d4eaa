"""Tables keep what stands in them: ids, dates, words, and numbers as numbers."""

import datetime as dt
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polydx.io.tables import read_table
from polydx.io.typed import typed_column

DATA = Path(__file__).parents[3] / "shared" / "data"


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


def write(folder: Path, text: str, name: str = "t.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def sheet(folder: Path, *rows: list) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(folder / "t.xlsx")
    return folder / "t.xlsx"


def test_the_als_sheet_loses_its_trailing_blanks():
    table = read_table(real("als-saliva") / "Spectral Number SLA and CTRL.xlsx")
    assert list(table.columns) == ["patient_id", "file_id_range", "column 3"]
    assert len(table) == 30
    text = table[["patient_id", "file_id_range"]].dropna().to_numpy().ravel()
    assert all(cell == cell.strip() for cell in text)
    assert table["file_id_range"][0] == "1 a 60"


def test_the_breast_sheet_keeps_mixed_columns_as_text_and_has_a_second_sheet():
    path = real("breast-us") / "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx"
    table = read_table(path)
    assert table.shape == (256, 21)
    assert table["CaseID"].dtype == "int64"
    assert {"2", "4a", "4b"} <= set(table["BIRADS"].dropna())
    assert "not available" in set(table["Age"])
    assert table["Pixel_size"][0] == 0.0078125
    assert list(read_table(path, sheet="Data Dictionary").columns) == ["type", "description"]
    assert read_table(path, sheet=1).equals(read_table(path, sheet="Data Dictionary"))


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "2"], "int64", [1, 2]),
        (["1", "", "3"], "Int64", [1, pd.NA, 3]),
        (["1.5", "", "-2"], "float64", [1.5, np.nan, -2.0]),
        (["2.1e+04", "8.76902e-006"], "float64", [21000.0, 8.76902e-06]),
        (["123456789012345678"], "int64", [123456789012345678]),
        (["007", "8"], "str", ["007", "8"]),
        (["12345678901234567890"], "str", ["12345678901234567890"]),
        (["12E3", "13E3"], "str", ["12E3", "13E3"]),
        (["+49"], "str", ["+49"]),
        (["NA", "None", "nan", ""], "str", ["NA", "None", "nan", np.nan]),
        (["2020-01-02", "1/2"], "str", ["2020-01-02", "1/2"]),
        (["1_000"], "str", ["1_000"]),
        (["٣"], "str", ["٣"]),
        (["1.0e+999"], "str", ["1.0e+999"]),
        (["1,5"], "str", ["1,5"]),
        (["", ""], "str", [np.nan, np.nan]),
    ],
)
def test_a_column_is_numbers_only_if_every_cell_is_plain(cells, kind, values):
    column = typed_column(cells)
    assert str(column.dtype) == kind
    pd.testing.assert_series_equal(column, pd.Series(values, dtype=kind))


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,5", "", "2"], [1.5, np.nan, 2.0]),
        (["1,234", "0,5"], [1.234, 0.5]),
        (["1,234", "999"], None),  # may be thousands
        (["1.234,5", "2,5"], None),
        (["1,5", "2.5"], None),
    ],
)
def test_decimal_commas_count_only_where_they_are_clear(cells, values):
    column = typed_column(cells, comma=True)
    if values is None:
        assert column.tolist() == cells
    else:
        np.testing.assert_array_equal(column.to_numpy(), values)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]),
    end=st.sampled_from(["\n", "\r\n"]),
    numbers=st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 4) + 0.5), min_size=3, max_size=3),
    words=st.lists(st.text("aé µ;,'-", min_size=1, max_size=8).filter(str.strip), min_size=3, max_size=3),
)
def test_the_same_table_reads_the_same_however_written(tmp_path, delimiter, encoding, end, numbers, words):
    mark = "." if delimiter == "," else ","
    rows = [["id", " Größe ", "note"]]
    rows += [[f"00{i}", f"{x:.6f}".replace(".", mark), w] for i, (x, w) in enumerate(zip(numbers, words, strict=True))]
    text = end.join(delimiter.join(f'"{cell}"' for cell in row) for row in rows) + end
    table = read_table(write(tmp_path, text, encoding=encoding))
    assert list(table.columns) == ["id", "Größe", "note"]
    assert table["id"].tolist() == ["000", "001", "002"]
    assert table["Größe"].tolist() == [float(f"{x:.6f}") for x in numbers]
    assert table["note"].tolist() == [word.strip() for word in words]


def test_blanks_empty_rows_and_empty_columns_go(tmp_path):
    table = read_table(write(tmp_path, "\n a ,b,,\u00a0c\u00a0\n\n 1 ,\u00a0x y ,,\n,,,\n2,,,z\n"))
    assert table.to_dict("list") == {"a": [1, 2], "b": ["x y", np.nan], "c": [np.nan, "z"]}


def test_a_column_without_name_is_called_by_its_place(tmp_path):
    assert list(read_table(write(tmp_path, "a,,b\n1,2,3\n")).columns) == ["a", "column 2", "b"]


def test_excels_own_first_line_settles_the_delimiter(tmp_path):
    table = read_table(write(tmp_path, "sep=;\na,b;c\n1,5;2\n"))
    assert table.to_dict("list") == {"a,b": [1.5], "c": [2]}


def test_one_column_is_a_table(tmp_path):
    assert read_table(write(tmp_path, "id\n001\n002\n"))["id"].tolist() == ["001", "002"]


def test_line_ends_and_delimiters_in_quotes_stay(tmp_path):
    assert read_table(write(tmp_path, 'a,b\n"x\ny","1,2"\n')).to_dict("list") == {"a": ["x\ny"], "b": ["1,2"]}


def test_columns_can_be_kept_as_text(tmp_path):
    table = read_table(write(tmp_path, "visit,age\n1.1,40\n1.10,41\n"), text=["visit"])
    assert table["visit"].tolist() == ["1.1", "1.10"]
    assert table["age"].tolist() == [40, 41]


def test_a_sheet_keeps_numbers_dates_and_words(tmp_path):
    path = sheet(
        tmp_path,
        ["id", "n", "x", "day", "at", "clock", "yes", "big", " word\u00a0"],
        ["007", 1.0, 0.1, dt.datetime(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4), dt.time(5, 6), True, 10**15, " NA "],
        ["8", 2.0, 1e-07, dt.date(2021, 3, 4), None, None, False, 2, None],
    )
    table = read_table(path)
    assert table.iloc[0].tolist() == [
        "007", 1, 0.1, "2020-01-02", "2020-01-02 03:04:00", "05:06:00", "TRUE", 10**15, "NA",
    ]  # fmt: skip
    assert table.columns[-1] == "word"
    assert table["n"].dtype == table["big"].dtype == "int64"
    assert table["x"].tolist() == [0.1, 1e-07]


def test_a_sheet_with_a_wrong_size_written_in_it_is_read_whole(tmp_path, monkeypatch):
    path = sheet(tmp_path, ["a", "b"], [1, 2], [3, 4])
    monkeypatch.setattr("openpyxl.worksheet._read_only.ReadOnlyWorksheet.calculate_dimension", lambda *_: "A1:A1")
    assert read_table(path).shape == (2, 2)


def test_a_formula_that_gives_an_empty_text_is_an_empty_cell(tmp_path):
    path = sheet(tmp_path, ["a", "b"], ["x", '=IF(1,"","")'])
    rewrite_formula(path, 't="str"', "<v></v>")
    assert read_table(path).to_dict("list") == {"a": ["x"]}


def rewrite_formula(path: Path, kind: str, result: str) -> None:
    """Give the formula in B2 a saved result, as Excel would."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    xml = parts[name].decode()
    start, end = xml.index('<c r="B2"'), xml.index("</c>", xml.index('<c r="B2"'))
    formula = xml[xml.index("<f>", start) : xml.index("</f>", start) + 4]
    parts[name] = (xml[:start] + f'<c r="B2" {kind}>{formula}{result}' + xml[end:]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)


def test_a_formula_reads_as_its_saved_result(tmp_path):
    path = sheet(tmp_path, ["a", "b"], [1, "=A2+1"])
    rewrite_formula(path, "", "<v>2</v>")
    assert read_table(path).to_dict("list") == {"a": [1], "b": [2]}


def test_parquet_keeps_its_types_and_writes_dates_as_text(tmp_path):
    frame = pd.DataFrame(
        {
            " id ": ["007 ", ""],
            "n": [1, 2],
            "day": pd.to_datetime(["2020-01-02", None]),
            "kind": pd.Categorical(["a", "b"]),
            "gone": [None, None],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    expected = {"id": ["007", np.nan], "n": [1, 2], "day": ["2020-01-02", np.nan], "kind": ["a", "b"]}
    assert table.to_dict("list") == expected
    assert read_table(tmp_path / "t.parquet", text=["n"])["n"].tolist() == ["1", "2"]


def test_a_large_csv_reads_like_pandas(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(500, 6)), columns=list("abcdef")).assign(n=rng.integers(0, 9, 500))
    frame.to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), pd.read_csv(tmp_path / "t.csv"))
