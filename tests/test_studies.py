"""Every shipped study, on a slice of its patients, through every recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polydx.config import Config, StudyConfig
from polydx.datasets.catalogue import DATASETS, build_study
from polydx.io.config_file import read_config, read_variants
from polydx.recipes.build import build_recipes
from polydx.recipes.sources import Sources
from polydx.splits import stratifying_task
from polydx.study import Study
from polydx.validation.cross_validation import cross_validate
from polydx.validation.scores import score_predictions

STUDIES = sorted((Path(__file__).parent.parent / "studies").glob("*.yaml"))
PATIENTS_A_CLASS, SPECTRA_A_PATIENT = 4, 4


def slice_of(study: Study, task: str) -> Study:
    """A few samples of a few patients of each class."""
    codes, patients = study.label_codes(task), study.patients
    kept: list[int] = []
    for code in range(len(study.tasks[task].classes)):
        own = list(dict.fromkeys(patients[codes == code]))[:PATIENTS_A_CLASS]
        for patient in own:
            kept += list(np.flatnonzero((patients == patient) & (codes == code))[:SPECTRA_A_PATIENT])
    return study.take(np.array(sorted(kept)))


def quick(config: Config) -> dict[str, object]:
    """The study's recipes with little to learn: fewer trees, one epoch, fewer components than the slice has rows."""
    return {name: hurried(recipe.model_dump(exclude_none=True)) for name, recipe in config.recipes.items()}


def hurried(part: Any) -> Any:
    """The same description, wherever in it something takes long, with less of that."""
    if isinstance(part, list):
        return [hurried(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    changed = {key: hurried(value) for key, value in part.items()}
    for section in ("training", "pretrain"):
        if "epochs" in changed.get(section, {}):
            changed[section]["epochs"] = 1
    few = {"random_forest": {"n_estimators": 3}, "xgboost": {"n_estimators": 3}, "mlp": {"epochs": 1}}
    if changed.get("model") in few:
        changed["params"] = {**changed["params"], **few[changed["model"]]}
    if changed.get("name") == "pca":
        changed["params"] = {"components": 3}
    return changed


def cases() -> list[tuple[Path, str | None]]:
    """Every file as it stands, or each of its variants."""
    return [(path, name) for path in STUDIES for name in [*read_variants(path)] or [None]]


@pytest.fixture
def few_elsewhere(monkeypatch):
    """Other studies to pretrain on, as slices too."""
    whole = Sources.load

    def sliced(self: Sources, wanted: StudyConfig) -> Study:
        study = whole(self, wanted)
        return slice_of(study, next(iter(study.tasks)))

    monkeypatch.setattr(Sources, "load", sliced)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "variant"), cases(), ids=lambda found: getattr(found, "stem", found) or "")
def test_a_shipped_study_runs_through_every_recipe(path, variant, data, few_elsewhere):
    config = read_config(path) if variant is None else read_variants(path)[variant]
    if config.study.dataset and DATASETS[config.study.dataset].local and not (data / config.study.dataset).is_dir():
        pytest.skip(f"{config.study.dataset} is not in {data}")
    study = build_study(config.study, path.parent, data)
    build_recipes(config.recipes, study, data=data)
    part = slice_of(study, stratifying_task(study, config.validation))
    validation = config.validation.model_copy(update={"split": "stratified-group-k-fold", "folds": 2, "seeds": [0]})
    result = cross_validate(part, build_recipes(quick(config), part, data=data), validation)
    assert set(result.predictions["recipe"]) == set(config.recipes)
    scored = score_predictions(result.predictions, part.tasks, resamples=100)
    for recipe in scored["recipes"].values():
        assert set(recipe["tasks"]) >= set(part.tasks)
