"""Recipes with frozen first stages keep what these give in the user's cache."""

from __future__ import annotations

import pytest

from polydx.config import TrainingConfig
from polydx.recipes.build import build_recipes
from polydx.recipes.network_plan import prefix_store, training_options

CONFIG = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 16}},
    "preprocessing": {"raman": ["snv"]},
    "freeze": [f"raman.{stage}" for stage in ("stem", "stage1", "stage2", "stage3")],
    "training": {"epochs": 2, "batch_size": 8, "patience": 2, "inner_share": 0.25},
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "polydx" / "frozen-stages"


def told(study, seed=0, **changes):
    fitted = build_recipes({"net": CONFIG | changes}, study)["net"].fit(study, seed)
    return fitted.predict_proba(study)["disease"].tobytes(), fitted.history, fitted.notes


def rows(cache):
    """How many rows are kept."""
    store = prefix_store(TrainingConfig())
    return sum(len(store.shelf(folder.name)) for folder in cache.iterdir())


def test_a_fit_keeps_maps_of_training_and_monitor_rows_and_gives_the_same_without(make_study, cache):
    study = make_study()
    found = [told(study), told(study)]
    assert rows(cache) == len(study)
    found.append(told(study, training=CONFIG["training"] | {"cache_gb": 0}))
    assert found[0] == found[1] == found[2]
    assert found[0][2] == []


def test_other_preprocessing_or_weights_find_no_old_maps(make_study, cache):
    study = make_study()
    told(study)
    told(study, preprocessing={"raman": ["snv", {"savitzky_golay": {"window": 5, "order": 2, "derivative": 0}}]})
    assert rows(cache) == 2 * len(study)
    assert len(list(cache.iterdir())) == 1
    told(study, seed=1)
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_told_and_changes_nothing(make_study, cache):
    study = make_study()
    expected = told(study)
    for file in cache.rglob("*.safetensors"):
        file.unlink()
    for folder in cache.iterdir():
        folder.rmdir()
    cache.rmdir()
    cache.touch()
    probabilities, history, notes = told(study)
    assert (probabilities, history) == expected[:2]
    assert len(notes) == 1
    assert notes[0].startswith("what the frozen stages give was not kept, but computed again: ")
    assert "cannot be written" in notes[0]


def test_variants_are_kept_and_plain_augmentation_is_not(make_study, cache):
    study = make_study()
    training = CONFIG["training"] | {"patience": None}
    told(study, augmentation={"raman": ["noise"]}, training=training)
    assert not cache.exists()
    fixed = training | {"augmentation_variants": 2}
    assert told(study, augmentation={"raman": ["noise"]}, training=fixed) == told(
        study, augmentation={"raman": ["noise"]}, training=fixed
    )
    assert rows(cache) == 2 * len(study)


def test_the_keys_reach_the_fit_and_the_store(cache):
    training = TrainingConfig(augmentation_variants=3, cache_gb=0.5)
    assert training_options(training, training).augmentation_variants == 3
    assert (prefix_store(training).folder, prefix_store(training).limit) == (cache, 500_000_000)
