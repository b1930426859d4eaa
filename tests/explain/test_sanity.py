from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from polydx.datasets.simulated_multimodal import simulate_multimodal
from polydx.errors import ConfigError
from polydx.explain.asked import Asked
from polydx.explain.choice import targets
from polydx.explain.gradients import grad_cam_of_images, integrated_gradients
from polydx.explain.methods import Options, explain_by
from polydx.explain.pictorial import occlusion_of_images
from polydx.explain.sanity import (
    dealt_out,
    rank_correlation,
    sanity_of_images,
    sanity_of_spectra,
    structural_similarity,
)
from polydx.explain.spectral import occlusion
from polydx.explain.subjects import Subject
from polydx.io.decoded import decoded
from polydx.progress import Silent
from polydx.recipes.build import build_recipes

SEEN = {
    "kind": "network", "backbones": {"image": {"name": "cnn", "width": 8, "multipliers": [1, 2]}},
    "training": {"epochs": 10, "batch_size": 16, "lr": 0.01, "patience": None},
}  # fmt: skip
RECIPES = {
    "image-only": SEEN,
    "fused": {**SEEN, "backbones": {**SEEN["backbones"], "clinical": {"name": "mlp", "hidden": [8]}}, "bags": {"image": "attention"}},
    "forest": {
        "kind": "classical", "model": "random_forest", "params": {"n_estimators": 20},
        "preprocessing": {"image": [{"resize": {"size": 8}}]},
    },
}  # fmt: skip


def contrast(subject, study, modality, target):
    """Looks like an explanation, and does not look at the model."""
    return study.spectra(modality).values - study.spectra(modality).values.mean(axis=1, keepdims=True)


def test_the_map_of_a_trained_network_is_not_that_of_random_weights(subject):
    own = subject("cnn")
    found = sanity_of_spectra(own, integrated_gradients(8), "raman", targets(own.test, "disease")[0], draws=2)
    assert found.passed
    assert found.similarity < 0.4
    assert list(found.steps) == [
        "heads.disease",
        *(f"backbones.raman.{s}" for s in ("stage4", "stage3", "stage2", "stage1", "stem")),
    ]
    assert found.to_json()["test"] == "weights"


def test_a_method_that_ignores_the_model_is_found_out(subject):
    for name in ("cnn", "logistic"):
        own = subject(name)
        found = sanity_of_spectra(own, contrast, "raman", targets(own.test, "disease")[0], draws=1)
        assert not found.passed
        assert found.similarity == pytest.approx(1)
        assert found.structure == pytest.approx(1)


@pytest.mark.slow
def test_a_classical_recipe_is_fitted_again_to_labels_dealt_out_anew(subject):
    own = subject("logistic")
    target = targets(own.test, "disease")[0]
    found = sanity_of_spectra(own, occlusion(60), "raman", target, draws=2)
    assert (found.test, found.passed) == ("labels", True)
    with pytest.raises(
        ConfigError, match="fits a recipe that is no network again, .*: explain the recipe of a run folder"
    ):
        sanity_of_spectra(replace(own, refit=None), occlusion(60), "raman", target)


@pytest.fixture(scope="module")
def pictured():
    """Fit a recipe on three quarters of simulated patients with pictures, once; it explains the others."""
    study = simulate_multimodal(patients=64, points=50, image_size=16, effect=8.0)
    code = study.patient_codes[0]
    train, test = study.take(np.flatnonzero(code % 4 != 0)), study.take(np.flatnonzero(code % 4 == 0))
    recipes, made = build_recipes(RECIPES, study), {}

    def fitted(name):
        if name not in made:
            recipe = recipes[name]
            made[name] = Subject(recipe.fit(train, 0), train, test, 0, 1, lambda s: recipe.fit(s, 0))
        return made[name]

    return fitted


def brightness(subject, study, modality, target):
    """Looks like a map over an image, and does not look at the model."""
    image = decoded(study.images(modality).take(study.rows[modality][0][:1]))[0].astype(np.float64)
    return image.reshape(*image.shape[:2], -1).mean(axis=2), image


