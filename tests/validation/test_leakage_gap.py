"""What a split by sample would have promised, next to what a split by patient finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from polydx.datasets.simulated import simulate_two_class
from polydx.recipes.build import build_recipes
from polydx.splits import check_disjoint, stratified_group_k_fold
from polydx.study import RowIndex, Spectra, Study, Task
from polydx.validation import leakage_gap as module
from polydx.validation.cross_validation import cross_validate
from polydx.validation.leakage_gap import leakage_gap, sample_folds

LOGISTIC = {"kind": "classical", "model": "logistic_regression", "preprocessing": {"raman": ["standardise"]}}


def logistic(study: Study):
    return build_recipes({"logistic": LOGISTIC}, study)["logistic"]


def signatures(patients: int = 20, each: int = 6, effect: float = 0.0, own: float = 3.0) -> Study:
    """Patients that are easy to recognise, whose label is a coin's (plus a band for an effect)."""
    rng = np.random.default_rng(3)
    n = patients * each
    codes = np.repeat(np.arange(patients) % 2, each)
    values = np.repeat(rng.normal(size=(patients, 40)) * own, each, axis=0) + rng.normal(size=(n, 40)) * 0.3
    values[:, 5] += effect * codes
    index = pd.Index([f"s{i}" for i in range(n)], name="sample", dtype=object)
    return Study(
        "signatures",
        pd.DataFrame({"patient": [f"p{i // each:02d}" for i in range(n)]}, index=index),
        {"raman": Spectra(values.astype(np.float32), np.linspace(400, 1800, 40))},
        {"raman": RowIndex.one_each(n)},
        {"disease": Task(("no", "yes"))},
        pd.DataFrame({"disease": codes}, index=index),
    )


@pytest.mark.slow
def test_recognisable_patients_flatter_a_split_by_sample_only():
    study = signatures()
    found = leakage_gap(study, logistic(study), 5, 0, resamples=300)["disease"]
    assert found["by_sample"]["estimate"] > 0.95
    assert abs(found["by_patient"]["estimate"] - 0.5) < 0.2
    assert found["gap"]["low"] > 0.1
    assert {k: found[k] for k in ("recipe", "metric", "level", "folds")} == {
        "recipe": "logistic",
        "metric": "accuracy",
        "level": "sample",
        "folds": 5,
    }


@pytest.mark.slow
def test_a_real_signal_leaves_no_gap():
    study = signatures(effect=60, own=0.1)
    found = leakage_gap(study, logistic(study), 5, 0, resamples=300)["disease"]
    assert found["by_patient"]["estimate"] > 0.95
    assert found["gap"]["estimate"] < 0.05


@pytest.mark.slow
def test_the_patient_side_is_the_accuracy_of_an_ordinary_cross_validation():
    study = simulate_two_class(12, 3, points=48, patient_sd=0.4)
    found = leakage_gap(study, logistic(study), 4, 2, resamples=200)["disease"]
    table = cross_validate(study, {"logistic": LOGISTIC}, folds=4, seeds=[2]).predictions
    ill = table[table["class"] == "disease"]
    accuracy = ((ill["probability"] >= 0.5) == (ill["label"] == "disease")).mean()
    assert found["by_patient"]["estimate"] == pytest.approx(accuracy)
    bounds = found["by_patient"]
    assert bounds["low"] <= bounds["estimate"] <= bounds["high"]


@pytest.mark.slow
def test_intervals_resample_patients_and_not_samples():
    study = signatures()
    found = leakage_gap(study, logistic(study), 5, 0, resamples=400)["disease"]["by_patient"]
    spread = 1.96 * np.sqrt(0.25 / 20)  # of 20 patients that are right or wrong as a whole
    assert found["method"] == "bootstrap"
    assert found["high"] - found["low"] == pytest.approx(2 * spread, rel=0.4)


def test_a_perfect_score_keeps_an_interval():
    study = signatures(effect=200)
    found = leakage_gap(study, logistic(study), 5, 0, resamples=100)["disease"]["by_sample"]
    assert (found["estimate"], found["high"], found["method"]) == (1.0, 1.0, "wilson")
    assert found["low"] == pytest.approx(20 / (20 + 1.96**2), abs=1e-3)


