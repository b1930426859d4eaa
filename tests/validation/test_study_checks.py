"""Checks of a study before training: each fires on its planted problem and stays silent on a clean cohort."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polydx.datasets.simulated import simulate_cohort, simulate_two_class
from polydx.errors import LeakageError, StudyError
from polydx.splits import Fold, stratified_group_k_fold
from polydx.study import Images, RowIndex, Spectra, Study, Table, Task
from polydx.validation.checks import Finding, check_study, findings_json, refuse

ROOT = Path(__file__).parent.parent.parent
EXPECTED = {"unlabelled", "few-patients"}  # simulated tumours do lack labels, and rare stages are rare


@pytest.fixture
def clean() -> Study:
    return simulate_two_class(patients=24, spectra_per_patient=4, seed=1, points=64, centres=2)


def named(found: list[Finding], check: str) -> list[Finding]:
    return [f for f in found if f.check == check]


def only(found: list[Finding], check: str) -> Finding:
    (finding,) = named(found, check)
    return finding


def with_values(study: Study, values: np.ndarray) -> Study:
    return replace(study, modalities={"raman": Spectra(values.astype(np.float32), study.modalities["raman"].axis)})


def values_of(study: Study) -> np.ndarray:
    return study.modalities["raman"].values.copy()


def test_a_clean_cohort_has_no_findings(clean):
    folds = stratified_group_k_fold(clean.patients, clean.label_codes("disease"), 4, 0)
    assert check_study(clean, folds) == []


@pytest.mark.slow
def test_clean_cohorts_hardly_ever_raise_a_false_alarm():
    alarms = 0
    for seed in range(20):
        for study in (
            simulate_two_class(patients=24, spectra_per_patient=2, seed=seed, points=32, centres=3, effect=seed % 2),
            simulate_cohort(patients=40, spectra_per_patient=2, seed=seed, points=32),
        ):
            alarms += any(f.check not in EXPECTED for f in check_study(study))
    assert alarms <= 2  # 1 % of 40 studies each for the two families of tests: 3 or more in about 1 of 20 draws


def test_few_patients_never_trigger_a_giveaway_by_chance(clean):
    small = clean.take(np.flatnonzero(clean.patient_codes[0] < 6))
    codes = small.label_codes("disease")
    told = replace(small, samples=small.samples.assign(ward=np.where(codes == 1, "a", "b"), dose=codes + 0.5))
    assert not named(check_study(told), "gives-answer-away")


def test_errors_stand_first_and_everything_is_json(clean):
    values = values_of(clean)
    values[3], values[-1] = 7.0, values[0]
    flagged = pd.DataFrame({"saturated": np.arange(len(clean)) == 3}, index=clean.samples.index)
    found = check_study(replace(with_values(clean, values), quality=flagged))
    assert [f.severity for f in found] == sorted((f.severity for f in found), key=["error", "warning", "note"].index)
    assert json.loads(json.dumps(findings_json(found)))[0]["severity"] == "error"


# Patients on both sides


def test_a_patient_on_both_sides_of_a_fold_is_an_error_that_names_patient_and_fold(clean):
    fold = Fold(3, np.arange(2, len(clean)), np.arange(2))
    finding = only(check_study(clean, [fold]), "patient-on-both-sides")
    assert finding.severity == "error"
    assert finding.where == "fold 3"
    assert finding.details == {"patients": [clean.patients[0]], "count": 1}


def test_a_sample_tested_in_two_folds_is_an_error(clean):
    whole = np.arange(len(clean))
    folds = [Fold(i, whole[8:], whole[:8]) for i in range(2)]
    assert "tested in two folds" in only(check_study(clean, folds), "patient-on-both-sides").message


def test_refuse_raises_a_leakage_error_with_every_error_listed(clean):
    values = values_of(clean)
    values[3], values[-1] = 7.0, values[0]
    found = check_study(with_values(clean, values))
    with pytest.raises(LeakageError, match=r"2 problems found before training") as caught:
        refuse(found)
    assert {p.where for p in caught.value.problems} == {f.where for f in found if f.severity == "error"}


def test_refuse_raises_a_study_error_without_leaks_and_nothing_without_errors(clean):
    values = values_of(clean)
    values[3] = 7.0
    with pytest.raises(StudyError, match=r"1 problem found before training(.|\n)*one single intensity"):
        refuse(check_study(with_values(clean, values)))
    refuse([Finding("warning", "copies", "here", "look"), Finding("note", "sample-order", "there", "fine")])


# Copies


def test_a_spectrum_of_two_patients_is_an_error_that_names_both(clean):
    values = values_of(clean)
    values[[-1, -2]] = values[[0, 1]]
    finding = only(check_study(with_values(clean, values)), "copies")
    assert finding.severity == "error"
    assert finding.details["patients"] == sorted([clean.patients[0], clean.patients[-1]])
    assert finding.details["count"] == 2
    assert [clean.ids[0], clean.ids[-1]] in finding.details["samples"]
    assert clean.patients[0] in finding.where
    assert clean.patients[-1] in finding.where


def test_a_spectrum_twice_within_a_patient_is_a_warning(clean):
    values = values_of(clean)
    values[1] = values[0]
    finding = only(check_study(with_values(clean, values)), "copies")
    assert finding.severity == "warning"
    assert finding.details["groups"][0]["samples"] == [clean.ids[0], clean.ids[1]]


def test_a_row_that_serves_two_patients_is_an_error(clean):
    rows = [[i] for i in range(len(clean))]
    rows[-1] = [0]
    shared = replace(clean, rows={"raman": RowIndex.from_lists(rows)})
    assert only(check_study(shared), "copies").severity == "error"


def test_an_image_that_stands_in_for_another_modality_is_a_warning(clean, tmp_path):
    first, second = [], []
    for i in range(len(clean)):
        for name, paths in (("pre", first), ("post", second)):
            path = tmp_path / f"{name}_{i}.png"
            noise = np.random.default_rng([i, i != 5 and name == "pre"]).integers(0, 256, (32, 32), dtype=np.uint8)
            Image.fromarray(noise).save(path)
            paths.append(path)
    each = RowIndex.one_each(len(clean))
    study = replace(
        clean, modalities={"pre": Images(tuple(first)), "post": Images(tuple(second))}, rows={"pre": each, "post": each}
    )
    finding = only(check_study(study), "copied-modality")
    assert finding.severity == "warning"
    assert finding.where == "modality 'post'"
    assert finding.details["samples"] == [clean.ids[5]]
    assert not named(check_study(study), "copies")


@pytest.mark.parametrize(("columns", "expected"), [(1, 0), (6, 1)])
def test_equal_table_rows_count_only_where_chance_does_not_explain_them(clean, rng, columns, expected):
    frame = pd.DataFrame(rng.integers(0, 40, size=(len(clean), columns)), columns=list("abcdef")[:columns])
    frame.iloc[-1] = frame.iloc[0]
    each = RowIndex.one_each(len(clean))
    study = replace(clean, modalities={"blood": Table(frame)}, rows={"blood": each})
    assert len(named(check_study(study), "copies")) == expected


# Quality and sizes


def test_a_constant_spectrum_is_an_error_that_names_its_sample(clean):
    values = values_of(clean)
    values[[3, 60]] = 64500.0
    finding = only(check_study(with_values(clean, values)), "constant-spectra")
    assert finding.severity == "error"
    assert finding.details["samples"] == [clean.ids[3], clean.ids[60]]


def test_flags_of_the_reader_are_counted_by_class_and_patient(clean):
    flagged = np.zeros(len(clean), dtype=bool)
    flagged[:5] = True
    study = replace(clean, quality=pd.DataFrame({"saturated": flagged, "short": False}, index=clean.samples.index))
    finding = only(check_study(study), "quality")
    codes = clean.label_codes("disease")[:5]
    assert finding.where == "flag 'saturated'"
    assert finding.details["classes"]["disease"] == {"control": int((codes == 0).sum()), "disease": int(codes.sum())}
    assert finding.details["patients"] == {clean.patients[0]: 4, clean.patients[4]: 1}


def test_classes_are_counted_in_patients_not_samples(clean):
    ill = pd.unique(clean.patients[clean.label_codes("disease") == 1])[:3]
    few = clean.take(np.flatnonzero((clean.label_codes("disease") == 0) | np.isin(clean.patients, ill)))
    finding = only(check_study(few), "few-patients")
    assert finding.severity == "warning"
    assert finding.details["patients"] == {"control": 12, "disease": 3}


def test_absent_classes_and_unlabelled_patients_are_reported(clean):
    labels = clean.labels.copy()
    labels.loc[clean.patients == clean.patients[0], "disease"] = -1
    study = replace(clean, tasks={"disease": Task(("control", "disease", "unheard of"))}, labels=labels)
    found = check_study(study)
    assert "unheard of" in only(found, "absent-class").message
    assert only(found, "unlabelled").details == {"count": 1, "patients": [clean.patients[0]]}


def test_a_child_task_is_not_asked_of_patients_of_another_parent_class(clean):
    codes = clean.label_codes("disease")
    kind = np.where(codes == 1, clean.patient_codes[0] % 2, -1)
    tasks = {**clean.tasks, "kind": Task(("a", "b"), parent=("disease", "disease"))}
    study = replace(clean, tasks=tasks, labels=clean.labels.assign(kind=kind))
    assert not named(check_study(study), "unlabelled")
    kind[clean.patients == clean.patients[codes == 1][0]] = -1
    assert only(check_study(replace(study, labels=clean.labels.assign(kind=kind))), "unlabelled").details["count"] == 1


def test_a_patient_with_most_of_the_samples_is_noted(clean):
    rows = np.concatenate([np.arange(4), np.arange(4, len(clean), 14)])
    finding = only(check_study(clean.take(rows)), "dominant-patient")
    assert finding.details == {"samples": 4, "share": 4 / len(rows)}


def test_samples_without_any_input_are_reported(clean):
    rows = RowIndex.from_lists([[] if i == 2 else [i] for i in range(len(clean))])
    assert only(check_study(replace(clean, rows={"raman": rows})), "no-input").details["samples"] == [clean.ids[2]]


# As a whole


@pytest.mark.slow
def test_checks_import_no_torch_and_no_scikit_learn():
    code = "import sys, polydx.validation.checks; print({'torch', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_every_leak_of_the_benchmark_is_dealt_with():
    script = ROOT / "benchmarks" / "trust" / "planted_leaks.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "19 of 19 dealt with" in done.stdout


@pytest.mark.slow
def test_the_als_study_has_no_leak_but_repeats_spectra_within_patients(data):
    from polydx.datasets.catalogue import load_study

    study = load_study("als-saliva", data)
    found = check_study(study)
    assert {(f.severity, f.check) for f in found} == {("warning", "copies"), ("note", "sample-order")}
    _, counts = np.unique(study.modalities["raman"].values, axis=0, return_counts=True)
    assert only(found, "copies").details["count"] == (counts > 1).sum() == 14


def test_a_fold_without_a_training_row_of_a_modality_is_told(clean):
    raman, n = clean.modalities["raman"], len(clean)
    first = list(stratified_group_k_fold(clean.patients, clean.label_codes("disease"), 4, 0))
    only = set(first[1].test.tolist())  # so that fold 1 has none to train on
    rows = {"raman": clean.rows["raman"], "blood": RowIndex.from_lists([[i] if i in only else [] for i in range(n)])}
    study = replace(clean, modalities={"raman": raman, "blood": Spectra(raman.values + 1, raman.axis)}, rows=rows)
    (found,) = [f for f in check_study(study, first) if f.check == "fold-without"]
    assert (found.severity, found.where, found.details) == ("warning", "modality 'blood'", {"folds": [1]})
    assert "no training sample of fold '1' has it" in found.message
    assert not [f for f in check_study(clean, first) if f.check == "fold-without"]
