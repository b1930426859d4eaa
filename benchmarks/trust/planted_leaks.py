"""Plant every common kind of leak in a simulated cohort, and see who notices.

    python benchmarks/trust/planted_leaks.py

prints one row a leak: what was planted, what catches it (or why it does no harm), and the evidence. The same rows come
out every time. Ends with status 1 if a leak went unnoticed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from polydx.datasets.simulated import simulate_two_class
from polydx.errors import LeakageError
from polydx.recipes.build import build_recipes
from polydx.splits import Fold, check_disjoint, stratified_group_k_fold
from polydx.study import RowIndex, Spectra, Study, Table
from polydx.validation.checks import check_study
from polydx.validation.cross_validation import cross_validate, run_jobs
from polydx.validation.folds import Job
from polydx.validation.leakage_gap import leakage_gap

LOGISTIC = {
    "kind": "classical",
    "model": "logistic_regression",
    "params": {"C": 0.01},
    "preprocessing": {"raman": ["snv", "standardise"]},
}
FOLDS = 5


@dataclass(frozen=True)
class Row:
    """One planted leak: who answers for it, the evidence, and whether that is the answer hoped for."""

    leak: str
    answer: str
    evidence: str
    dealt_with: bool


def rows() -> list[Row]:
    """Return all rows of the table."""
    study = simulate_two_class(patients=30, spectra_per_patient=6, seed=1, points=200, centres=3)
    return [*_found_by_checks(study), *_refused_by_splits(study), *_without_effect(study), *_measured()]


def with_values(study: Study, values: np.ndarray) -> Study:
    """Return the study with other intensities."""
    axis = study.spectra("raman").axis
    return replace(study, modalities={"raman": Spectra(values.astype(np.float32), axis)})


def with_table(study: Study, frame: pd.DataFrame, rows: RowIndex | None = None) -> Study:
    """Return the study with a clinical table of one row a sample."""
    return replace(
        study,
        modalities={**study.modalities, "clinical": Table(frame.reset_index(drop=True))},
        rows={**study.rows, "clinical": rows or RowIndex.one_each(len(study))},
    )


def ill(study: Study) -> np.ndarray:
    """(N,) 1 for patients with the disease."""
    return study.label_codes("disease")


# Plants: each returns the study with one leak in it.


def copied_spectrum(study: Study) -> Study:
    values = study.spectra("raman").values.copy()
    values[-1] = values[0]
    return with_values(study, values)


def rescaled_patient(study: Study) -> Study:
    values, owner = study.spectra("raman").values.copy(), study.patient_codes[0]
    values[owner == 1] = 1.5 * values[owner == 0] + 100
    return with_values(study, values)


def copies_within_patient(study: Study) -> Study:
    values = study.spectra("raman").values.copy()
    values[1] = values[0]
    return with_values(study, values)


def dead_detector(study: Study) -> Study:
    values = study.spectra("raman").values.copy()
    values[3] = 64500
    return with_values(study, values)


def longer_exposure(study: Study) -> Study:
    return with_values(study, study.spectra("raman").values * (1 + 2 * ill(study)[:, None]))


def diagnosis_in_table(study: Study) -> Study:
    return with_table(study, pd.DataFrame({"histology": np.where(ill(study) == 1, "K2", "N0")}))


def score_in_table(study: Study) -> Study:
    jitter = np.random.default_rng(0).normal(size=len(study))
    return with_table(study, pd.DataFrame({"suspicion": 10 * ill(study) + jitter}))


def table_for_one_class(study: Study) -> Study:
    age = pd.DataFrame({"age": study.samples["age"].to_numpy()})
    return with_table(study, age, RowIndex.from_lists([[i] if c else [] for i, c in enumerate(ill(study))]))


def centre_is_class(study: Study) -> Study:
    return replace(study, samples=study.samples.assign(centre=np.where(ill(study) == 1, "clinic", "screening")))


def mostly_one_tissue(study: Study) -> Study:
    codes = study.patient_codes[0]
    tissue = np.where((ill(study) == 1) ^ (codes % 8 == 0), "biopsy", "resection")
    return replace(study, samples=study.samples.assign(tissue=tissue))


def sorted_by_class(study: Study) -> Study:
    return study.take(np.argsort(ill(study), kind="stable"))


def more_spectra_of_the_ill(study: Study) -> Study:
    repeat = np.concatenate([np.arange(n) for n in np.bincount(study.patient_codes[0])])
    return study.take(np.flatnonzero((ill(study) == 1) | (repeat < 3)))


def four_patients(study: Study) -> Study:
    few = pd.unique(study.patients[ill(study) == 1])[:4]
    return study.take(np.flatnonzero((ill(study) == 0) | np.isin(study.patients, few)))


PLANTS: Sequence[tuple[str, Callable[[Study], Study], str]] = (
    ("one spectrum stands under two patients", copied_spectrum, "copies"),
    ("a patient stands under two names, rescaled and offset", rescaled_patient, "near-copies"),
    ("one spectrum stands twice within a patient", copies_within_patient, "copies"),
    ("a saturated spectrum without any variation", dead_detector, "constant-spectra"),
    ("patients measured with three times the exposure", longer_exposure, "gives-answer-away"),
    ("the diagnosis under another name in the clinical table", diagnosis_in_table, "answer-in-table"),
    ("a score made after the diagnosis in the clinical table", score_in_table, "gives-answer-away"),
    ("the clinical table exists for one class only", table_for_one_class, "gives-answer-away"),
    ("each class comes from its own centre", centre_is_class, "gives-answer-away"),
    ("most of one class are biopsies", mostly_one_tissue, "confounded"),
    ("files are sorted by class", sorted_by_class, "sample-order"),
    ("the ill have twice the spectra", more_spectra_of_the_ill, "sample-counts"),
    ("a class of four patients with six spectra each", four_patients, "few-patients"),
)


def _found_by_checks(study: Study) -> Iterator[Row]:
    clean = {(f.check, f.where) for f in check_study(study)}
    yield Row("none (the cohort as it is)", "nothing to catch", f"{len(clean)} findings", not clean)
    for leak, plant, check in PLANTS:
        found = [f for f in check_study(plant(study)) if f.check == check and (f.check, f.where) not in clean]
        if found:
            yield Row(leak, f"check '{check}' ({found[0].severity})", f"{found[0].where}: {found[0].message}", True)
        else:
            yield Row(leak, "NOT CAUGHT", f"no finding of '{check}'", False)


def _refused_by_splits(study: Study) -> Iterator[Row]:
    order = np.random.default_rng(0).permutation(len(study))
    fold = Fold(0, np.sort(order[36:]), np.sort(order[:36]))
    leak = "a split by sample puts patients on both sides"
    errors = [f for f in check_study(study, [fold]) if f.check == "patient-on-both-sides"]
    try:
        check_disjoint(study, [fold])
        yield Row(leak, "NOT CAUGHT", "the split was accepted", False)
    except LeakageError as error:
        yield Row(leak, "LeakageError before any fit", f"{error.message}; {errors[0].message}", bool(errors))


def _without_effect(study: Study) -> Iterator[Row]:
    """Change what only the test side of a fold knows: its predictions must not move by a bit."""
    fold = stratified_group_k_fold(study.patients, ill(study), FOLDS, 0)[0]
    honest = _predicted(study, fold)
    flipped = study.labels["disease"].to_numpy().copy()
    flipped[fold.test] = 1 - flipped[fold.test]
    other_labels = replace(study, labels=pd.DataFrame({"disease": flipped}, index=study.labels.index))
    yield _unmoved("labels of the test patients are flipped", honest, _predicted(other_labels, fold))
    values = study.spectra("raman").values.copy()
    values[fold.test[1:]] *= np.linspace(5, 50, values.shape[1], dtype=np.float32)
    distorted = _predicted(with_values(study, values), fold)
    yield _unmoved("all test spectra but the first are distorted", honest[:1], distorted[:1])


def _predicted(study: Study, fold: Fold) -> np.ndarray:
    recipe = build_recipes({"logistic": LOGISTIC}, study)["logistic"]
    (outcome,) = run_jobs(study, [Job(recipe, 0, fold, "")], jobs=1, folder=None)
    table = outcome.predictions
    return table.loc[table["class"] == "disease", "probability"].to_numpy()


def _unmoved(leak: str, before: np.ndarray, after: np.ndarray) -> Row:
    same = before.tobytes() == after.tobytes()
    told = "harmless: everything is fitted on training rows" if same else "NOT HARMLESS"
    return Row(leak, told, f"largest change of a probability {np.abs(before - after).max():g}", same)


def _measured() -> Iterator[Row]:
    """Judge a cohort without any disease signal, in which patients are easy to recognise."""
    study = simulate_two_class(patients=30, spectra_per_patient=6, seed=1, points=200, effect=0, patient_sd=0.5)
    recipe = build_recipes({"logistic": LOGISTIC}, study)["logistic"]
    gap = leakage_gap(study, recipe, FOLDS, 0, resamples=500)["disease"]
    told = [f"{side.replace('_', ' ')} {gap[side]['estimate']:.2f}" for side in ("by_sample", "by_patient")]
    told += [f"gap {gap['gap']['estimate']:.2f} ({gap['gap']['low']:.2f} to {gap['gap']['high']:.2f})"]
    leak = "no signal, but patients are recognisable: a split by sample finds 'disease'"
    yield Row(leak, "leakage gap in every report", "accuracy " + ", ".join(told), gap["gap"]["low"] > 0)
    table = cross_validate(study, {"logistic": LOGISTIC}, folds=FOLDS).predictions
    own = table[table["class"] == "disease"].groupby("patient").agg(p=("probability", "mean"), y=("label", "first"))
    right = int(((own["p"] >= 0.5) == (own["y"] == "disease")).sum())
    low, high = len(own) / 2 + np.array([-2, 2]) * np.sqrt(len(own)) / 2
    evidence = f"{right} of {len(own)} patients right; chance gives {low:.0f} to {high:.0f}"
    yield Row("no signal, split by patient", "harmless: figures stay at chance", evidence, low <= right <= high)


def main() -> int:
    """Print the table; 1 if a leak went unnoticed."""
    found = rows()
    print("| leak | caught by / harmless | evidence |\n|---|---|---|")
    for row in found:
        print(f"| {row.leak} | {row.answer} | {row.evidence} |")
    print(f"\n{sum(r.dealt_with for r in found)} of {len(found)} dealt with; simulated patients throughout")
    return 0 if all(r.dealt_with for r in found) else 1


if __name__ == "__main__":
    sys.exit(main())
