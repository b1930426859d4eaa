"""A first study.yaml for folders as strangers have them; the text must load as it is, or after the edit it asks for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import polydx
from polydx.datasets.covid_saliva import load_covid_saliva
from polydx.datasets.propose import propose_study
from polydx.datasets.propose_columns import guess_patient
from polydx.datasets.propose_files import named_after
from polydx.datasets.propose_tasks import guess_tasks, judge_columns
from polydx.datasets.propose_yaml import quoted
from polydx.errors import ReadError, StudyError
from polydx.io.config_file import read_config

AXIS = np.arange(400.0, 500.0, 2.0)
PEOPLE = [(f"subj{i:02d}", "healthy" if i % 2 else "ill", 40 + i, "FM"[i % 3 % 2]) for i in range(8)]


def write_spectrum(path, level, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = level + rng.random(len(AXIS)) + np.exp(-(((AXIS - 450) / 10) ** 2)) * level
    np.savetxt(path, np.c_[AXIS, values], fmt="%.4f")


def accept(root, edit=lambda text: text):
    """Write the proposal where it belongs, with at most one edit, and load it."""
    proposal = propose_study(root)
    if proposal.samples is not None:
        proposal.samples.to_csv(root / proposal.samples_file, index=False)
    (root / "study.yaml").write_text(edit(proposal.yaml))
    return polydx.load_study(root / "study.yaml"), proposal


def people(columns=("Subject", "Condition", "Age", "Sex")):
    return pd.DataFrame(PEOPLE, columns=list(columns))


def test_a_table_that_names_a_file_a_row(tmp_path, rng):
    rows = []
    for subject, condition, *_ in PEOPLE:
        for k in range(2):
            write_spectrum(tmp_path / "scans" / f"{subject}_{k}.txt", 1 + (condition == "ill"), rng)
            rows.append((f"{subject}_{k}", subject, f"scans/{subject}_{k}.txt", condition))
    pd.DataFrame(rows, columns=["id", "case", "path", "status"]).to_csv(tmp_path / "list.csv", index=False)
    study, proposal = accept(tmp_path)
    assert proposal.samples is None
    assert study.ids[0] == "subj00_0"
    assert study.describe()["patients"] == 8
    assert study.tasks["status"].classes == ("healthy", "ill")
    assert study.tasks["status"].positive == "ill"


def test_file_names_without_folder_or_ending_are_found(tmp_path, rng):
    for subject, *_ in PEOPLE:
        write_spectrum(tmp_path / "deep" / "scans" / f"{subject}.txt", 1, rng)
    people().to_excel(tmp_path / "people.xlsx", index=False)
    study, proposal = accept(tmp_path)
    assert proposal.samples["file"].tolist()[0] == "deep/scans/subj00.txt"
    assert len(study) == 8
    assert study.tasks["condition"].classes == ("healthy", "ill")


def test_rows_without_a_file_are_noted(tmp_path, rng):
    for subject, *_ in PEOPLE[:6]:
        write_spectrum(tmp_path / "scans" / f"{subject}.txt", 1, rng)
    people().to_csv(tmp_path / "people.csv", index=False)
    assert "2 of 8 rows of people.csv name no file" in propose_study(tmp_path).notes[0]


def test_a_folder_a_patient_with_a_table_of_patients(tmp_path, rng):
    for subject, condition, *_ in PEOPLE:
        for k in range(3):
            write_spectrum(tmp_path / "data" / subject / f"scan {k}.txt", 1 + (condition == "ill"), rng)
        (tmp_path / "data" / subject / "readme.txt").write_text("measured on a Monday\n")
    people().to_excel(tmp_path / "people.xlsx", index=False)
    study, proposal = accept(tmp_path)
    assert proposal.samples_file == "samples.csv"
    assert len(study) == 24
    assert study.samples["Age"].nunique() == 8
    result = polydx.cross_validate(study, read_config(tmp_path / "study.yaml").recipes, folds=2)
    assert set(result.predictions["class"]) == {"healthy", "ill"}


def test_folders_and_rows_without_their_other_half_are_noted(tmp_path, rng):
    for subject in [*(p[0] for p in PEOPLE[:6]), "stranger"]:
        write_spectrum(tmp_path / subject / "scan.txt", 1, rng)
    people().to_csv(tmp_path / "people.csv", index=False)
    study, proposal = accept(tmp_path)
    assert "1 folder without a row" in proposal.notes[0]
    assert "2 rows of people.csv without a folder" in proposal.notes[1]
    assert study.label_codes("condition").tolist().count(-1) == 1


def test_a_folder_a_patient_with_the_class_in_its_name(tmp_path, rng):
    for i in range(6):
        for k in range(2):
            write_spectrum(tmp_path / f"{'ctrl' if i % 2 else 'case'}_{i}" / f"{k}.txt", 1, rng)
    study, proposal = accept(tmp_path)
    assert study.tasks["group"].classes == ("ctrl", "case")
    assert study.describe()["patients"] == 6
    assert any("start of the folder's name" in note for note in proposal.notes)


def test_a_folder_a_class_with_patients_in_it(tmp_path, rng):
    for label in ("benign", "malignant"):
        for p in range(3):
            for k in range(2):
                write_spectrum(tmp_path / label / f"P{label[0]}{p}" / f"s{k}.txt", 1, rng)
    study, _ = accept(tmp_path)
    assert study.describe()["patients"] == 6
    assert study.tasks["class"].classes == ("benign", "malignant")


def test_a_folder_a_class_with_patients_in_the_file_names(tmp_path, rng):
    for label in ("benign", "malignant"):
        for p in range(3):
            for k in range(2):
                write_spectrum(tmp_path / label / f"{label[0]}{'xyz'[p]}_{k}.txt", 1, rng)
    study, proposal = accept(tmp_path)
    assert study.describe()["patients"] == 6
    assert any("check the column 'patient'" in note for note in proposal.notes)


def test_unknown_patients_are_never_invented(tmp_path, rng):
    for label in ("benign", "malignant"):
        for name in ("one", "two", "three"):
            write_spectrum(tmp_path / label / f"{name}.txt", 1, rng)
    assert propose_study(tmp_path).notes[0].startswith("EDIT ME: nothing says whose file is whose")
    with pytest.raises(StudyError, match="column 'patient' is there but empty"):
        accept(tmp_path)


def test_images_by_class_get_a_network(tmp_path):
    for label in ("benign", "malignant"):
        for p in range(2):
            (tmp_path / label / f"P{label[0]}{p}").mkdir(parents=True)
            for k in range(2):
                Image.new("L", (4, 4)).save(tmp_path / label / f"P{label[0]}{p}" / f"{k}.png")
    study, _ = accept(tmp_path)
    assert study.modalities["image"].kind == "images"
    assert read_config(tmp_path / "study.yaml").recipes["cnn"].kind == "network"


@pytest.mark.parametrize(("names", "group"), [(["cell-{}", "cell-{}"], "sequence"), (["{}", "x"], "duplicates")])
def test_images_by_class_without_patients_are_grouped(tmp_path, rng, names, group):
    for label in ("benign", "malignant"):
        (tmp_path / label).mkdir()
        for k in range(3):
            name = names[0].format(k) if group == "sequence" else "abc"[k]
            noise = rng.integers(0, 256, (40, 40), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / label / f"{name}.png")
    study, proposal = accept(tmp_path)
    assert f"group: {{by: {group}" in proposal.yaml
    assert "patient" not in proposal.samples
    assert any("nothing says which images are one patient's" in note for note in proposal.notes)
    assert study.tasks["class"].level == "sample"
    assert len(set(study.patients)) == (2 if group == "sequence" else 6)


def wide(path, ids, rng, **columns):
    frame = pd.DataFrame(rng.random((len(ids), len(AXIS))), columns=[f"{x:g}" for x in AXIS])
    for name, values in reversed({"id": ids, **columns}.items()):
        frame.insert(0, name, values)
    (frame.to_excel if path.suffix == ".xlsx" else frame.to_csv)(path, index=False)


@pytest.mark.parametrize("name", ["all.csv", "all.xlsx"])
def test_a_wide_table_is_used_as_it_is(tmp_path, rng, name):
    ids = [f"s{i}" for i in range(12)]
    wide(tmp_path / name, ids, rng, animal=[f"M{i // 2}" for i in range(12)], diagnosis=["sick", "control"] * 6)
    study, proposal = accept(tmp_path)
    assert proposal.samples is None
    assert study.ids.tolist() == ids
    assert study.tasks["diagnosis"].level == "sample"
    assert study.describe()["patients"] == 6


def test_a_wide_table_is_joined_to_the_table_with_the_labels(tmp_path, rng):
    subjects = [p[0] for p in PEOPLE for _ in range(2)]
    wide(tmp_path / "spectra.csv", list(range(16)), rng, Subject=subjects)
    people().to_csv(tmp_path / "people.csv", index=False)
    study, _ = accept(tmp_path)
    assert len(study) == 8
    assert study.rows["raman"].counts.tolist() == [2] * 8
    assert study.tasks["condition"].classes == ("healthy", "ill")


def test_a_wide_table_without_patients_asks_for_the_column(tmp_path, rng):
    wide(tmp_path / "all.csv", [f"s{i}" for i in range(8)], rng, who=["A", "A", "B", "B", "C", "C", "D", "D"],
         diagnosis=["sick", "sick", "control", "control"] * 2)  # fmt: skip
    assert "patient_column: PATIENT  # EDIT ME" in propose_study(tmp_path).yaml
    study, _ = accept(tmp_path, lambda text: text.replace("patient_column: PATIENT", "patient_column: who"))
    assert study.describe()["patients"] == 4


def test_a_folder_that_says_nothing_gets_places_to_fill(tmp_path):
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    proposal = propose_study(tmp_path)
    assert proposal.samples is None
    assert proposal.yaml.count("EDIT ME") >= 4
    (tmp_path / "study.yaml").write_text(proposal.yaml)
    assert read_config(tmp_path / "study.yaml").study.samples is not None


def test_an_own_samples_csv_is_not_written_over(tmp_path, rng):
    for subject, *_ in PEOPLE:
        write_spectrum(tmp_path / subject / "scan.txt", 1, rng)
    people().to_csv(tmp_path / "samples.csv", index=False)
    study, proposal = accept(tmp_path)
    assert proposal.samples_file == "polydx-samples.csv"
    assert len(study) == 8


def test_a_class_with_one_patient_is_noted(tmp_path, rng):
    for i, (subject, *_) in enumerate(PEOPLE):
        for k in range(2):
            write_spectrum(tmp_path / subject / f"{k}.txt", 1 + i, rng)
    people().assign(Condition=["ill", *["healthy"] * 7]).to_csv(tmp_path / "people.csv", index=False)
    assert any("a single patient" in note for note in propose_study(tmp_path).notes)


def test_no_folder_and_an_empty_one_are_refused(tmp_path):
    with pytest.raises(ReadError, match="no folder"):
        propose_study(tmp_path / "absent")
    with pytest.raises(ReadError, match="holds no files"):
        propose_study(tmp_path)


def test_tasks_are_guessed_by_name_values_and_level():
    table = pd.DataFrame(
        {
            "case": ["a", "a", "b", "b", "c", "c"],
            "sex": ["F", "F", "M", "M", "F", "F"],
            "colour": ["red", "blue"] * 3,
            "outcome": ["yes", "yes", "no", "no", "no", "no"],
            "label": [1, 1, 0, 0, 0, 0],
            "remark": list("uvwxyz"),
        }
    )
    tasks = guess_tasks(table, table["case"], ("case",))
    assert [(t.column, t.classes, t.level, t.hinted) for t in tasks] == [
        ("outcome", ("no", "yes"), "patient", True),
        ("colour", ("blue", "red"), "sample", False),
    ]


@pytest.mark.parametrize("name", ["PatientID", "patient_id", "Subject", "mouse", "Case No"])
def test_columns_of_patients_are_known_by_their_names(name):
    assert guess_patient(pd.DataFrame({"file": ["a"], name: ["x"]})) == name
    assert guess_patient(pd.DataFrame({"file": ["a"], "showcase": ["x"]})) is None


@pytest.mark.parametrize("text", ["no", "COV+", "a: b", "#x", "1", "1e5", "T1", "null", "ä", "it's", '"', "~", ""])
def test_text_is_quoted_so_that_yaml_reads_it_back(text):
    import yaml

    assert yaml.safe_load(f"[{quoted(text)}]") == [text]


def test_a_renamed_copy_of_a_real_study_runs_from_its_proposal(data, tmp_path):
    """A spreadsheet of people and a folder a patient, matrices and axes apart: no edit is needed."""
    source = data / "covid-saliva"
    names = ["COV+_01", "COV+_02", "COV-_11", "COV-_12", "CTRL_01", "CTRL_02"]
    root, rows = tmp_path / "spit", []
    for i, name in enumerate(names):
        folder = root / "measured" / f"person {i}"
        folder.mkdir(parents=True)
        shutil.copy(source / name / "spectra.csv", folder / "counts.csv")
        shutil.copy(source / name / "raman_shift.csv", folder / "wavenumbers.csv")
        shutil.copytree(source / name, tmp_path / "original" / name)
        rows.append((f"person {i}", name.split("_")[0], 30 + i))
    pd.DataFrame(rows, columns=["Participant", "Status", "Age"]).to_excel(root / "people.xlsx", index=False)
    study, _ = accept(root)
    original = load_covid_saliva(tmp_path / "original")
    assert len(study) == len(original)
    assert set(study.tasks["status"].classes) == {"CTRL", "COV-", "COV+"}
    np.testing.assert_array_equal(study.spectra("raman").values, original.spectra("raman").values)
    config = read_config(root / "study.yaml")
    result = polydx.cross_validate(study, config.recipes, config.validation)
    assert set(result.predictions["sample"]) == set(study.ids)


def listed(root, rng, **columns):
    """Write eight spectra and a table of them, with the columns asked for."""
    for subject, *_ in PEOPLE:
        write_spectrum(root / f"{subject}.txt", 1, rng)
    table = pd.DataFrame({"person": [p[0] for p in PEOPLE], "file": [f"{p[0]}.txt" for p in PEOPLE], **columns})
    table.to_csv(root / "list.csv", index=False)
    return propose_study(root)


def test_a_stray_value_does_not_hide_the_diagnosis_and_is_told(tmp_path, rng):
    values = ["ill", "Ill ", "ill", "healthy", "healthy", "healthy", "helthy", "n/a"]
    proposal = listed(tmp_path, rng, Befund=values, Zentrum=["Jena", "Graz"] * 4)
    assert "classes: [healthy, ill]  # guess: their order; no class: 'Ill', 'helthy', 'n/a'" in proposal.yaml
    assert "task: befund, level: patient" in proposal.yaml
    assert any("column 'Befund' holds what is no class: 'Ill', 'helthy', 'n/a'" in note for note in proposal.notes)
    assert "zentrum" not in proposal.yaml


def test_a_column_named_like_labels_that_is_none_is_told_with_the_reason(tmp_path, rng):
    proposal = listed(tmp_path, rng, diagnosis=list("abcdefgh"), colour=["red", "blue"] * 4, grade=[0.5, 1.5] * 4)
    told = next(note for note in proposal.notes if "not taken as a task" in note)
    assert "'diagnosis' (fewer than two values stand in two rows or more)" in told
    assert "'grade' (numbers with decimals)" in told


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["a", "a", "b", "b", *"cdefgh"], "6 of 10 values stand in one row only"),
        ([str(i // 2) for i in range(24)], "12 different values, more than 10"),
    ],
)
def test_too_many_values_are_no_classes(cells, reason):
    tasks, rejected = judge_columns(pd.DataFrame({"diagnosis": cells}), None, ())
    assert tasks == []
    assert rejected == {"diagnosis": reason}


def test_a_name_that_says_two_things_and_a_twin_are_rejected_with_the_reason():
    table = pd.DataFrame({"label": ["x", "y"] * 3, "class": [0, 1] * 3, "Altersgruppe Alter group": ["o", "p"] * 3})
    tasks, rejected = judge_columns(table, None, ())
    assert [task.column for task in tasks] == ["label"]
    assert rejected == {"class": "says the same as 'label'", "Altersgruppe Alter group": "its name says 'alter' too"}


def test_whole_numbers_with_gaps_are_classes():
    (task,) = guess_tasks(pd.DataFrame({"label": [0.0, 1.0, None, 1.0, 0.0]}), None, ())
    assert (task.classes, task.strays) == (("0", "1"), ())


def test_nothing_is_declared_primary_that_is_not_named_like_a_diagnosis(tmp_path, rng):
    proposal = listed(tmp_path, rng, colour=["red", "blue"] * 4)
    assert "\n  # primary: {recipe: logistic, task: colour" in proposal.yaml
    (tmp_path / "study.yaml").write_text(proposal.yaml)
    assert read_config(tmp_path / "study.yaml").validation.primary is None


@pytest.mark.parametrize(
    "name",
    ["Maus-Nr.", "Pat.-Nr.", "PatNr", "Pat_ID", "Patienten-ID", "Patientennummer", "Probanden-Nr", "Probandin", "Tier",
     "Tier-ID", "Spender", "subj", "mice", "volunteer", "patient1", "Ma\u0308use", "Study ID", "Kennung", "ID", "Code"],
)  # fmt: skip
def test_other_names_of_patients_are_known(name):
    assert guess_patient(pd.DataFrame({"file": ["a", "b", "c"], name: ["x", "x", "y"]})) == name


@pytest.mark.parametrize("name", ["path", "pattern", "Patient age", "Tierart", "patient group", "Sample ID"])
def test_names_that_only_begin_like_a_patient_are_none(name):
    assert guess_patient(pd.DataFrame({"file": ["a", "b"], name: ["x", "x"]})) is None


def test_an_id_is_a_patient_only_if_it_repeats_or_nothing_else_could_be():
    ids = ["1", "2", "3", "4"]
    assert guess_patient(pd.DataFrame({"ID": ids, "diagnosis": ["a", "a", "b", "b"]})) == "ID"
    assert guess_patient(pd.DataFrame({"ID": ids, "who": ["a", "a", "b", "b"]})) is None


def test_a_lone_id_taken_for_the_patient_is_told(tmp_path, rng):
    wide(tmp_path / "all.csv", [f"s{i}" for i in range(8)], rng, diagnosis=["sick", "control"] * 4)
    assert any("'id' differs in every row" in note for note in propose_study(tmp_path).notes)


def test_without_patients_the_level_is_to_be_edited(tmp_path, rng):
    wide(tmp_path / "all.csv", list("abcdefgh"), rng, who=list("AABBCCDD"), diagnosis=["sick", "control"] * 4)
    assert "level: patient  # EDIT ME" in propose_study(tmp_path).yaml


def test_files_are_found_whatever_way_their_accents_are_stored(tmp_path, rng):
    rows = []
    for i in range(8):
        write_spectrum(tmp_path / f"Ma\u0308use_{i}.txt", 1, rng)
        rows.append((f"M{i}", f"M\u00e4use_{i}.txt", ("ill", "healthy")[i % 2]))
    pd.DataFrame(rows, columns=["Maus-Nr.", "file", "Diagnose"]).to_csv(tmp_path / "list.csv", index=False)
    study, proposal = accept(tmp_path)
    assert proposal.samples["file"].tolist()[0] == "Ma\u0308use_0.txt"
    assert len(study) == 8


def test_files_are_found_whatever_their_case_and_written_as_they_are(tmp_path, rng):
    for subject, *_ in PEOPLE:
        write_spectrum(tmp_path / f"{subject.upper()}.TXT", 1, rng)
    people().assign(file=[f"{p[0]}.txt" for p in PEOPLE]).to_csv(tmp_path / "people.csv", index=False)
    study, proposal = accept(tmp_path)
    assert proposal.samples["file"].tolist()[0] == "SUBJ00.TXT"
    assert len(study) == 8


def test_rows_without_a_file_are_named(tmp_path, rng):
    for subject, *_ in PEOPLE[:6]:
        write_spectrum(tmp_path / "scans" / f"{subject}.txt", 1, rng)
    people().to_csv(tmp_path / "people.csv", index=False)
    assert "'row 8: subj06', 'row 9: subj07'" in propose_study(tmp_path).notes[0]


def test_an_export_beside_the_instruments_file_is_found(tmp_path, rng):
    for subject, *_ in PEOPLE:
        (tmp_path / f"{subject}.wdf").write_bytes(b"WDF1")
        write_spectrum(tmp_path / f"{subject}.txt", 1, rng)
    people().to_csv(tmp_path / "people.csv", index=False)
    assert propose_study(tmp_path).samples["file"].tolist()[0] == "subj00.txt"


@pytest.mark.parametrize("place", ["{}.wdf", "{}/scan.wdf"])
@pytest.mark.parametrize("table", [True, False])
def test_instruments_own_formats_are_told_with_the_advice_to_export(tmp_path, place, table):
    for subject, *_ in PEOPLE:
        path = tmp_path / place.format(subject)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"WDF1")
    if table:
        people().to_csv(tmp_path / "people.csv", index=False)
    proposal = propose_study(tmp_path)
    assert any("8 .wdf files (a Renishaw WDF file)" in n and "export them there as text" in n for n in proposal.notes)
    if proposal.samples is None:
        assert "samples: samples.csv  # EDIT ME" in proposal.yaml


def test_a_file_instead_of_a_folder_is_told(tmp_path):
    (tmp_path / "people.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ReadError, match="is a file; give its folder"):
        propose_study(tmp_path / "people.csv")


def test_a_cell_of_the_file_column_that_names_nothing_is_told_as_it_stands(tmp_path, rng):
    for subject, *_ in PEOPLE:
        write_spectrum(tmp_path / f"{subject}.txt", 1, rng)
    files = [*(p[0] for p in PEOPLE[:6]), "gone", None]
    people().assign(file=files, Subject=list("ABCDEFGH")).to_csv(tmp_path / "people.csv", index=False)
    assert "'row 8: gone', 'row 9: empty'" in propose_study(tmp_path).notes[0]


def test_files_named_after_patients_of_a_table(tmp_path, rng):
    for subject, condition, *_ in PEOPLE:
        for k in range(3):
            write_spectrum(tmp_path / "scans" / f"{subject.upper()}_{k}.txt", 1 + (condition == "ill"), rng)
    write_spectrum(tmp_path / "scans" / "subj010_0.txt", 1, rng)  # begins with 'subj01', and is another's
    table = pd.concat([people(), people().iloc[[2]], pd.DataFrame({"Subject": ["subj77"], "Condition": ["ill"]})])
    table.to_csv(tmp_path / "people.csv", index=False)
    study, proposal = accept(tmp_path)
    assert proposal.samples_file == "samples.csv"
    assert (len(study), study.describe()["patients"]) == (24, 8)
    assert study.tasks["condition"].positive == "ill"
    assert (
        dict(zip(proposal.samples["file"], proposal.samples["patient"], strict=True))["scans/SUBJ03_1.txt"] == "subj03"
    )
    assert "patients by the start of the files' names (its column 'Subject')" in proposal.yaml
    assert [note for note in proposal.notes if "people.csv" in note] == [
        "EDIT ME: 1 patient in several rows of people.csv, the first of which is taken: 'subj02'",
        "1 row of people.csv without a file, left out: 'subj77'",
        "1 file named after no patient of people.csv, left out: 'scans/subj010_0.txt'",
    ]


def test_the_longer_of_two_ids_names_a_file_and_a_number_is_never_cut():
    files = [Path(name) for name in ("P1.txt", "p1_a.txt", "P10_a.txt", "P1b_2.txt", "P1bc.txt", "x.txt")]
    found = named_after(["P1", "P1b", "P100", "x"], files)
    assert {key: [path.name for path in paths] for key, paths in found.items()} == {
        "P1": ["P1.txt", "p1_a.txt", "P1bc.txt"],
        "P1b": ["P1b_2.txt"],
    }


def test_a_table_that_fits_no_file_has_its_columns_named(tmp_path, rng):
    for k in range(4):
        write_spectrum(tmp_path / "scans" / f"scan{k}.txt", 1, rng)
    people().to_csv(tmp_path / "people.csv", index=False)
    yaml = propose_study(tmp_path).yaml
    assert "people.csv names no files, and no files begin with its ids" in yaml
    assert "there are: Subject, Condition, Age, Sex" in yaml


def test_controls_are_known_with_their_accents():
    table = pd.DataFrame({"Diagnose": ["SLA", "Contrôle"] * 3})
    assert guess_tasks(table, None, ())[0].classes == ("Contrôle", "SLA")
