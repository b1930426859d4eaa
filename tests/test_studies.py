"""Every shipped study, on a slice of its patients, through every recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polydx.config import Config
from polydx.datasets.catalogue import DATASETS, build_study
from polydx.io.config_file import read_config
from polydx.recipes.build import build_recipes
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
    recipes: dict[str, object] = {}
    for name, recipe in config.recipes.items():
        plain = recipe.model_dump()
        if plain["kind"] == "network":
            plain["training"]["epochs"] = 1
        if plain.get("model") in ("random_forest", "xgboost"):
            plain["params"] = {**plain["params"], "n_estimators": 3}
        for steps in plain.get("preprocessing", {}).values():
            for step in steps if isinstance(steps, list) else []:
                if step["name"] == "pca":
                    step["params"] = {"components": 3}
        recipes[name] = plain
    return recipes


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_a_shipped_study_runs_through_every_recipe(path, data):
    config = read_config(path)
    if config.study.dataset and DATASETS[config.study.dataset].local and not (data / config.study.dataset).is_dir():
        pytest.skip(f"{config.study.dataset} is not in {data}")
    study = build_study(config.study, path.parent, data)
    build_recipes(config.recipes, study)
    part = slice_of(study, stratifying_task(study, config.validation))
    validation = config.validation.model_copy(update={"split": "stratified-group-k-fold", "folds": 2, "seeds": [0]})
    result = cross_validate(part, quick(config), validation)
    assert set(result.predictions["recipe"]) == set(config.recipes)
    scored = score_predictions(result.predictions, part.tasks, resamples=100)
    for recipe in scored["recipes"].values():
        assert set(recipe["tasks"]) >= set(part.tasks)
