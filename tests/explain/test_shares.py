from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from polydx.errors import ConfigError, StudyError
from polydx.explain.agnostic import log_odds
from polydx.explain.asked import Asked
from polydx.explain.choice import targets
from polydx.explain.fused import shares_of_modalities
from polydx.explain.methods import Options, explain_by
from polydx.explain.subjects import Subject
from polydx.explain.tabular import background_rows, shapley, table_of
from polydx.progress import Silent
from polydx.study import RowIndex, Table


@dataclass
class Additive:
    """Log-odds of 'yes' add up: age from the table, the first point of the spectra, whichever is there."""

    slope: float = 0.05

    def predict_proba(self, study):
        odds = np.zeros(len(study))
        there = study.present("clinical")
        if there.any():
            rows = study.rows["clinical"]
            ages = table_of(study, "clinical").frame["age"].fillna(50).to_numpy()
            odds[there] += self.slope * (_means(ages, rows)[there] - 50)
        there = study.present("raman")
        odds[there] += _means(study.spectra("raman").values[:, 0], study.rows["raman"])[there] - 10
        p = 1 / (1 + np.exp(-odds))
        return {"disease": np.stack([1 - p, p], axis=1)}


def _means(values, index):
    return np.array([values[index[i]].mean() if len(index[i]) else np.nan for i in range(len(index))])


@pytest.fixture
def study(make_study, rng):
    plain = make_study(patients=8, each=2)
    table = pd.DataFrame({"age": rng.normal(55, 10, 16), "sex": rng.choice(np.array(["f", "m"], dtype=object), 16)})
    counts = np.r_[0, np.ones(15, dtype=int)]
    clinical = RowIndex(np.r_[0, np.cumsum(counts)], np.arange(15))
    return make_study(
        patients=8, each=2, modalities={**plain.modalities, "clinical": Table(table)},
        rows={**plain.rows, "clinical": clinical},
    )  # fmt: skip


def asked(study, fitted, modalities=("raman", "clinical"), sample=None):
    half = np.flatnonzero(study.patient_codes[0] < 4), np.flatnonzero(study.patient_codes[0] >= 4)
    folds = [Subject(fitted, study.take(half[1 - i]), study.take(half[i]), 0, i) for i in (0, 1)]
    return Asked(study, "additive", modalities, folds, 2, None, sample)


def test_shapley_values_of_columns_add_up_to_the_log_odds_over_the_background(study):
    fitted = Additive()
    own = study.take(np.arange(1, 16))
    (target,) = targets(study, "disease")
    found = shapley("clinical")(Subject(fitted, study, own), own, target)
    background = background_rows(study, "clinical", 0)["age"].mean()
    rows = own.rows["clinical"]
    np.testing.assert_allclose(
        found[:, 0], 0.05 * (_means(table_of(own, "clinical").frame["age"].to_numpy(), rows) - background), atol=1e-8
    )
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-12)


def test_only_what_the_recipe_reads_costs_anything_as_another_patient_s(study):
    told = explain_by(asked(study, Additive(0.3)), targets(study, "disease"), Options("permutation"), Silent())
    table = told.tables["shares"].set_index("part")
    assert table.loc["sex", "size"] == 0
    assert table.loc["age", "size"] > 0
    assert table.loc["age", "low"] <= table.loc["age", "size"] <= table.loc["age", "high"]
    assert told.about["classes"][0]["class"] == "all classes"
    assert told.about["patients"] == 8


def test_shares_of_modalities_add_up_to_the_log_odds_and_a_missing_one_gets_nothing(study):
    fitted = Additive()
    (target,) = targets(study, "disease")
    found = shares_of_modalities(["raman", "clinical"])(Subject(fitted, study, study), study, target)
    told = fitted.predict_proba(study)["disease"][:, 1]
    base = log_odds(np.mean([told[study.patient_codes[0] == p].mean() for p in range(8)]))
    np.testing.assert_allclose(found.sum(axis=1), log_odds(told) - base)
    assert found[0, 1] == 0
    both = explain_by(asked(study, fitted), [target], Options("modalities"), Silent())
    assert set(both.tables["shares"]["part"]) == {"raman", "clinical"}
    assert both.about["classes"][0]["patients"] == 4


def test_shares_of_columns_by_the_whole_road(study):
    told = explain_by(asked(study, Additive()), targets(study, "disease"), Options("shapley"), Silent())
    assert told.tables["shares"]["part"].tolist() == ["age", "sex"]
    assert told.about["modality"] == "clinical"
    assert len(told.folds) == 4 * 2


def test_what_cannot_be_shared_out_is_refused(study, make_study):
    chosen = targets(study, "disease")
    with pytest.raises(ConfigError, match="--sanity compares maps, and `shapley` makes none"):
        explain_by(asked(study, Additive()), chosen, Options("shapley", sanity=True), Silent())
    with pytest.raises(ConfigError, match="shares of modalities need 2 to 5 of them, but got 1"):
        explain_by(asked(study, Additive(), ("raman",)), chosen, Options("modalities"), Silent())
    with pytest.raises(StudyError, match="modality 'raman' of study 'tiny' holds no table"):
        table_of(study, "raman")
    with pytest.raises(StudyError, match="no training patient has a row of 'clinical'"):
        background_rows(study.take(np.array([0])), "clinical", 0)
    healthy = study.take(np.flatnonzero(study.label_codes("disease") == 0))
    with pytest.raises(StudyError, match="no sample of class yes of task 'disease' to explain"):
        explain_by(
            Asked(healthy, "a", ("raman", "clinical"), [Subject(Additive(), study, healthy)], 1),
            chosen,
            Options("modalities"),
            Silent(),
        )
