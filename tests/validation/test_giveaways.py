"""What gives the answer away or goes with it: columns, brightness, gaps, order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association
from sklearn.metrics import roc_auc_score

from polydx.datasets.simulated import simulate_cohort, simulate_two_class
from polydx.study import RowIndex, Spectra, Study, Table, Task
from polydx.validation.checks import check_study
from polydx.validation.checks.candidates import Candidate, candidates
from polydx.validation.checks.confounders import confounders, cramers_v, independence_p
from polydx.validation.checks.giveaways import separations
from polydx.validation.checks.units import task_units


@pytest.fixture
def clean() -> Study:
    return simulate_two_class(patients=24, spectra_per_patient=4, seed=1, points=64, centres=2)


def about(study: Study, where: str) -> list[tuple[str, str]]:
    """Severity and check of the findings about one thing."""
    return [(f.severity, f.check) for f in check_study(study) if where in f.where]


def with_table(study: Study, rows: RowIndex | None = None, **columns: object) -> Study:
    frame = pd.DataFrame(columns)
    return replace(
        study,
        modalities={**study.modalities, "clinical": Table(frame)},
        rows={**study.rows, "clinical": rows or RowIndex.one_each(len(study))},
    )


def with_column(study: Study, column: object) -> Study:
    return replace(study, samples=study.samples.assign(extra=column))


def ill(study: Study) -> np.ndarray:
    return study.label_codes("disease")


# AUROC of a single value


def test_the_auroc_of_a_number_is_that_of_patient_means(clean, rng):
    values = rng.normal(size=len(clean)) + ill(clean)
    values[::7] = np.nan
    units = task_units(clean, "disease")
    found = separations(units, Candidate("x", "samples", values))["disease"]
    means = pd.Series(values).groupby(clean.patients).mean()
    truth = pd.Series(ill(clean)).groupby(clean.patients).first()
    assert found.auroc == pytest.approx(roc_auc_score(truth, means))


def test_a_falling_number_separates_as_well_as_a_rising_one(clean):
    units = task_units(clean, "disease")
    assert separations(units, Candidate("x", "samples", -ill(clean).astype(float)))["disease"].auroc == 1


def test_every_class_of_several_is_told_from_the_rest():
    study = simulate_cohort(40, 2, points=32)
    units = task_units(study, "grade")
    values = np.random.default_rng(0).normal(size=len(study))
    found = separations(units, Candidate("x", "samples", values))
    frame = pd.DataFrame({"x": values, "y": study.label_codes("grade")})[study.label_codes("grade") >= 0]
    by_patient = frame.groupby(study.patients[frame.index]).mean()
    for code, label in enumerate(study.tasks["grade"].classes):
        area = roc_auc_score(by_patient["y"] == code, by_patient["x"])
        assert found[label].auroc == pytest.approx(max(area, 1 - area))


def test_the_rate_of_a_category_is_that_of_other_patients(clean, rng):
    codes = rng.integers(0, 3, size=24)[clean.patient_codes[0]]
    units = task_units(clean, "disease")
    found = separations(units, Candidate("x", "samples", codes, ("a", "b", "c")))["disease"]
    category, truth = codes[::4], ill(clean)[::4]
    rates = []
    for i in range(24):
        others = (category == category[i]) & (np.arange(24) != i)
        rates.append((truth[others].sum() + truth.mean()) / (others.sum() + 1))
    assert found.auroc == pytest.approx(roc_auc_score(truth, np.round(rates, 12)))


def test_a_name_that_is_each_patients_own_gives_nothing_away(clean):
    assert about(with_column(clean, clean.patients), "extra") == []


@pytest.mark.parametrize("level", ["patient", "sample"])
def test_many_samples_of_few_patients_are_no_evidence(clean, level):
    few = replace(
        clean.take(np.flatnonzero(clean.patient_codes[0] < 11)), tasks={"disease": Task(("no", "yes"), level)}
    )
    by_chance = np.where(few.patient_codes[0] < 2, 1, 0) * 1.0
    labels = pd.DataFrame({"disease": by_chance.astype(int)}, index=few.samples.index)
    told = with_column(replace(few, labels=labels), by_chance + np.linspace(0, 0.1, len(few)))
    assert ("warning", "gives-answer-away") not in about(told, "extra")


# What is planted is found


@pytest.mark.parametrize("source", ["samples", "clinical"])
@pytest.mark.parametrize(
    "reveal",
    [
        lambda codes: 5.0 * codes + np.linspace(0, 1, len(codes)),
        lambda codes: pd.Series(np.where(codes == 1, "x", "y")).where(np.arange(len(codes)) % 9 > 0, None).to_numpy(),
        lambda codes: pd.Timestamp("2020-01-01") + pd.to_timedelta(codes * 400 + np.arange(len(codes)), unit="D"),
    ],
    ids=["number", "category", "date"],
)
def test_a_column_that_separates_the_classes_is_a_warning(clean, source, reveal):
    column = reveal(ill(clean))
    study = with_column(clean, column) if source == "samples" else with_table(clean, extra=column)
    found = about(study, "column 'extra'")
    assert ("warning", "gives-answer-away") in found or ("warning", "answer-in-table") in found


def test_a_table_column_that_renames_the_classes_is_named_once(clean):
    study = with_table(clean, result=np.where(ill(clean) == 1, "K2", "N0"))
    assert about(study, "result") == [("warning", "answer-in-table")]


def test_a_table_column_finer_than_the_classes_is_no_renaming(clean):
    fine = np.where(ill(clean) == 1, clean.patient_codes[0] % 3 + 1, 0)
    assert about(with_table(clean, result=fine), "result") == [("warning", "gives-answer-away")]


def test_brightness_that_separates_the_classes_is_a_warning(clean):
    values = clean.modalities["raman"].values * (1 + 4 * ill(clean)[:, None])
    brighter = replace(clean, modalities={"raman": Spectra(values, clean.modalities["raman"].axis)})
    assert about(brighter, "mean intensity of 'raman'") == [("warning", "gives-answer-away")]
    assert about(brighter, "norm") == [("warning", "gives-answer-away")]


def test_a_modality_that_only_one_class_has_is_a_warning(clean):
    rows = RowIndex.from_lists([[i] if c else [] for i, c in enumerate(ill(clean))])
    study = with_table(clean, rows, age=np.linspace(30, 80, len(clean)))
    assert about(study, "presence of 'clinical'") == [("warning", "gives-answer-away")]


def test_gaps_that_only_one_class_has_are_a_warning(clean, rng):
    values = np.where(ill(clean) == 1, rng.normal(size=len(clean)), np.nan)
    assert about(with_table(clean, psa=values), "gaps in column 'psa'") == [("warning", "gives-answer-away")]


def test_more_rows_a_sample_in_one_class_are_a_warning(clean):
    rows = RowIndex.from_lists([[i, (i + 1) % 4 + i // 4 * 4] if c else [i] for i, c in enumerate(ill(clean))])
    assert ("warning", "gives-answer-away") in about(replace(clean, rows={"raman": rows}), "rows of 'raman'")


def test_samples_sorted_by_class_are_only_noted(clean):
    assert about(clean.take(np.argsort(ill(clean), kind="stable")), "order") == [("note", "sample-order")]


def test_more_samples_of_one_class_are_only_noted(clean):
    kept = (ill(clean) == 1) | (np.arange(len(clean)) % 4 < 2)
    assert about(clean.take(np.flatnonzero(kept)), "number of samples") == [("note", "sample-counts")]


def test_a_flag_of_one_class_is_a_warning(clean):
    flags = pd.DataFrame({"clipped": ill(clean) == 1}, index=clean.samples.index)
    assert ("warning", "gives-answer-away") in about(replace(clean, quality=flags), "flag 'clipped'")


def test_columns_without_variation_or_values_are_no_candidates(clean):
    study = with_table(with_column(clean, "same"), empty=np.full(len(clean), np.nan), one=1.0)
    assert not any("extra" in c.name or "empty" in c.name or "one" in c.name for c in candidates(study))


# What goes with a task


def test_a_category_that_goes_with_a_task_is_noted_with_its_shares(clean):
    tissue = np.where((ill(clean) == 1) ^ (clean.patient_codes[0] % 8 == 0), "biopsy", "resection")
    (finding,) = [f for f in check_study(with_column(clean, tissue)) if "extra" in f.where]
    assert (finding.severity, finding.check) == ("note", "confounded")
    table = pd.crosstab(tissue, ill(clean), normalize="index")
    assert finding.details["shares"]["biopsy"]["disease"] == pytest.approx(table.loc["biopsy", 1], abs=1e-4)


def test_an_age_that_goes_with_a_task_is_noted(clean):
    age = 40 + 20.0 * ill(clean) + clean.patient_codes[0] / 2
    age[clean.patients == clean.patients[ill(clean) == 1][0]] = 30  # AUROC 11 / 12
    assert about(with_column(clean, age), "extra") == [("note", "confounded")]


def test_cramers_v_matches_scipy(rng):
    table = rng.integers(1, 40, size=(3, 4))
    assert cramers_v(table.astype(float)) == pytest.approx(association(table, method="cramer"))


def test_the_patient_test_agrees_with_chi_square_where_patients_have_one_sample(rng):
    category = rng.integers(0, 3, 3000)
    truth = np.where(rng.random(3000) < 0.03, category % 2, rng.integers(0, 2, 3000))
    expected = chi2_contingency(pd.crosstab(category, truth)).pvalue
    found = independence_p(np.eye(3)[category], np.eye(2)[truth], np.arange(3000))
    assert np.log(found) == pytest.approx(np.log(expected), rel=0.1)


def test_the_patient_test_does_not_take_repeats_for_witnesses(rng):
    category, truth = rng.integers(0, 2, 20), rng.integers(0, 2, 20)
    once = independence_p(np.eye(2)[category], np.eye(2)[truth], np.arange(20))
    repeated = np.repeat(np.arange(20), 50)
    assert independence_p(np.eye(2)[category[repeated]], np.eye(2)[truth[repeated]], repeated) == pytest.approx(once)


def test_tissue_is_confounded_with_diagnosis_in_the_mouse_study(data):
    columns = ["name", "diagnosis", "diagnosis_fine", "tissue", "mouse", "location"]
    frame = pd.read_csv(data / "mouse-colon" / "spectra.csv", usecols=[*columns, "400", "402"], dtype={"mouse": str})
    index = pd.Index([f"row{i}" for i in range(len(frame))], name="sample", dtype=object)
    samples = frame.rename(columns={"mouse": "patient"})[["patient", "tissue", "diagnosis_fine"]].set_axis(index)
    codes, classes = pd.factorize(frame["diagnosis"], sort=True)
    study = Study(
        "mouse-colon",
        samples,
        {"raman": Spectra(frame[["400", "402"]].to_numpy(np.float32), np.array([400.0, 402.0]))},
        {"raman": RowIndex.one_each(len(frame))},
        {"diagnosis": Task(tuple(classes), level="sample")},
        pd.DataFrame({"diagnosis": codes}, index=index),
    )
    units = task_units(study, "diagnosis")
    (tissue,) = [f for f in confounders([units], candidates(study)) if "tissue" in f.where]
    assert tissue.details["shares"]["biopsy"]["Normal"] == pytest.approx(0.72, abs=0.01)
    assert tissue.details["shares"]["preparation"]["Normal"] == pytest.approx(0.44, abs=0.01)


def test_a_column_that_goes_far_and_one_with_a_value_that_decides_are_named(rng):
    big = simulate_two_class(patients=120, spectra_per_patient=1, seed=1, points=32, centres=2)
    truth = big.label_codes(next(iter(big.tasks)))
    noisy = truth + rng.normal(scale=0.55, size=len(truth))
    follow_up = np.where((truth == 0) & (rng.random(len(truth)) < 0.5), "follow-up", "biopsy")
    study = with_table(big, score=noisy, verification=follow_up, noise=rng.normal(size=len(truth)))
    assert 0.85 < roc_auc_score(truth, noisy) < 0.95
    assert about(study, "'score'") == [("note", "strong-column")]
    assert about(study, "'noise'") == []
    found = [f for f in check_study(study) if f.check == "deciding-value"]
    assert [f.where for f in found] == ["column 'verification' of 'clinical'"]
    label = big.tasks[next(iter(big.tasks))].classes[0]
    many = int((follow_up == "follow-up").sum())
    assert found[0].details["values"] == {"follow-up": {"class": label, "patients": many}}
    assert f"'follow-up' always '{label}' ({many} patients)" in found[0].message
