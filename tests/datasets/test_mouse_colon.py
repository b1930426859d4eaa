"""The reader of mouse-colon, on tables the test writes and on the real one."""

from __future__ import annotations

import pytest

from polydx.datasets.mouse_colon import load_mouse_colon
from polydx.errors import ConfigError, ReadError, StudyError

HEAD = "name,diagnosis,diagnosis_fine,tissue,mouse,location," + ",".join(str(400 + 2 * i) for i in range(10))
ROWS = [
    "a,Normal,No,preparation,M1,C1",
    "a,Karzinom,Ka,preparation,M1,C1",
    "b,Hp,Hp,biopsy,M2,B1",
    "c,Adenom,A(klein),biopsy,M2,B1",
    "a,Normal,No/HP,preparation,M3,R1",
]


def write(folder, rows=ROWS, head=HEAD):
    lines = [head, *(row + "," + ",".join(f"{i + k}.5" for k in range(10)) for i, row in enumerate(rows))]
    (folder / "spectra.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_rows_are_samples_and_repeated_names_are_numbered(tmp_path):
    study = load_mouse_colon(write(tmp_path))
    assert study.ids.tolist() == [f"mouse-colon/{n}" for n in ("a", "a#2", "b", "c", "a#3")]
    assert study.patients.tolist() == [f"mouse-colon/{m}" for m in ("M1", "M1", "M2", "M2", "M3")]
    assert study.spectra("raman").values[2, 0] == 2.5
    assert study.samples["location"].tolist() == ["C1", "C1", "B1", "B1", "R1"]


def test_diagnoses_are_translated_and_belong_to_the_sample(tmp_path):
    study = load_mouse_colon(write(tmp_path))
    task = study.tasks["diagnosis"]
    assert task.level == "sample"
    assert [task.classes[c] for c in study.label_codes("diagnosis")] == [
        "Normal",
        "Carcinoma",
        "Hyperplasia",
        "Adenoma",
        "Normal",
    ]
    assert "Karzinom = Carcinoma" in study.notes[0]


def test_other_tasks_are_there_on_demand(tmp_path):
    study = load_mouse_colon(write(tmp_path), tasks=["diagnosis_fine", "tissue"])
    assert list(study.tasks) == ["diagnosis_fine", "tissue"]
    assert study.tasks["diagnosis_fine"].classes == ("No", "No/HP", "Hp", "A(klein)", "Ka")
    assert study.label_codes("tissue").tolist() == [0, 0, 1, 1, 0]


def test_one_kind_of_tissue_can_be_kept(tmp_path):
    study = load_mouse_colon(write(tmp_path), tissue="preparation")
    assert set(study.samples["tissue"]) == {"preparation"}
    assert len(study) == 3
    assert study.tasks["diagnosis"].classes == ("Normal", "Hyperplasia", "Adenoma", "Carcinoma")
    assert "2 spectra of other tissue" in study.notes[-1]


def test_the_task_tissue_within_one_tissue_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="has one class within tissue 'biopsy'"):
        load_mouse_colon(write(tmp_path), tissue="biopsy", tasks=["tissue"])


def test_unknown_terms_and_empty_cells_are_listed_with_their_rows(tmp_path):
    rows = ["a,Krebs,No,preparation,M1,C1", "b,Hp,Hp,organoid,M2,B1", "c,Hp,Hp,biopsy,,B1", *ROWS]
    with pytest.raises(StudyError, match="3 problems") as caught:
        load_mouse_colon(write(tmp_path, rows))
    assert {(p.where, p.what.split(";")[0]) for p in caught.value.problems} == {
        ("spectra.csv row 2", "diagnosis is 'Krebs'"),
        ("spectra.csv row 3", "tissue is 'organoid'"),
        ("spectra.csv row 4", "mouse is empty"),
    }


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(ReadError, match="has no column 'mouse'; found name"):
        load_mouse_colon(write(tmp_path, head=HEAD.replace("mouse", "cage")))


def test_the_real_table_has_its_published_size(data):
    study = load_mouse_colon(data / "mouse-colon", tasks=["diagnosis", "diagnosis_fine", "tissue"])
    described = study.describe()
    assert (described["samples"], described["patients"]) == (753, 144)
    classes = described["tasks"]["diagnosis"]["classes"]
    assert {c: v["samples"] for c, v in classes.items()} == {
        "Normal": 397,
        "Hyperplasia": 97,
        "Adenoma": 196,
        "Carcinoma": 63,
    }
    assert len(described["tasks"]["diagnosis_fine"]["classes"]) == 20
    assert described["modalities"]["raman"]["points"] == 696
    several = study.labels["diagnosis"].groupby(study.patients).nunique()
    assert (several > 1).sum() == 63
