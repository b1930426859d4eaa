"""Classical models on spectra, images and tables side by side, of which samples may lack some."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mixed_studies import ALL, STEPS, lacking

from polydx.errors import ConfigError, StudyError
from polydx.recipes.build import build_recipes
from polydx.recipes.catalogue import ESTIMATORS
from polydx.recipes.inputs import FittedInputs, fit_features
from polydx.recipes.kinds import rebuild
from polydx.study import Study, Table

QUICK: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 20},
    "gradient_boosting": {"n_estimators": 10},
    "xgboost": {"n_estimators": 10},
    "mlp": {"hidden": [8], "epochs": 3},
    "pls_da": {"components": 2},
}


def fitted(study: Study, model: str = "logistic_regression", names: tuple[str, ...] = ALL, **params: Any) -> Any:
    steps = {name: STEPS[name] for name in names}
    config = {"kind": "classical", "model": model, "params": params, "preprocessing": steps}
    return build_recipes({"it": config}, study)["it"].fit(study, 0)


@pytest.mark.parametrize("model", list(ESTIMATORS))
def test_every_model_learns_from_any_mix_and_answers_from_any_part_of_it(make, model):
    study = make()
    fit = fitted(study, model, **QUICK.get(model, {}))
    config, arrays = fit.state()
    again = rebuild(json.loads(json.dumps(config)), arrays)
    for gone in ((), ("raman",), ("image", "clinical"), ("raman", "clinical")):
        part = lacking(study, *gone)
        left = [name for name in ALL if name not in gone]
        part = part.take(np.flatnonzero(np.any([part.present(name) for name in left], axis=0)))
        told = fit.predict_proba(part)["disease"]
        np.testing.assert_allclose(told.sum(axis=1), 1)
        np.testing.assert_allclose(again.predict_proba(part)["disease"], told, atol=1e-6)


def test_a_sample_answers_alone_as_it_does_among_others(make):
    study = make()
    fit = fitted(study)
    told = fit.predict_proba(study)["disease"]
    for position in (0, 1, 2, 3):
        alone = fit.predict_proba(study.take(np.array([position])))["disease"]
        np.testing.assert_allclose(alone, told[[position]], atol=1e-12)


def test_a_gap_has_the_mean_of_training_and_says_so(make):
    study = make()
    inputs, features = fit_features(study, build_recipes({"it": {"kind": "classical", "model": "svm",
                                    "preprocessing": STEPS}}, study)["it"].steps)  # fmt: skip
    widths = {name: len(found.mean) for name, found in inputs.stand_ins.items()}
    stops = np.cumsum(list(widths.values()))
    assert features.shape == (30, stops[-1] + 3)
    for number, name in enumerate(ALL):
        block = features[:, stops[number] - widths[name] : stops[number]]
        there = study.present(name)
        np.testing.assert_array_equal(features[:, stops[-1] + number], there)
        np.testing.assert_allclose(block[~there], np.broadcast_to(block[there].mean(axis=0), block[~there].shape))
    np.testing.assert_array_equal(inputs.features(study), features)
    again = FittedInputs.from_state(*inputs.state())
    np.testing.assert_array_equal(again.features(lacking(study, "raman").take(np.array([1, 3]))),
                                  inputs.features(lacking(study, "raman").take(np.array([1, 3]))))  # fmt: skip


def test_a_gap_that_training_never_had_is_not_told_to_the_model(make):
    whole = make(gaps=False)
    fit = fitted(whole, "linear_svm")
    gone = lacking(whole, "raman")
    inputs = fit.inputs["disease"]
    np.testing.assert_array_equal(inputs.features(gone)[:, -3:], 1)
    assert np.isfinite(fit.predict_proba(gone)["disease"]).all()


def test_rows_of_the_table_spectra_and_columns_in_another_order_change_nothing(make):
    study, rng = make(), np.random.default_rng(1)
    turned, rows = {}, {}
    for name, modality in study.modalities.items():
        order = rng.permutation(len(modality))
        turned[name] = modality.take(order)
        rows[name] = replace(study.rows[name], rows=np.argsort(order)[study.rows[name].rows])
    table = turned["clinical"]
    assert isinstance(table, Table)
    turned["clinical"] = Table(table.frame[table.frame.columns[::-1]])
    other = replace(study, modalities=turned, rows=rows)
    for model in ("logistic_regression", "random_forest"):
        params = QUICK.get(model, {})
        one, two = (fitted(s, model, **params).predict_proba(s)["disease"] for s in (study, other))
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_gaps_do_not_give_the_answer_away(make):
    """Modalities that say nothing, with gaps at random: the fit must not know better than chance on other patients."""
    train, test = make(patients=60, effect=0.0), make(patients=60, effect=0.0, seed=1)
    told = fitted(train, C=0.01).predict_proba(test)["disease"][:, 1]
    codes = test.label_codes("disease")
    better = (told[codes == 1][:, None] > told[codes == 0]).mean()
    assert 0.3 < better < 0.7


def test_without_preprocessing_spectra_and_tables_are_taken(make):
    study = make()
    found = build_recipes({"it": {"kind": "classical", "model": "svm"}}, study.take(np.array([2, 3, 4, 7, 8, 9])))
    assert found["it"].modalities == ("raman", "clinical")
    images = replace(study, modalities={"image": study.modalities["image"]}, rows={"image": study.rows["image"]})
    with pytest.raises(ConfigError, match="no spectra or table for it to use"):
        build_recipes({"it": {"kind": "classical", "model": "svm"}}, images)


def test_a_sample_with_nothing_is_refused(make):
    study = make()
    fit = fitted(study)
    with pytest.raises(StudyError, match="30 samples with none of the modalities raman, image, clinical: s00"):
        fit.predict_proba(lacking(study, *ALL))
    with pytest.raises(StudyError, match="no training row of image: leave it out of the recipe"):
        fit_features(lacking(study, "image"), {"raman": [], "image": []})


def test_an_unknown_category_is_remarked_and_a_wrong_column_named(make):
    study = make()
    fit = fitted(study)
    assert fit.remarks(study) == []
    frame = study.modalities["clinical"].frame
    odd = Table(frame.assign(site="moon"))
    found = replace(study, modalities={**study.modalities, "clinical": odd})
    assert fit.remarks(found) == ["clinical: column 'site' holds 'moon', unknown in training: taken as missing"]
    fit.predict_proba(found)
    less = replace(study, modalities={**study.modalities, "clinical": Table(frame[["site"]])})
    with pytest.raises(StudyError, match="column 'age'"):
        fit.predict_proba(less)
    swapped = replace(study, modalities={**study.modalities, "clinical": study.modalities["image"]})
    with pytest.raises(StudyError, match="modality 'clinical' of study 'mixed' holds images; the model knows a table"):
        fit.predict_proba(replace(swapped, rows={**study.rows, "clinical": study.rows["image"]}))
    empty = Table(frame.assign(age=np.nan))
    assert fitted(replace(study, modalities={**study.modalities, "clinical": empty})).notes == [
        "clinical: column 'age' has no value in training: left out"
    ]
