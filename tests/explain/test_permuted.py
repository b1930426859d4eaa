"""Permutation importance of the columns of a table, in nats and in AUROC, against scikit-learn and plain loops."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score

from polydx.errors import StudyError
from polydx.explain.asked import Asked
from polydx.explain.choice import targets
from polydx.explain.methods import Options, explain_by
from polydx.explain.permuted import auroc_drops, permute_columns
from polydx.explain.store import write_explanation
from polydx.explain.subjects import Subject
from polydx.progress import Silent
from polydx.study import RowIndex, Study, Table, Task
from polydx.terminal import print_explanation

SLOPES = np.array([[1.5, 0.0, -1.0], [0.0, 0.8, 1.0], [0.0, 0.0, 0.0]])
COLUMNS = ["a", "b", "c"]


def answered(values):
    odds = np.exp(np.clip(values @ SLOPES, -50, 50))
    return odds / odds.sum(axis=1, keepdims=True)


@dataclass
class Softmax:
    """Answers of a known rule; it keeps the tables that it was asked about."""

    def __post_init__(self):
        self.asked = []

    def predict_proba(self, study):
        table, index = study.modalities["clinical"].frame, study.rows["clinical"]
        self.asked.append(table)
        p = answered(table[COLUMNS].to_numpy(dtype=float)[index.rows])
        sums = np.add.reduceat(p, index.starts[:-1])
        return {"kind": sums / index.counts[:, None]}


class Wrapped(ClassifierMixin, BaseEstimator):
    """The same rule for scikit-learn."""

    def __init__(self):
        self.classes_ = np.arange(3)

    def fit(self, x, y):
        return self

    def predict_proba(self, x):
        return answered(np.asarray(x))


def make(rng, patients, each=1, level="patient"):
    """Patients with `each` samples, one row of the table a sample; classes follow the rule."""
    values = rng.normal(size=(patients * each, 3))
    codes = np.array([rng.choice(3, p=p) for p in answered(values)]).reshape(patients, each)[:, :1].repeat(each, axis=1)
    ids = pd.Index([f"s{i:03d}" for i in range(patients * each)], name="sample", dtype=object)
    people = [f"p{i:02d}" for i in range(patients) for _ in range(each)]
    return Study(
        "ruled", pd.DataFrame({"patient": people}, index=ids),
        {"clinical": Table(pd.DataFrame(values, columns=COLUMNS))},
        {"clinical": RowIndex.one_each(patients * each)}, {"kind": Task(("x", "y", "z"), level=level)},
        pd.DataFrame({"kind": codes.ravel()}, index=ids),
    )  # fmt: skip


def halves(study, fitted, seed=0):
    side = study.patient_codes[0] % 2
    parts = [study.take(np.flatnonzero(side == s)) for s in (0, 1)]
    return [Subject(fitted, parts[1 - i], parts[i], seed, i) for i in (0, 1)]


@pytest.mark.slow
def test_drops_of_the_auroc_are_those_of_scikit_learn(rng):
    study = make(rng, 60)
    chosen = targets(study, "kind")
    found = permute_columns([Subject(Softmax(), study, study)], "clinical", "kind", repeats=30)
    table, told = auroc_drops(found, study.tasks["kind"], chosen, COLUMNS)
    values, codes = study.modalities["clinical"].frame.to_numpy(), study.label_codes("kind")
    for target, entry in zip(chosen[:1], told, strict=False):
        own = table[table["class"] == target.label].set_index("part")
        assert entry["auroc"] == pytest.approx(roc_auc_score(codes == target.code, answered(values)[:, target.code]))

        def scored(model, x, y, code=target.code):
            return roc_auc_score(y == code, model.predict_proba(x)[:, code])

        theirs = permutation_importance(Wrapped(), values, codes, scoring=scored, n_repeats=100, random_state=0)
        mean, sd = (pd.Series(values, index=COLUMNS)[own.index] for values in (
            theirs["importances_mean"], theirs["importances_std"],
        ))  # fmt: skip
        assert (np.abs(own["drop"] - mean) < 4 * sd / 30**0.5 + 0.01).all()
        np.testing.assert_allclose(own["sd"], sd, rtol=0.5, atol=1e-12)
        assert own["drop"].is_monotonic_decreasing


@pytest.mark.parametrize("level", ["patient", "sample"])
def test_the_auroc_is_that_of_all_folds_of_a_seed_by_the_task_s_level(rng, level):
    study, again = make(rng, 24, each=3, level=level), Softmax()
    chosen = targets(study, "kind", "x")
    fits = [*halves(study, again, 0), *halves(study, again, 1)]
    found = permute_columns(fits, "clinical", "kind", repeats=4)
    table, (entry,) = auroc_drops(found, study.tasks["kind"], chosen, COLUMNS)
    drops = np.zeros((2, 3, 4))
    for seed in (0, 1):
        folds = [fold for fold in found if fold.seed == seed]
        people = np.concatenate([fold.samples.patients for fold in folds])
        truth = pd.Series(np.concatenate([fold.codes for fold in folds]) == 0)

        def area(scores, people=people, truth=truth):
            if level == "sample":
                return roc_auc_score(truth, scores)
            return roc_auc_score(truth.groupby(people).first(), pd.Series(scores).groupby(people).mean())

        before = area(np.concatenate([fold.told[:, 0] for fold in folds]))
        for column in range(3):
            for repeat in range(4):
                after = np.concatenate([fold.changed[column, repeat, :, 0] for fold in folds])
                drops[seed, column, repeat] = before - area(after)
    own = table.set_index("part").loc[COLUMNS]
    np.testing.assert_allclose(own["drop"], drops.mean(axis=(0, 2)), atol=1e-12)
    np.testing.assert_allclose(own["sd"], drops.mean(axis=0).std(axis=1, ddof=1), atol=1e-12)
    assert own.loc["b", "drop"] != 0
    assert entry["n"] == (24 if level == "patient" else 72)


def test_losses_in_nats_are_those_of_the_right_answers(rng):
    study = make(rng, 20, each=2)
    (fold,) = permute_columns([Subject(Softmax(), study, study)], "clinical", "kind", repeats=3)
    rows = np.arange(40)
    after = -np.log(fold.changed[:, :, rows, fold.codes]).mean(axis=1)
    lost = (after + np.log(fold.told[rows, fold.codes])).T
    np.testing.assert_allclose(fold.losses().values, lost.reshape(20, 2, 3).mean(axis=1), atol=1e-12)


def test_a_whole_patient_lends_to_a_whole_patient(rng):
    """The columns tell whose row it is: rows of one patient must come from one other, each row from its own visit."""
    study, fitted = make(rng, 12, each=3), Softmax()
    own = study.modalities["clinical"].frame
    for i, column in enumerate(COLUMNS):
        own[column] = np.arange(36) + 1000.0 * i
    subject = halves(study, fitted)[0]
    permute_columns([subject], "clinical", "kind", repeats=5)
    lent = [table for table in fitted.asked if (table["a"] >= 0).all()]
    theirs, mine = set(subject.train.modalities["clinical"].frame["a"]), subject.test.modalities["clinical"].frame["a"]
    changed = [table["a"].to_numpy() for table in lent if not table["a"].equals(mine)]
    assert len(changed) == 5
    for values in changed:
        assert set(values) <= theirs
        lenders = (values // 3).reshape(-1, 3)
        assert (lenders == lenders[:, :1]).all()
        assert all(len(set(visits)) == 3 for visits in values.reshape(-1, 3))
    assert len({tuple(values) for values in changed}) == 5


def test_one_row_of_a_patient_stays_one_value_for_all_samples(rng):
    study, fitted = make(rng, 8, each=3), Softmax()
    shared = RowIndex(np.arange(25), np.repeat(np.arange(8), 3))
    frame = pd.DataFrame(rng.normal(size=(8, 3)), columns=COLUMNS)
    study = Study("shared", study.samples, {"clinical": Table(frame)}, {"clinical": shared}, study.tasks, study.labels)
    permute_columns(halves(study, fitted), "clinical", "kind", repeats=3)
    for table in fitted.asked:
        values = table.to_numpy().reshape(-1, 3, 3)
        assert (values == values[:, :1]).all()


def test_of_one_class_alone_there_is_no_auroc_and_that_is_said(rng):
    study, fitted = make(rng, 20), Softmax()
    only = study.take(np.flatnonzero(study.label_codes("kind") == 1))
    asked = Asked(study, "ruled", ("clinical",), [Subject(fitted, study, only)], 1)
    told = explain_by(asked, targets(study, "kind"), Options("permutation"), Silent())
    assert [e["auroc"] for e in told.about["auroc"]] == [None] * 3
    assert {e["reason"] for e in told.about["auroc"]} == {"all patients are of class y"}
    assert told.tables["auroc"][["drop", "sd", "auroc"]].isna().all(axis=None)
    assert told.tables["shares"]["size"].gt(0).any()
    two = study.take(np.flatnonzero(study.label_codes("kind") != 2))
    found = permute_columns([Subject(fitted, study, two)], "clinical", "kind", repeats=2)
    reasons = [e["reason"] for e in auroc_drops(found, study.tasks["kind"], targets(study, "kind"), COLUMNS)[1]]
    assert reasons == [None, None, "a seed has no patient of class z, or no other"]


def test_the_terminal_tells_both_measures_or_why_there_is_one_only(rng, tmp_path, capsys):
    study, fitted = make(rng, 12), Softmax()
    for name, asked in (("all", study), ("one", study.take(np.flatnonzero(study.label_codes("kind") == 1)))):
        subjects = [Subject(fitted, study, asked)]
        asked = Asked(study, "ruled", ("clinical",), subjects, 1)
        told = explain_by(asked, targets(study, "kind", "y"), Options("permutation"), Silent())
        write_explanation(tmp_path / name, told)
        print_explanation(tmp_path / name)
    text = capsys.readouterr().out
    assert "AUROC of y against the rest, 12 patients: 0." in text
    assert "± SD over 10 repeats" in text
    assert "mean, and mean size; nats lost by permuting a column" in text
    assert "none, since all patients are of class y" in text


def test_nobody_to_ask_or_to_lend_is_said(rng):
    study = make(rng, 6)
    none = replace(study, labels=study.labels.assign(kind=-1))
    with pytest.raises(StudyError, match="no labelled sample of task 'kind' has a row of 'clinical' to explain"):
        permute_columns([Subject(Softmax(), study, none)], "clinical", "kind")
    bare = replace(
        study,
        modalities={"clinical": Table(study.modalities["clinical"].frame[:0])},
        rows={"clinical": RowIndex(np.zeros(7, dtype=int), np.array([], dtype=int))},
    )
    with pytest.raises(StudyError, match="no training patient has a row of 'clinical' to hold others against"):
        permute_columns([Subject(Softmax(), bare, study)], "clinical", "kind")