def nothing(subject, study, modality, target):
    heat, image = brightness(subject, study, modality, target)
    return np.zeros_like(heat), image


@pytest.mark.parametrize(
    ("recipe", "parts"),
    [
        ("image-only", ["heads.disease"]),
        pytest.param("fused", ["heads.disease", "fusion", "pools.image"], marks=pytest.mark.slow),
    ],
)
def test_the_maps_of_a_trained_network_over_images_are_not_those_of_random_weights(pictured, recipe, parts):
    own = pictured(recipe)
    target = targets(own.test, "disease")[0]
    found = sanity_of_images(own, grad_cam_of_images("stage1"), "image", target, draws=2)
    assert (found.test, found.passed) == ("weights", True)
    assert found.similarity < 0.6
    assert list(found.steps) == [*parts, *(f"backbones.image.{s}" for s in ("stage2", "stage1", "stem"))]
    for method in (brightness, nothing):
        ignores = sanity_of_images(own, method, "image", target, draws=1)
        assert not ignores.passed
        assert (ignores.similarity, ignores.structure) == (pytest.approx(1), pytest.approx(1))


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "test"), [("image-only", "weights"), ("fused", "weights"), ("forest", "labels")])
def test_occlusion_of_images_depends_on_what_was_learnt(pictured, recipe, test):
    own = pictured(recipe)
    target = targets(own.test, "disease")[0]
    found = sanity_of_images(own, occlusion_of_images(), "image", target, draws=1, most=2)
    assert (found.test, found.passed) == (test, True)
    assert not sanity_of_images(own, brightness, "image", target, draws=1).passed


@pytest.mark.slow
def test_every_class_over_images_gets_the_check_of_the_fit_that_explained_it(pictured):
    own = pictured("fused")
    asked = Asked(own.test, "fused", ("image", "clinical"), [own], 1)
    options = Options("grad_cam", "image", stage="stage1", sanity=True)
    told = explain_by(asked, targets(own.test, "grade"), options, Silent()).about
    assert {entry["class"] for entry in told["classes"]} == set(own.test.tasks["grade"].classes)
    assert all(entry["sanity"]["test"] == "weights" for entry in told["classes"])
    assert told["options"] == {"stage": "stage1"}


def test_labels_are_dealt_out_among_patients(make_study):
    study = make_study(patients=12)
    mixed = dealt_out(study, "disease", 3)
    assert not mixed.labels.equals(study.labels)
    by_patient = mixed.labels["disease"].groupby(study.samples["patient"])
    assert (by_patient.nunique() == 1).all()
    assert by_patient.first().value_counts().to_dict() == {0: 6, 1: 6}


def test_similarities_of_maps(rng):
    a, b = rng.normal(size=200), rng.normal(size=200)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(a, np.zeros(200)) == 0
    assert structural_similarity(a, 3 * a) == pytest.approx(1)
    assert structural_similarity(a, b) < 0.3
    image, other = rng.normal(size=(20, 30)), rng.normal(size=(20, 30))
    assert structural_similarity(image, 2 * image) == pytest.approx(1)
    a_, b_ = (m / np.abs(m).max() for m in (image, other))
    windows = [(a_[y : y + 11, x : x + 11], b_[y : y + 11, x : x + 11]) for y in range(10) for x in range(20)]
    c1, c2 = 0.02**2, 0.06**2
    plain = [
        (2 * u.mean() * v.mean() + c1) / (u.mean() ** 2 + v.mean() ** 2 + c1)
        * (2 * ((u - u.mean()) * (v - v.mean())).mean() + c2) / (u.var() + v.var() + c2)
        for u, v in windows
    ]  # fmt: skip
    assert structural_similarity(image, other) == pytest.approx(np.mean(plain))
    a[:10] = np.nan
    assert rank_correlation(a, a) == pytest.approx(1)