def test_both_splits_have_the_same_test_sizes_and_class_shares(rng):
    patients = rng.integers(0, 15, 200)
    codes = (patients % 3).astype(np.int64)
    by_patient = stratified_group_k_fold(patients, codes, 5, 0)
    sizes = [len(f.test) for f in by_patient]
    by_sample = sample_folds(codes, sizes, 0)
    assert [len(f.test) for f in by_sample] == sizes
    assert np.array_equal(np.sort(np.concatenate([f.test for f in by_sample])), np.arange(200))
    for fold in by_sample:
        assert not set(fold.train) & set(fold.test)
        assert len(fold.train) + len(fold.test) == 200
        counts = np.bincount(codes[fold.test], minlength=3)
        assert np.abs(counts - len(fold.test) * np.bincount(codes) / 200).max() <= 2


def test_folds_of_unlike_size_share_every_class_in_proportion():
    codes = np.repeat([0, 1, 2], [120, 60, 20])
    folds = sample_folds(codes, [100, 60, 40], 0)
    counts = np.array([np.bincount(codes[f.test], minlength=3) for f in folds])
    expected = np.outer([100, 60, 40], [120, 60, 20]) / 200
    assert np.abs(counts - expected).max() <= 1


def test_the_sample_split_depends_on_its_seed_alone(rng):
    codes = rng.integers(0, 2, 60)
    tests = [[f.test.tolist() for f in sample_folds(codes, [20, 20, 20], seed)] for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


def test_the_patient_split_of_the_gap_is_disjoint():
    study = signatures()
    check_disjoint(study, module._splits(study, 5, 0, "disease")["by_patient"])


def test_one_sample_a_patient_has_nothing_to_leak():
    study = signatures(patients=12, each=1)
    expected = "one sample a patient: nothing can leak"
    for unit in ("sample", "patient"):
        found = leakage_gap(replace(study, unit=unit), logistic(study), 5, 0)["disease"]
        assert (found["by_sample"], found["by_patient"], found["reason"]) == (None, None, expected)


def test_one_patient_alone_gives_a_reason():
    study = signatures(patients=1, each=6)
    assert "one patient" in leakage_gap(study, logistic(study), 5, 0)["disease"]["reason"]


def test_a_task_with_labels_of_one_class_gives_a_reason_and_the_others_figures():
    study = signatures(patients=8, each=3)
    two = replace(
        study,
        tasks={**study.tasks, "stage": Task(("early", "late"))},
        labels=study.labels.assign(stage=np.where(study.label_codes("disease") == 1, 0, -1)),
    )
    found = leakage_gap(two, logistic(two), 4, 0, resamples=100)
    assert "fewer than two classes" in found["stage"]["reason"]
    assert found["disease"]["by_patient"]["estimate"] is not None


def test_a_child_task_is_scored_on_samples_of_the_parents_class():
    study = signatures(patients=16, each=3)
    kind = np.where(study.label_codes("disease") == 1, study.patient_codes[0] // 2 % 2, -1)
    tree = replace(
        study,
        tasks={**study.tasks, "kind": Task(("a", "b"), parent=("disease", "yes"))},
        labels=study.labels.assign(kind=kind),
    )
    found = leakage_gap(tree, logistic(tree), 4, 0, resamples=100)
    assert found["kind"]["by_sample"]["estimate"] > found["kind"]["by_patient"]["estimate"]


@pytest.mark.slow
def test_finished_folds_are_found_again_and_jobs_do_not_matter(tmp_path, monkeypatch):
    study = signatures(patients=8, each=3)
    first = leakage_gap(study, logistic(study), 3, 0, folder=tmp_path, resamples=100)
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.parquet"))
    assert len(files) == 6
    assert files[0] == "leakage-gap/by_patient/logistic/seed-0_fold-000.parquet"
    assert leakage_gap(study, logistic(study), 3, 0, resamples=100, jobs=2) == first

    def refit(*_: object) -> None:
        raise AssertionError("a finished fold was fitted again")

    monkeypatch.setattr("polydx.validation.cross_validation.run_job", refit)
    assert leakage_gap(study, logistic(study), 3, 0, folder=tmp_path, resamples=100) == first
