"""One classical model on features of several networks and on columns beside them, with samples that lack some."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mixed_studies import ALL, STEPS, lacking

from polydx.errors import ConfigError, StudyError
from polydx.recipes.build import build_recipes
from polydx.recipes.kinds import rebuild
from polydx.recipes.network import NetworkRecipe
from polydx.study import Study

TRAINING = {"epochs": 2, "batch_size": 8, "lr": 0.01, "patience": None}
NETWORKS: dict[str, Any] = {
    "spectra": {
        "kind": "network",
        "backbones": {"raman": {"name": "cnn", "width": 4}},
        "augmentation": {"raman": ["offset"]},
        "training": TRAINING,
    },
    "images": {
        "kind": "network",
        "backbones": {"image": {"name": "cnn", "width": 4}},
        "augmentation": {"image": ["horizontal_flip"]},
        "training": TRAINING,
    },
}
FUSED: dict[str, Any] = {
    "kind": "features",
    "features": {
        "bands": {"from": "spectra", "stage": "embedding", "steps": ["standardise"]},
        "texture": {"from": "images", "stage": "image.stage1"},
    },
    "preprocessing": {"clinical": STEPS["clinical"]},
    "model": "logistic_regression",
    "params": {"C": 0.1},
}


def fused(study: Study, **changes: Any) -> Any:
    return build_recipes({**NETWORKS, "fused": FUSED | changes}, study)["fused"]


@pytest.mark.parametrize("model", ["logistic_regression", "svm"])
@pytest.mark.slow
def test_it_learns_from_features_and_columns_and_answers_from_any_part_of_them(make, model):
    study = make()
    recipe = fused(study, model=model)
    assert recipe.modalities == ALL
    fit = recipe.fit(study, 0)
    config, arrays = fit.state()
    again = rebuild(json.loads(json.dumps(config)), arrays)
    for gone in ((), ("raman",), ("image", "clinical"), ("raman", "image")):
        part = lacking(study, *gone).having([name for name in ALL if name not in gone])
        told = fit.predict_proba(part)["disease"]
        np.testing.assert_allclose(told.sum(axis=1), 1)
        np.testing.assert_allclose(again.predict_proba(part)["disease"], told, atol=1e-6)
        np.testing.assert_allclose(fit.predict_proba(part.take(np.array([1])))["disease"], told[[1]], atol=1e-5)
    with pytest.raises(StudyError, match="30 samples with none of the modalities raman, image, clinical"):
        fit.predict_proba(lacking(study, *ALL))


def test_the_model_sees_the_networks_features_the_columns_and_what_is_there(make):
    study = make()
    fit = fused(study).fit(study, 0)
    seen = fit.classical.features(fit.on_features(study), "input")
    inputs = fit.classical.inputs["disease"]
    widths = [len(inputs.stand_ins[name].mean) for name in ("bands", "texture", "clinical")]
    there = study.present("image")
    own = fit.cuts["texture"].network.features(study.having(["image"]), "image.stage1", "average")
    np.testing.assert_allclose(seen[there][:, widths[0] : widths[0] + widths[1]], own, atol=1e-6)
    np.testing.assert_array_equal(seen[:, -3:], np.column_stack([study.present(name) for name in ALL]))
    np.testing.assert_allclose(fit.features(study.having(["image"]), "texture:image.stem").shape[0], there.sum())
    with pytest.raises(ConfigError, match="unknown cut 'textur'; did you mean 'texture'"):
        fit.features(study, "textur:image.stem")
    assert fit.remarks(study) == []


def test_a_network_of_two_cuts_is_fitted_once(make, monkeypatch):
    study, fits = make(), []
    own = NetworkRecipe.fit
    monkeypatch.setattr(NetworkRecipe, "fit", lambda self, *rest: fits.append(self.name) or own(self, *rest))
    cuts = {"early": {"from": "images", "stage": "image.stage1"}, "late": {"from": "images", "stage": "embedding"}}
    fused(study, features=cuts).fit(study, 0)
    assert len(fits) == 1


def test_augmented_copies_repeat_the_columns(make, monkeypatch):
    study, taught = make(), []
    cuts = {name: cut | {"copies": 2} for name, cut in FUSED["features"].items()}
    recipe = fused(study, features=cuts)
    inner = type(recipe.classical).fit
    monkeypatch.setattr(type(recipe.classical), "fit", lambda self, s, seed: taught.append(s) or inner(self, s, seed))
    recipe.fit(study, 0)
    (learned,) = taught
    assert len(learned) == 90
    clinical, bands = learned.rows["clinical"], learned.rows["bands"]
    assert len(learned.modalities["clinical"]) == len(study.modalities["clinical"])
    for position in range(30):
        assert clinical[position].tolist() == clinical[position + 60].tolist()
        assert len(bands[position]) == len(bands[position + 30]) == int(study.present("raman")[position])


def test_published_settings_can_be_written(make):
    study = make()
    for model, params in (
        ("svm", {"kernel": "linear", "C": 0.002}),
        (
            "random_forest",
            {
                "n_estimators": 375,
                "min_samples_leaf": 30,
                "min_samples_split": 60,
                "max_depth": 7,
                "criterion": "entropy",
            },
        ),
        ("gradient_boosting", {"n_estimators": 45}),
        ("xgboost", {}),
    ):
        assert fused(study, model=model, params=params).classical.params == params


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": {"a": {"from": "nett", "stage": "embedding"}}}, "unknown network recipe 'nett'"),
        (
            {"features": FUSED["features"] | {"bands": {"from": "spectra", "stage": "raman.stage9"}}},
            r"features\.bands\.stage +unknown stage 'stage9'",
        ),
        (
            {"features": FUSED["features"] | {"bands": {"from": "spectra", "stage": "embedding", "copies": 1}}},
            "different numbers of `copies`",
        ),
        ({"preprocessing": {"clinical": ["snv"]}}, "unknown step 'snv'"),
        ({"preprocessing": {"clinicl": []}}, "no modality 'clinicl'"),
        ({"preprocessing": {"bands": []}}, "`bands` names a cut and a modality"),
        ({"features": {}}, "at least 1"),
    ],
)
def test_cuts_and_columns_that_cannot_be_are_refused(make, changes, message):
    with pytest.raises(ConfigError, match=message):
        fused(make(), **changes)


def test_a_study_without_the_columns_answers_from_the_features(make):
    study = make()
    fit = fused(study).fit(study, 0)
    part = study.having(["image"])
    less = replace(part, modalities={"image": part.modalities["image"]}, rows={"image": part.rows["image"]})
    np.testing.assert_allclose(
        fit.predict_proba(less)["disease"], fit.predict_proba(lacking(part, "raman", "clinical"))["disease"], atol=1e-9
    )
