"""Late fusion: members of different modalities, and samples that lack some."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from mixed_studies import ALL, STEPS, lacking
from sklearn.linear_model import LogisticRegression

from polydx.errors import StudyError
from polydx.recipes.build import build_recipes
from polydx.recipes.kinds import rebuild
from polydx.recipes.out_of_fold import folds_of_tasks, out_of_fold
from polydx.study import Study

MEMBERS = {
    f"{name}-only": {
        "kind": "classical",
        "model": "logistic_regression",
        "preprocessing": {name: STEPS[name]},
        "params": {"C": 0.1},
    }
    for name in ALL
}


def late(study: Study, method: str = "average", **changes: Any) -> Any:
    config = {"kind": "ensemble", "members": list(MEMBERS), "method": method} | changes
    return build_recipes({**MEMBERS, "late": config}, study)["late"]


def members(study: Study) -> dict[str, Any]:
    return build_recipes(MEMBERS, study)


@pytest.mark.parametrize("method", ["average", "stacking"])
@pytest.mark.slow
def test_it_answers_from_any_part_alike_alone_and_among_others_and_after_storage(make, method):
    study = make()
    fit = late(study, method).fit(study, 0)
    config, arrays = fit.state()
    again = rebuild(json.loads(json.dumps(config)), arrays)
    for gone in ((), ("raman",), ("image", "clinical")):
        part = lacking(study, *gone)
        part = part.having([name for name in ALL if name not in gone])
        told = fit.predict_proba(part)["disease"]
        np.testing.assert_allclose(told.sum(axis=1), 1)
        np.testing.assert_allclose(again.predict_proba(part)["disease"], told, atol=1e-9)
        alone = fit.predict_proba(part.take(np.array([1])))["disease"]
        np.testing.assert_allclose(alone, told[[1]], atol=1e-12)


def test_the_average_is_of_the_members_that_can_answer(make):
    study = make()
    told = late(study).fit(study, 0).predict_proba(study)["disease"]
    own = {name: recipe.fit(study.having(recipe.modalities), 0) for name, recipe in members(study).items()}
    for position in range(10):
        one = study.take(np.array([position]))
        there = [n for n, recipe in members(study).items() if one.present(recipe.modalities[0])[0]]
        expected = np.mean([own[name].predict_proba(one)["disease"][0] for name in there], axis=0)
        np.testing.assert_allclose(told[position], expected, atol=1e-12)


@pytest.mark.slow
def test_stacking_sees_the_mean_and_an_indicator_where_a_member_cannot_answer(make):
    study = make()
    fit = late(study, "stacking").fit(study, 0)
    folds = folds_of_tasks(study, ["disease"], 0)
    blocks, told = [], []
    for recipe in members(study).values():
        held_out = out_of_fold(recipe.fit, study, folds, 0, recipe.modalities)["disease"]
        there = study.present(recipe.modalities[0])
        assert (np.isfinite(held_out).all(axis=1) == there).all()
        blocks.append(np.where(there[:, None], held_out, held_out[there].mean(axis=0)))
        told.append(there[:, None].astype(float))
    features = np.hstack([*blocks, *told])
    oracle = LogisticRegression(max_iter=500, class_weight="balanced").fit(features, study.label_codes("disease"))
    found = fit.stackers["disease"].model.estimator
    np.testing.assert_allclose(found.coef_, oracle.coef_, atol=1e-6)


def test_a_member_learns_from_the_samples_it_can_take_and_says_how_many_it_cannot(make):
    study = make()
    fit = late(study).fit(study, 0)
    assert "raman-only: learned without 6 samples with none of raman" in fit.notes
    whole = make(gaps=False)
    assert late(whole).fit(whole, 0).notes == []


def test_a_sample_that_no_member_can_answer_for_is_refused(make):
    study = make()
    fit = late(study).fit(study, 0)
    with pytest.raises(StudyError, match="30 samples with none of the modalities raman, image, clinical"):
        fit.predict_proba(lacking(study, *ALL))


@pytest.mark.parametrize(
    ("method", "point"),
    [("stacking", {"rule": "youden"}), ("average", {"rule": "sensitivity", "target": 0.9})],
    ids=["stacking", "average"],
)
@pytest.mark.slow
def test_an_operating_point_is_chosen_with_gaps(make, method, point):
    study = make()
    fit = late(study, method, operating_point=point).fit(study, 0)
    assert 0 < fit.thresholds["disease"] < 1
    assert np.isfinite(fit.predict_proba(study)["disease"]).all()


@pytest.mark.parametrize("model", ["logistic_regression", "svm"])
@pytest.mark.slow
def test_classical_models_have_an_operating_point_and_calibration_with_gaps(make, model):
    study = make()
    config = {"kind": "classical", "model": model, "preprocessing": STEPS, "operating_point": {"rule": "youden"}}
    fit = build_recipes({"it": config}, study)["it"].fit(study, 0)
    assert 0 < fit.thresholds["disease"] < 1
    assert fit.notes == []
