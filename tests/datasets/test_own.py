"""A user's own study: every way of laying out files, and every first mistake told by row and column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import polydx
from polydx.config import StudyConfig
from polydx.datasets.own import load_own
from polydx.errors import ConfigError, ReadError, StudyError
from polydx.io.images import read_image
from polydx.study import Images, Spectra, Table

AXIS = np.arange(400.0, 420.0)
TASK = {"column": "diagnosis", "classes": ["control", "disease"], "positive": "disease"}


def spectrum(value, axis=AXIS):
    return "".join(f"{x} {value + i}\n" for i, x in enumerate(axis))


def picture(path, seed=0):
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40), dtype=np.uint8)).save(path)


def samples(*rows, head="sample,patient,file,diagnosis"):
    return "\n".join([head, *rows]) + "\n"


ROWS = ("a,P1,a.txt,control", "b,P1,b.txt,control", "c,P2,c.txt,disease", "d,P3,d.txt,")


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate("abcd"):
        (tmp_path / f"{name}.txt").write_text(spectrum(10 * i))
    (tmp_path / "samples.csv").write_text(samples(*ROWS))
    return tmp_path


def load(folder, **changes):
    section = {
        "name": "mine",
        "samples": "samples.csv",
        "modalities": {"raman": {"kind": "spectra", "column": "file"}},
        "tasks": {"diagnosis": TASK},
    } | changes
    return load_own(StudyConfig.model_validate(section), folder)


def test_the_order_of_the_rows_in_the_table_decides_nothing(folder):
    rows = [row.replace("b,", "a10,", 1).replace("c,", "a9,", 1) for row in ROWS]
    (folder / "samples.csv").write_text(samples(*rows))
    study = load(folder)
    (folder / "samples.csv").write_text(samples(*rows[2:], *rows[:2]))
    again = load(folder)
    assert study.ids.tolist() == again.ids.tolist() == ["a", "a9", "a10", "d"]
    assert study.labels.equals(again.labels)
    one, other = (s.spectra("raman").values[s.rows["raman"].rows] for s in (study, again))
    np.testing.assert_array_equal(one, other)


def refused(folder, **changes):
    with pytest.raises(StudyError) as caught:
        load(folder, **changes)
    return {p.where: p.what for p in caught.value.problems}


def test_a_file_a_row(folder):
    study = load(folder)
    assert study.ids.tolist() == ["a", "b", "c", "d"]
    assert study.patients.tolist() == ["mine/P1", "mine/P1", "mine/P2", "mine/P3"]
    assert study.label_codes("diagnosis").tolist() == [0, 0, 1, -1]
    assert study.spectra("raman").values[:, 0].tolist() == [0, 10, 20, 30]


def test_through_a_yaml_file(folder):
    section = {"study": {"samples": "samples.csv", "modalities": {"raman": {"kind": "spectra", "column": "file"}}}}
    section["study"]["tasks"] = {"diagnosis": TASK}
    (folder / "study.yaml").write_text(yaml.safe_dump(section))
    assert polydx.load_study(folder / "study.yaml").name == folder.name


def test_columns_may_have_other_names(folder):
    (folder / "samples.csv").write_text(samples(*ROWS, head="scan,mouse,file,diagnosis"))
    study = load(folder, patient_column="mouse", sample_column="scan")
    assert study.ids.tolist() == ["a", "b", "c", "d"]
    assert study.patients[2] == "mine/P2"
    assert list(study.samples.columns) == ["patient"]


def test_ids_keep_their_leading_zeros(folder):
    (folder / "samples.csv").write_text(samples("01,007,a.txt,control", "1,8,b.txt,disease"))
    study = load(folder)
    assert study.ids.tolist() == ["01", "1"]
    assert study.patients.tolist() == ["mine/007", "mine/8"]


def test_without_ids_the_files_or_the_rows_name_the_samples(folder):
    (folder / "samples.csv").write_text("patient,file,diagnosis\nP1,a.txt,control\nP2,b.txt,disease\n")
    assert load(folder).ids.tolist() == ["a.txt", "b.txt"]
    (folder / "samples.csv").write_text("patient,file,diagnosis\nP1,a.txt,control\nP2,a.txt,disease\n")
    assert load(folder).ids.tolist() == ["row2", "row3"]


def test_a_label_of_a_patient_serves_all_of_the_patient_s_samples(folder):
    (folder / "samples.csv").write_text(samples("a,P1,a.txt,", "b,P1,b.txt,disease", "c,P2,c.txt,control"))
    assert load(folder).label_codes("diagnosis").tolist() == [1, 1, 0]


def test_a_patient_may_be_the_unit(folder):
    study = load(folder, unit="patient")
    assert study.ids.tolist() == ["mine/P1", "mine/P2", "mine/P3"]
    assert study.rows["raman"].counts.tolist() == [2, 1, 1]


def test_paths_as_windows_writes_them(folder):
    (folder / "sub").mkdir()
    (folder / "a.txt").rename(folder / "sub" / "a.txt")
    (folder / "samples.csv").write_text(samples("a,P1,sub\\a.txt,control", "c,P2,c.txt,disease"))
    assert len(load(folder)) == 2


def test_a_file_of_several_spectra_is_pooled_or_a_sample_a_spectrum(folder):
    (folder / "a.txt").write_text("".join(f"{x} 1 2 3\n" for x in AXIS))
    pooled = load(folder)
    assert pooled.rows["raman"].counts.tolist() == [3, 1, 1, 1]
    each = load(folder, modalities={"raman": {"kind": "spectra", "column": "file", "rows": "samples"}})
    assert each.ids.tolist() == ["a/01", "a/02", "a/03", "b", "c", "d"]
    assert each.label_codes("diagnosis").tolist() == [0, 0, 0, 0, 1, -1]
    assert each.spectra("raman").values[each.rows["raman"].rows, 0].tolist() == [1, 2, 3, 10, 20, 30]


def test_a_sample_a_spectrum_keeps_the_rows_of_other_modalities(folder):
    (folder / "a.txt").write_text("".join(f"{x} 1 2\n" for x in AXIS))
    (folder / "people.csv").write_text("patient,age\nP1,50\nP3,70\n")
    clinical = {"kind": "table", "file": "people.csv", "columns": {"age": "number"}}
    raman = {"kind": "spectra", "column": "file", "rows": "samples"}
    study = load(folder, modalities={"raman": raman, "clinical": clinical})
    assert study.rows["clinical"].counts.tolist() == [1, 1, 1, 0, 1]


def test_a_sample_a_spectrum_needs_samples_as_unit(folder):
    raman = {"kind": "spectra", "column": "file", "rows": "samples"}
    told = refused(folder, unit="patient", modalities={"raman": raman})
    assert "`unit: sample`" in told["modality 'raman'"]


def test_the_axis_may_stand_in_a_file_of_its_own(folder):
    np.savetxt(folder / "rows.csv", [range(20), range(20, 40)], delimiter=",")
    np.savetxt(folder / "shift.csv", AXIS)
    (folder / "samples.csv").write_text(
        "patient,file,axis,diagnosis\nP1,rows.csv,shift.csv,control\nP2,c.txt,,disease\n"
    )
    raman = {"kind": "spectra", "column": "file", "axis_column": "axis"}
    study = load(folder, modalities={"raman": raman})
    assert study.rows["raman"].counts.tolist() == [1, 2]
    assert study.spectra("raman").values[1, 0] == 20


WIDE = "name,mouse,diagnosis," + ",".join(f"{x:g}" for x in AXIS)


def wide_rows(*ids):
    return "".join(f"{i},{','.join(str(100 * k + p) for p in range(20))}\n" for k, i in enumerate(ids))


def test_the_samples_table_may_be_a_wide_table_of_spectra(tmp_path):
    (tmp_path / "samples.csv").write_text(WIDE + "\n" + wide_rows("x,M1,control", "x,M1,disease", "y,M2,control"))
    task = TASK | {"level": "sample"}
    study = load(tmp_path, patient_column="mouse", modalities={"raman": {"kind": "spectra"}}, tasks={"diagnosis": task})
    assert study.ids.tolist() == ["row2", "row3", "row4"]
    assert study.samples.columns.tolist() == ["name", "patient"]
    assert study.spectra("raman").values[:, 0].tolist() == [0, 100, 200]
    assert study.label_codes("diagnosis").tolist() == [0, 1, 0]


def test_forgetting_to_name_the_spectra_is_told(folder):
    with pytest.raises(StudyError, match="modality 'raman' names neither `column` nor `file`"):
        load(folder, modalities={"raman": {"kind": "spectra"}})


@pytest.mark.parametrize("by", ["sample", "patient"])
def test_spectra_of_a_wide_table_are_joined_by_id(folder, by):
    keys = ["c", "a", "a"] if by == "sample" else ["P2", "P1", "P1"]
    rows = wide_rows(*keys).replace("\n", "\n")
    (folder / "wide.csv").write_text(f"{by}," + ",".join(f"{x:g}" for x in AXIS) + "\n" + rows)
    study = load(folder, modalities={"raman": {"kind": "spectra", "file": "wide.csv", "by": by}})
    assert [study.rows["raman"][i].tolist() for i in range(4)] == (
        [[1, 2], [], [0], []] if by == "sample" else [[1, 2], [1, 2], [0], []]
    )


def test_a_wide_table_whose_ids_fit_nobody_is_told(folder):
    (folder / "wide.csv").write_text("sample," + ",".join(f"{x:g}" for x in AXIS) + "\n" + wide_rows("q1", "q2"))
    wide = {"kind": "spectra", "file": "wide.csv"}
    assert (
        "no sample of wide.csv (such as 'q1') is in samples.csv"
        in refused(folder, modalities={"raman": wide})["modality 'raman'"]
    )
    (folder / "wide.csv").write_text("scan," + ",".join(f"{x:g}" for x in AXIS) + "\n" + wide_rows("a", "b"))
    assert "has no column 'sample' to join by" in refused(folder, modalities={"raman": wide})["modality 'raman'"]
    (folder / "wide.csv").unlink()
    assert "does not exist" in refused(folder, modalities={"raman": wide})["modality 'raman': wide.csv"]


def test_rows_of_a_joined_table_that_fit_nobody_are_noted(folder):
    (folder / "wide.csv").write_text("sample," + ",".join(f"{x:g}" for x in AXIS) + "\n" + wide_rows("a", "zz"))
    study = load(folder, modalities={"raman": {"kind": "spectra", "file": "wide.csv"}})
    assert "1 of 2 samples of wide.csv are not in samples.csv" in study.notes[0]


def test_axes_that_differ_are_resampled_or_refused(folder):
    (folder / "b.txt").write_text(spectrum(5, AXIS + 0.5))
    study = load(folder)
    assert study.spectra("raman").axis[0] == 400.5
    assert "2 different axes, resampled to their overlap" in study.notes[0]
    raman = {"kind": "spectra", "column": "file", "axis": "refuse"}
    assert "another axis than most" in refused(folder, modalities={"raman": raman})["samples.csv row 3"]


def test_axes_that_differ_by_rounding_are_one(folder):
    (folder / "b.txt").write_text(spectrum(5, AXIS + 0.001))
    study = load(folder, modalities={"raman": {"kind": "spectra", "column": "file", "axis": "refuse"}})
    assert study.spectra("raman").axis.tolist() == AXIS.tolist()
    assert "rounding" in study.notes[0]


def test_axes_without_overlap_are_told(folder):
    (folder / "b.txt").write_text(spectrum(5, AXIS + 1000))
    ((where, what),) = refused(folder).items()
    assert "b.txt" in where
    assert "covers less than half of the study's usual" in what


def test_clinical_values_are_typed_and_joined(folder):
    (folder / "people.csv").write_text("patient,age,sex,grade\nP2,61,F,2\nP1,,M,\n")
    columns = {"age": "number", "sex": "category", "grade": "category"}
    study = load(folder, modalities={"clinical": {"kind": "table", "file": "people.csv", "columns": columns}})
    table = study.modalities["clinical"]
    assert isinstance(table, Table)
    assert table.frame["age"].dtype == "float64"
    assert table.frame["grade"].tolist() == ["2", None]
    assert [study.rows["clinical"][i].tolist() for i in range(4)] == [[1], [1], [0], []]


def test_clinical_values_may_stand_in_the_samples_table(folder):
    (folder / "samples.csv").write_text("patient,age,diagnosis\nP1,50,control\nP2,60,disease\n")
    clinical = {"kind": "table", "columns": {"age": "number"}}
    study = load(folder, modalities={"clinical": clinical})
    assert study.modalities["clinical"].frame["age"].tolist() == [50, 60]


def test_text_in_a_column_of_numbers_is_told_by_row(folder):
    (folder / "people.csv").write_text("patient,age\nP1,50\nP2,sixty\n")
    clinical = {"kind": "table", "file": "people.csv", "columns": {"age": "number"}}
    assert (
        "age is 'sixty'; expected a number, or nothing if unknown"
        in refused(folder, modalities={"clinical": clinical})["people.csv row 3"]
    )


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ("patient,age\nP1,50\nP1,51\n", "patient 'P1' stands twice in people.csv"),
        ("patient,years\nP1,50\nP2,51\n", "people.csv has no column 'age'; found patient, years"),
        ("person,age\nP1,50\nP2,51\n", "has no column 'patient' to join by"),
        ("patient,age\nX1,50\nX2,51\n", "no patient of people.csv (such as 'X1')"),
    ],
)
def test_tables_that_do_not_fit_are_told(folder, people, message):
    (folder / "people.csv").write_text(people)
    clinical = {"kind": "table", "file": "people.csv", "columns": {"age": "number"}}
    assert message in refused(folder, modalities={"clinical": clinical})["modality 'clinical'"]


def test_rows_of_nobody_in_a_table_are_told(folder):
    (folder / "people.csv").write_text("patient,age\nP1,50\n,51\n")
    clinical = {"kind": "table", "file": "people.csv", "columns": {"age": "number"}}
    assert "patient is empty" in refused(folder, modalities={"clinical": clinical})["people.csv row 3"]


def test_a_missing_table_is_told(folder):
    clinical = {"kind": "table", "file": "people.csv", "columns": {"age": "number"}}
    assert "does not exist" in refused(folder, modalities={"clinical": clinical})["modality 'clinical': people.csv"]


def test_a_patient_whose_clinical_values_differ_is_told(folder):
    (folder / "samples.csv").write_text("patient,age,diagnosis\nP1,50,control\nP1,51,control\nP2,60,disease\n")
    clinical = {"kind": "table", "columns": {"age": "number"}}
    told = refused(folder, unit="patient", modalities={"clinical": clinical})
    assert "'age' of 'clinical' differs between the rows" in told["samples.csv row 2"]


def test_images_are_named_by_row_and_missing_ones_told(folder):
    picture(folder / "a.png")
    (folder / "samples.csv").write_text(samples("a,P1,a.png,control", "b,P2,,disease"))
    images = {"image": {"kind": "images", "column": "file"}}
    study = load(folder, modalities=images)
    assert isinstance(study.modalities["image"], Images)
    assert study.rows["image"].counts.tolist() == [1, 0]
    (folder / "c.png").write_bytes(b"no image")
    (folder / "samples.csv").write_text(samples("a,P1,a.png,control", "b,P2,b.png,disease", "c,P3,c.png,disease"))
    told = refused(folder, modalities=images)
    assert "does not exist" in told["samples.csv row 3: b.png"]
    assert "no image that can be recognised" in told["samples.csv row 4: c.png"]


def test_frames_are_rows_pooled_or_samples_of_their_own(folder):
    pages = [Image.new("L", (4, 4), 10 * k) for k in range(3)]
    pages[0].save(folder / "a.tif", save_all=True, append_images=pages[1:])
    picture(folder / "b.png")
    (folder / "samples.csv").write_text(samples("a,P1,a.tif,control", "b,P2,b.png,disease"))
    study = load(folder, modalities={"image": {"kind": "images", "column": "file", "window": [40, 400]}})
    assert study.rows["image"].counts.tolist() == [3, 1]
    assert study.images("image").frames == (0, 1, 2, 0)
    assert study.images("image").window == (40, 400)
    assert study.notes == ("'image': 1 file of several frames, pooled",)
    study = load(folder, modalities={"image": {"kind": "images", "column": "file", "rows": "samples"}})
    assert study.ids.tolist() == ["a/01", "a/02", "a/03", "b"]
    assert study.patients.tolist() == ["mine/P1"] * 3 + ["mine/P2"]
    assert [int(read_image(study.images("image").paths[i], k)[0, 0]) for i, k in enumerate((0, 1, 2))] == [0, 10, 20]


def test_groups_stand_in_for_patients_that_are_not_known(folder):
    for i in range(5):
        picture(folder / f"img{i + 1}.png", i)
    rows = [f"s{i},img{i + 1}.png,{'control' if i < 2 else 'disease'}" for i in range(5)]
    (folder / "samples.csv").write_text(samples(*rows, head="sample,file,diagnosis"))
    task = {"diagnosis": TASK | {"level": "sample"}}
    section = {"modalities": {"image": {"kind": "images", "column": "file"}}, "tasks": task}
    study = load(folder, **section, group={"by": "sequence", "size": 2})
    assert len(set(study.patients)) == 3
    assert study.patients[0] == study.patients[1] != study.patients[2]
    assert "patients are not known" in study.notes[-1]
    with pytest.raises(StudyError, match="for images of unknown patients there is `group`"):
        load(folder, **section)
    (folder / "samples.csv").write_text(samples("a,P1,img1.png,control"))
    with pytest.raises(StudyError, match="has a column 'patient' of patients; leave `group` out"):
        load(folder, **section, group={"by": "sequence"})


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"group": {"by": "sequence"}, "unit": "patient"}, "`group` stands in for patients that are not known"),
        ({"modalities": {"i": {"kind": "images", "column": "f", "window": [40, 0]}}}, "with a width of at least 1"),
    ],
)
def test_groups_of_patients_and_windows_without_width_are_refused(folder, changes, what):
    with pytest.raises(ValueError, match=what):
        load(folder, **changes)


def test_a_missing_and_an_empty_spectrum_are_told_together(folder):
    (folder / "b.txt").write_text("")
    (folder / "d.txt").unlink()
    told = refused(folder)
    assert "is empty (0 bytes)" in told["samples.csv row 3: b.txt"]
    assert "does not exist" in told["samples.csv row 5: d.txt"]


def test_text_among_the_numbers_of_a_spectrum_is_told(folder):
    (folder / "c.txt").write_text(spectrum(3).replace("405.0 8", "405.0 n/a"))
    assert "line 6" in refused(folder)["samples.csv row 4: c.txt"]


def test_a_column_of_files_that_is_not_there_or_empty_is_told(folder):
    (folder / "samples.csv").write_text("sample,patient,files,diagnosis\na,P1,a.txt,control\nb,P2,b.txt,disease\n")
    assert "did you mean 'files'" in refused(folder)["modality 'raman'"]
    raman = {"kind": "spectra", "column": "files", "axis_column": "shift"}
    assert "has no column 'shift'" in refused(folder, modalities={"raman": raman})["modality 'raman'"]


def test_a_missing_samples_table_is_told(tmp_path):
    with pytest.raises(ReadError, match="does not exist"):
        load(tmp_path)


def test_an_empty_samples_table_is_told(folder):
    (folder / "samples.csv").write_text("")
    with pytest.raises(ReadError, match="is empty"):
        load(folder)
    (folder / "samples.csv").write_text("sample,patient\n")
    with pytest.raises(ReadError, match="a header and no row under it"):
        load(folder)


def test_a_missing_column_of_patients_is_told(folder):
    (folder / "samples.csv").write_text(samples(*ROWS, head="sample,patients,file,diagnosis"))
    with pytest.raises(StudyError, match=r"has no column 'patient' for patients.*did you mean 'patients'"):
        load(folder)


def test_an_empty_patient_is_told_by_row(folder):
    (folder / "samples.csv").write_text(samples("a,P1,a.txt,control", "b, ,b.txt,disease"))
    assert "patient is empty" in refused(folder)["samples.csv row 3"]


def test_an_unknown_class_is_told_with_a_suggestion(folder):
    (folder / "samples.csv").write_text(samples("a,P1,a.txt,controll", "b,P2,b.txt,unclear"))
    told = refused(folder)
    assert "did you mean 'control'?" in told["samples.csv row 2"]
    assert "classes are control, disease; leave the cell empty if unknown" in told["samples.csv row 3"]


def test_a_patient_with_two_diagnoses_is_told_by_rows(folder):
    (folder / "samples.csv").write_text(samples("a,P1,a.txt,control", "b,P1,b.txt,disease", "c,P2,c.txt,control"))
    told = refused(folder)["patient 'P1'"]
    assert "control (row 2), disease (row 3)" in told
    assert "`level: sample`" in told
    assert len(load(folder, tasks={"diagnosis": TASK | {"level": "sample"}})) == 3
    assert "mend the labels" in refused(folder, unit="patient")["patient 'P1'"]


def test_repeated_and_empty_sample_ids_are_told(folder):
    (folder / "samples.csv").write_text(samples("a,P1,a.txt,control", "a,P2,b.txt,disease", ",P3,c.txt,control"))
    told = refused(folder)
    assert "sample 'a' stands twice" in told["samples.csv row 3"]
    assert told["samples.csv row 4"] == "sample is empty"


@pytest.mark.parametrize("ids", [("P 1", "P1"), ("P\u00a01", "P  1")])
def test_patients_that_differ_by_blanks_only_are_told(folder, ids):
    (folder / "samples.csv").write_text(samples(f"a,{ids[0]},a.txt,control", f"b,{ids[1]},b.txt,disease"))
    assert "differ by blanks only; write 'P1' alike everywhere" in refused(folder)["samples.csv row 3"]


def test_blanks_around_ids_do_not_count(folder):
    (folder / "samples.csv").write_text(samples("a,P1 ,a.txt,control", "b, P1,b.txt,control ", "c,P2,c.txt,disease"))
    assert set(load(folder).patients) == {"mine/P1", "mine/P2"}


@pytest.mark.parametrize("other", ["p1", "p 1"])
def test_patients_that_differ_by_case_are_refused_with_both_rows(folder, other):
    """One person would stand on both sides of a split."""
    rows = ("a,P1,a.txt,control", "b,P2,b.txt,control", f"c,{other},c.txt,disease")
    (folder / "samples.csv").write_text(samples(*rows))
    told = refused(folder)["samples.csv row 4"]
    assert f"patient 'P1' (row 2) and '{other}' (row 4) differ by case only; write one person alike everywhere" in told


def test_samples_may_differ_by_case(folder):
    (folder / "samples.csv").write_text(samples("a,P1,a.txt,control", "A,P2,b.txt,disease"))
    assert list(load(folder).ids) == ["A", "a"]


def test_a_named_column_of_samples_that_is_not_there_is_told(folder):
    assert "did you mean 'sample'" in refused(folder, sample_column="samples")["sample_column"]


def test_a_column_of_labels_that_is_not_there_is_told(folder):
    told = refused(folder, tasks={"diagnosis": TASK | {"column": "diagnose"}})
    assert "did you mean 'diagnosis'" in told["task 'diagnosis'"]


@pytest.mark.parametrize(
    ("raman", "message"),
    [
        ("{kind: spectra, column: a, file: b.csv}", "give either `column: NAME`"),
        ("{kind: spectra, axis_column: a}", "give `column` too"),
    ],
)
def test_sources_of_spectra_that_exclude_each_other_are_told_by_line(folder, raman, message):
    (folder / "study.yaml").write_text(
        f"study:\n  samples: samples.csv\n  modalities:\n    raman: {raman}\n"
        "  tasks: {d: {column: diagnosis, classes: [control, disease]}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        polydx.load_study(folder / "study.yaml")
    assert message in caught.value.problems[0].what
    assert "line 4" in caught.value.problems[0].where


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"dataset": "als-saliva", "patient_column": "mouse"}, "a named dataset knows its columns"),
        (
            {
                "samples": "s.csv",
                "options": {"a": 1},
                "modalities": {"raman": {"kind": "spectra"}},
                "tasks": {"d": {"column": "d", "classes": ["a", "b"]}},
            },
            "`options` belong to a named dataset",
        ),
    ],
)
def test_keys_that_belong_elsewhere_are_refused(section, message):
    with pytest.raises(ValueError, match=message):
        StudyConfig.model_validate(section)


def test_the_frame_of_samples_keeps_other_columns(folder):
    table = pd.read_csv(folder / "samples.csv").assign(centre=["A", "A", "B", "B"])
    table.to_csv(folder / "samples.csv", index=False)
    study = load(folder)
    assert study.samples["centre"].tolist() == ["A", "A", "B", "B"]
    assert isinstance(study.modalities["raman"], Spectra)


def test_a_file_without_an_axis_is_told(folder):
    np.savetxt(folder / "a.txt", np.ones((3, 30)))
    told = refused(folder)
    assert any(where.startswith("samples.csv row 2: a.txt") for where in told)


def test_a_column_that_differs_within_a_patient_is_no_property_of_the_patient(folder):
    rows = ("a,P1,a.txt,control,Graz,f", "b,P1,b.txt,control,Jena,f", "c,P2,c.txt,disease,Jena,m", "d,P3,d.txt,,Jena,m")
    (folder / "samples.csv").write_text(samples(*rows, head="sample,patient,file,diagnosis,centre,sex"))
    study = load(folder, unit="patient")
    assert list(study.samples.columns) == ["patient", "sex"]
    assert study.notes == ("columns that differ within a patient, left out of a study of patients: centre",)


def test_an_empty_column_of_patients_is_told_from_one_that_is_not_there(folder):
    (folder / "samples.csv").write_text(samples("a,,a.txt,control", "b,,b.txt,disease"))
    with pytest.raises(StudyError, match="column 'patient' is there but empty: fill it in"):
        load(folder)


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet"])
def test_an_empty_column_of_labels_is_told_from_one_that_is_not_there(folder, suffix):
    table = pd.read_csv(folder / "samples.csv").assign(diagnosis=None)
    write = {"csv": table.to_csv, "xlsx": table.to_excel, "parquet": table.to_parquet}[suffix]
    write(folder / f"samples.{suffix}", index=False)
    told = refused(folder, samples=f"samples.{suffix}")
    assert told["task 'diagnosis'"] == f"column 'diagnosis' of samples.{suffix} is there but empty: fill it in"


def test_equal_label_problems_are_told_once(folder):
    (folder / "samples.csv").write_text(samples("a,P1,a.txt,Diseas", "b,P2,b.txt,Diseas", "c,P3,c.txt,control"))
    told = refused(folder)["samples.csv row 2"]
    assert told == "diagnosis is 'Diseas' in 2 rows, first row 2, no class of 'diagnosis'; did you mean 'disease'?"


def test_whole_numbers_with_gaps_are_the_classes_of_their_integers(folder):
    (folder / "samples.csv").write_text(samples("a,P1,a.txt,0.0", "b,P2,b.txt,1.0", "c,P3,c.txt,"))
    task = {"column": "diagnosis", "classes": ["0", "1"]}
    assert load(folder, tasks={"d": task}).label_codes("d").tolist() == [0, 1, -1]
    (folder / "samples.csv").write_text(samples("a,P1,a.txt,0.5", "b,P2,b.txt,1.0"))
    assert "is '0.5', no class" in refused(folder, tasks={"d": task})["samples.csv row 2"]


@pytest.mark.parametrize("name", ["Total", "SUM:", "gesamt", "Mittelwert"])
def test_a_totals_row_is_told(folder, name):
    (folder / "samples.csv").write_text(samples(*ROWS, f"e,{name},,", f"{name},P1,,"))
    told = refused(folder)
    assert "a totals row?" in told["samples.csv row 6"]
    assert "a totals row?" in told["samples.csv row 7"]


def test_a_patient_called_like_a_total_with_a_file_is_a_patient(folder):
    (folder / "samples.csv").write_text(samples(*ROWS[:3], "d,Sum,d.txt,", "e,Summer,,"))
    assert len(load(folder)) == 5


@pytest.mark.parametrize("other", ["01", "1.0", "001"])
def test_patients_that_are_one_number_are_told(folder, other):
    rows = ("a,1,a.txt,control", f"b,{other},b.txt,control", "c,10,c.txt,disease")
    (folder / "samples.csv").write_text(samples(*rows))
    assert f"patient '1' (row 2) and '{other}' (row 3) are one number" in refused(folder)["samples.csv row 3"]


def test_accents_stored_in_another_way_find_their_file(folder):
    (folder / "Ma\u0308use").mkdir()
    (folder / "a.txt").rename(folder / "Ma\u0308use" / "u\u0308.txt")
    (folder / "samples.csv").write_text(samples("a,P1,M\u00e4use/\u00fc.txt,control", *ROWS[1:]))
    assert load(folder).spectra("raman").values[0, 0] == 0
    (folder / "samples.csv").write_text(samples("a,P1,M\u00e4use/\u00f6.txt,control", *ROWS[1:]))
    assert any("does not exist" in what for what in refused(folder).values())
