"""Columns of a table are what the study declares, every other cell is refused, and rows are joined by id."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from pydantic import ValidationError

from polydx.config import ColumnConfig, StudyConfig, TableConfig
from polydx.datasets.breast_us import COLUMNS, load_breast_us
from polydx.datasets.own import load_own
from polydx.datasets.own_joining import bare_id
from polydx.datasets.typed_columns import typed_columns
from polydx.errors import ReadError, StudyError
from polydx.study import Table

TASKS = {"diagnosis": {"column": "diagnosis", "classes": ["control", "disease"]}}


def typed(cells, missing=(), **column):
    columns = {name: ColumnConfig.model_validate(wanted) for name, wanted in column.items()}
    return typed_columns(pd.DataFrame(cells), columns, "t.csv", missing)


def told(found):
    return [(p.where, p.what) for p in found.problems]


def own(folder, people, columns, rows="patient,diagnosis\nP1,control\nP2,disease\nP3,disease\n", **more):
    (folder / "samples.csv").write_text(rows)
    (folder / "people.csv").write_text(people)
    clinical = {"kind": "table", "file": "people.csv", "columns": columns, **more}
    section = {"name": "mine", "samples": "samples.csv", "modalities": {"clinical": clinical}, "tasks": TASKS}
    return load_own(StudyConfig.model_validate(section), folder)


def test_numbers_have_a_unit_and_only_declared_oddities():
    size = {"kind": "number", "unit": "mm", "without": [">"]}
    found = typed({"size": ["12 mm", ">5", "n/a", None, "3.5mm"]}, ["N/A"], size=size)
    np.testing.assert_array_equal(found.frame["size"], [12, 5, np.nan, np.nan, 3.5])
    assert found.units == {"size": "mm"}
    assert told(found) == []
    bad = typed({"size": ["12 cm", ">5", "inf", "7"]}, size={"kind": "number", "unit": "mm"})
    assert told(bad) == [
        ("t.csv row 2", "size is '12 cm'; expected a number of mm, or nothing if unknown"),
        ("t.csv row 3", "size is '>5'; expected a number of mm, or nothing if unknown"),
        ("t.csv row 4", "size is 'inf'; expected a number of mm, or nothing if unknown"),
    ]


def test_a_decimal_comma_is_declared_or_refused():
    assert typed({"x": ["1,5", "2"]}, x={"kind": "number", "decimal": ","}).frame["x"].tolist() == [1.5, 2]
    ((_, what),) = told(typed({"x": ["1,5", "2"]}, x="number"))
    assert "a number with a decimal point (a comma is declared: `decimal: ','`)" in what


def test_words_and_numbers_that_are_no_value():
    found = typed({"age": [50, -9, 999]}, ["-9"], age={"kind": "number", "missing": [999]})
    np.testing.assert_array_equal(found.frame["age"], [50, np.nan, np.nan])


def test_levels_have_an_order():
    stage = {"kind": "ordinal", "order": [1, 2, 3]}
    found = typed({"stage": [3.0, np.nan, 1.0]}, stage=stage).frame["stage"]
    assert found.cat.ordered
    assert list(found.cat.categories) == ["1", "2", "3"]
    assert found.cat.codes.tolist() == [2, -1, 0]
    assert told(typed({"stage": ["IV"]}, ["?"], stage={"kind": "ordinal", "order": ["I", "II"]})) == [
        ("t.csv row 2", "stage is 'IV'; expected one of I, II, or '?'")
    ]


def test_dates_become_the_time_since_another_one():
    cells = {"seen": ["2001-01-01", None, "2001-07-02"], "born": ["2000-01-01", "1999-01-01", "2000-01-01 12:00:00"]}
    days = typed(cells, seen={"kind": "date", "since": "born", "name": "waited"})
    np.testing.assert_allclose(days.frame["waited"], [366, np.nan, 547.5])
    assert days.units == {"waited": "days"}
    years = typed(cells, seen={"kind": "date", "since": "born", "unit": "years"})
    assert years.frame["seen"][0] == pytest.approx(366 / 365.25)
    german = {"kind": "date", "since": "born", "format": "%d.%m.%Y"}
    assert typed({"seen": ["02.01.2000"], "born": ["01.01.2000"]}, seen=german).frame["seen"].tolist() == [1]
    assert told(typed({"seen": ["soon"], "born": ["01.01.2000"]}, seen=german)) == [
        ("t.csv row 2", "seen is 'soon'; expected a date such as 31.12.1999, or nothing if unknown")
    ]


def test_several_values_become_columns_of_yes_and_no():
    signs = {"kind": "several", "separator": "&", "none": ["no"]}
    found = typed({"signs": ["a & b", "no", "?", "b"]}, ["?"], signs=signs).frame
    assert found["signs: a"].tolist() == ["yes", "no", None, "no"]
    assert found["signs: b"].tolist() == ["yes", "no", None, "yes"]
    closed = typed({"signs": ["a&c"]}, signs=signs | {"values": ["a", "b"]})
    assert list(closed.frame) == ["signs: a", "signs: b"]
    assert told(closed) == [("t.csv row 2", "signs is 'a&c'; expected values of a, b (not 'c'), or nothing if unknown")]


def test_two_columns_cannot_share_a_name():
    found = typed({"a": ["x"], "b": ["y"]}, a="category", b={"kind": "category", "name": "a"})
    assert "is called 'a' as another one is; give it a `name`" in found.problems[0].what


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"kind": "number", "order": ["a"]}, "`order` is for ordinal, not for number"),
        ("ordinal", "ordinal needs `order:"),
        ("date", "date needs `since: COLUMN`"),
        ("several", "several needs `separator: TEXT`"),
        ({"kind": "date", "since": "x", "unit": "weeks"}, "is in `unit: days` or `unit: years`, found 'weeks'"),
        ({"kind": "ordinal", "order": ["a", "a"]}, "`order` names a level twice"),
        ({"kind": "several", "separator": ",", "none": [False]}, "put quotes around the words"),
    ],
)
def test_a_declaration_that_does_not_fit_its_kind_is_refused(column, message):
    with pytest.raises(ValidationError, match=message):
        ColumnConfig.model_validate(column)


def test_a_unit_belongs_to_a_column():
    (problem,) = Table(pd.DataFrame({"a": [1.0]}), {"b": "mm"}).problems("clinical")
    assert "a unit of 'b', which is no column" in problem.what


def test_a_row_without_a_value_is_no_row(tmp_path):
    study = own(
        tmp_path,
        "patient,age,sex\nP1,50,f\nP2,unknown,\nP3,,m\n",
        {"age": "number", "sex": "category"},
        missing=["unknown"],
    )
    assert study.present("clinical").tolist() == [True, False, True]
    assert study.modalities["clinical"].frame["sex"].tolist() == ["f", "m"]
    assert "1 sample whose row holds no value" in study.notes[0]
    with pytest.raises(StudyError) as caught:
        own(tmp_path, "patient,age\nP1,?\nP2,?\n", {"age": "number"}, missing=["?"])
    assert "no cell of people.csv holds a value in any of the columns age" in caught.value.problems[0].what
    with pytest.raises(StudyError) as caught:
        own(tmp_path, "patient,age\nP1,5\n", {"age": {"kind": "date", "since": "born"}})
    assert "people.csv has no column 'born'" in caught.value.problems[0].what


def test_ids_that_fit_nobody_are_named_with_what_they_may_mean(tmp_path):
    people = "patient,age\nP1,50\np2,60\nP03,70\nX1,1\nX2,1\nX3,1\nX4,1\n"
    study = own(tmp_path, people, {"age": "number"})
    assert study.notes == (
        "'clinical': 6 of 7 patients of people.csv are not in samples.csv: 'p2', 'P03', 'X1', 'X2', 'X3' and 1 more; "
        "'p2' may be 'P2', 'P03' may be 'P3': ids are compared as they stand, with case, blanks and leading zeros",
    )
    with pytest.raises(StudyError) as caught:
        own(tmp_path, "patient,age\np1,50\np2,60\n", {"age": "number"})
    assert "no patient of people.csv (such as 'p1') is in samples.csv (such as 'P1'); 'p1' may be 'P1'" in str(
        caught.value.problems[0].what
    )
    assert bare_id("P 007") == bare_id("p7") != bare_id("P70")


def test_the_order_of_rows_and_columns_changes_nothing(tmp_path):
    columns = {"age": "number", "sex": "category"}
    one = own(tmp_path, "patient,age,sex\nP1,50,f\nP2,60,m\nP3,70,f\n", columns)
    other = own(tmp_path, "sex,patient,age\nf,P3,70\nf,P1,50\nm,P2,60\n", columns)
    for study in (one, other):
        frame, rows = study.modalities["clinical"].frame, study.rows["clinical"]
        assert [frame.loc[rows[i][0]].tolist() for i in range(3)] == [[50, "f"], [60, "m"], [70, "f"]]


def scan(path, seed):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)).save(path)


def scans(folder, copied):
    """Three people with two images each; of `copied`, `post` shows what `flair` shows, in another format."""
    rows = ["patient,flair,post,diagnosis"]
    for i, (name, answer) in enumerate([("P1", "control"), ("P2", "disease"), ("P3", "disease")]):
        scan(folder / "pictures" / f"{name}_f.png", i)
        scan(folder / "pictures" / f"{name}_p.bmp", i if name in copied else 10 + i)
        rows.append(f"{name},pictures/{name}_f.png,pictures/{name}_p.bmp,{answer}")
    (folder / "samples.csv").write_text("\n".join(rows) + "\n")


def own_scans(folder, **post):
    images = {"flair": {"kind": "images", "column": "flair"}, "post": {"kind": "images", "column": "post", **post}}
    return StudyConfig.model_validate({"name": "mine", "samples": "samples.csv", "modalities": images, "tasks": TASKS})


def test_a_declared_copy_in_anothers_place_is_missing(tmp_path):
    scans(tmp_path, ["P2"])
    study = load_own(own_scans(tmp_path, copy_of="flair"), tmp_path)
    assert study.present("post").tolist() == [True, False, True]
    assert [p.name for p in study.images("post").paths] == ["P1_p.bmp", "P3_p.bmp"]
    assert study.notes == (
        "'post': 1 row equal to 'flair' of the same sample taken away; 1 sample missing it now for that reason",
    )
    assert load_own(own_scans(tmp_path), tmp_path).present("post").all()
    scans(tmp_path, ["P1", "P2", "P3"])
    with pytest.raises(StudyError, match="every row of 'post' is a copy of 'flair': leave the modality out"):
        load_own(own_scans(tmp_path, copy_of="flair"), tmp_path)


@pytest.mark.parametrize("original", ["post", "flaire"])
def test_a_copy_is_of_another_modality_of_its_kind(tmp_path, original):
    with pytest.raises(ValidationError, match="`copy_of` of 'post' names another modality of images, found"):
        own_scans(tmp_path, copy_of=original)


@pytest.mark.slow
def test_the_real_ultrasound_sheet_reads_the_same_as_a_users_own(data, tmp_path):
    table = pd.read_csv(data / "breast-us" / "manifest.csv", dtype=str)
    table = table[table["Classification"] != "normal"].iloc[::-1]
    table["image"] = [str(data / "breast-us" / path) for path in table["image"]]
    table.to_csv(tmp_path / "sheet.csv", index=False)
    section = {
        "samples": "sheet.csv", "patient_column": "CaseID", "name": "breast-us",
        "modalities": {"clinical": {"kind": "table", **yaml.safe_load(COLUMNS)}},
        "tasks": {"malignancy": {"column": "Classification", "classes": ["benign", "malignant"]}},
    }  # fmt: skip
    mine = load_own(StudyConfig.model_validate(section), tmp_path)
    named = load_breast_us(data / "breast-us")
    pd.testing.assert_frame_equal(
        mine.modalities["clinical"].frame, named.modalities["clinical"].frame.iloc[::-1].reset_index(drop=True)
    )
    assert mine.modalities["clinical"].units == {"Age": "years"}


@pytest.mark.slow
def test_the_real_copies_of_flair_are_those_that_the_source_flags(data):
    images = {s: {"kind": "images", "column": f"image_{s}"} for s in ("flair", "pre", "post")}
    for name in ("pre", "post"):
        images[name]["copy_of"] = "flair"
    task = {"column": "death01", "classes": ["0", "1"]}
    section = {
        "samples": str(data / "lgg" / "manifest.csv"), "name": "lgg", "modalities": images, "tasks": {"vital": task},
    }  # fmt: skip
    study = load_own(StudyConfig.model_validate(section), data)
    flags = pd.read_csv(data / "lgg" / "manifest.csv").set_index("image_flair").loc[study.ids]
    for name in ("pre", "post"):
        assert (~study.present(name)).tolist() == (flags[f"{name}_is_flair_copy"] == 1).tolist()
    assert [int((~study.present(name)).sum()) for name in images] == [0, 6, 10]


def test_a_tables_declaration_reads_back():
    table = TableConfig.model_validate(
        {"kind": "table", "columns": {2: "number", "s": {"kind": "several", "separator": "&"}}}
    )
    assert TableConfig.model_validate(table.model_dump(mode="json")) == table
    assert table.columns["2"].kind == "number"


def test_a_broken_image_is_told_where_copies_are_looked_for(tmp_path):
    scans(tmp_path, ["P2"])
    whole = (tmp_path / "pictures" / "P1_f.png").read_bytes()
    (tmp_path / "pictures" / "P1_f.png").write_bytes(whole[:200])
    with pytest.raises((ReadError, StudyError), match=r"P1_f\.png|1 problem"):
        load_own(own_scans(tmp_path, copy_of="flair"), tmp_path)
