"""Finished runs made in memory: a study with subgroups, predictions drawn by chance, real metrics."""

import numpy as np
import pandas as pd

from polydx.config import Config
from polydx.splits import Fold
from polydx.study import RowIndex, Spectra, Study, Task
from polydx.validation.cross_validation import splits_frame
from polydx.validation.predictions import predictions_frame
from polydx.validation.run_folder import Run, describe_for_report, environment
from polydx.validation.scores import score_predictions

TWO = {"disease": Task(("healthy", "ill"), positive="ill")}
RESAMPLES = 100


def build_study(patients=12, each=3, tasks=None, missing=(), names=None, simulated=False, seed=0):
    """Patients with centre, sex and age; the last centre has no patient with a label."""
    rng = np.random.default_rng(seed)
    tasks, n = tasks or TWO, patients * each
    names = names or [f"tiny/p{i:03d}" for i in range(patients)]
    owner = np.repeat(np.arange(patients), each)
    samples = pd.DataFrame(
        {
            "patient": np.array(names, dtype=object)[owner],
            "centre": np.array(["A", "B"], dtype=object)[owner % 2],
            "sex": np.where(owner == 0, None, np.array(["f", "m"], dtype=object)[owner // 2 % 2]),
            "age": 37.25 + 1.5 * owner,
            "site": np.array(["left", "right", "left"], dtype=object)[np.arange(n) % 3],
        },
        index=pd.Index([f"s{i:04d}" for i in range(n)], name="sample", dtype=object),
    )
    labels = {}
    for name, task in tasks.items():
        codes = owner % len(task.classes) if task.level == "patient" else rng.integers(len(task.classes), size=n)
        if task.parent is not None:
            above, label = task.parent
            codes = np.where(labels[above] == tasks[above].classes.index(label), codes, -1)
        labels[name] = np.where(np.isin(owner, missing), -1, codes)
    axis = np.linspace(400, 1800, 12)
    values = rng.random((n, 12)).astype(np.float32)
    return Study(
        "tiny", samples, {"raman": Spectra(values, axis)}, {"raman": RowIndex.one_each(n)}, tasks,
        pd.DataFrame(labels, index=samples.index), simulated=simulated, notes=("one file was left out",),
    )  # fmt: skip


def build_run(
    folder, study=None, recipes=("logistic", "forest"), seeds=(0,), primary="default", history=None, spread=1.5
):
    """A run of recipes that know the labels up to noise; `primary` as in the YAML, or None."""
    study = study or build_study()
    folds = _folds(study)
    frames = [
        predictions_frame(
            part, _probabilities(part, np.random.default_rng([r, seed, fold.number]), spread),
            recipe=recipe, seed=seed, fold=fold.number, thresholds={}, modalities=("raman",),
        )
        for r, recipe in enumerate(recipes)
        for seed in seeds
        for fold in folds
        for part in [study.take(fold.test)]
    ]  # fmt: skip
    predictions = pd.concat(frames, ignore_index=True)
    if primary == "default":
        first = next(iter(study.tasks))
        level = study.tasks[first].level
        primary = {
            "recipe": recipes[0],
            "versus": list(recipes[1:]) or None,
            "task": first,
            "level": level,
            "metric": "auroc",
        }
    config = Config.model_validate(
        {
            "study": {"dataset": "simulated-tumour"},
            "recipes": {
                r: {"kind": "classical", "model": "logistic_regression", "params": {"C": 0.01}} for r in recipes
            },
            "validation": {"seeds": list(seeds), "bootstrap": RESAMPLES, "folds": 3},
        }
    )
    scored = score_predictions(predictions, study.tasks, resamples=RESAMPLES, primary=primary)
    for found in scored["recipes"].values():
        found["seconds"] = {"fit": 1.25, "predict": 0.5}
    metrics = {
        "schema": 1, "study": study.name, "simulated": study.simulated, "split": "stratified-group-k-fold", "folds": 3,
        "seeds": list(seeds), "resamples": RESAMPLES, "primary": primary, **scored, "leakage_gap": gap(study), "notes": [],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    return Run(
        folder, config, describe_for_report(study), dict(study.tasks), predictions, metrics,
        [{"severity": "note", "check": "copies", "where": "sample 's0001'", "message": "looks like another"}],
        environment(), pd.DataFrame() if history is None else history, splits_frame(study, dict.fromkeys(seeds, folds)),
    )  # fmt: skip


def gap(study):
    by_sample = {"estimate": 0.971, "low": 0.95, "high": 0.99}
    by_patient = {"estimate": 0.801, "low": 0.7, "high": 0.9}
    about = {"recipe": "logistic", "metric": "accuracy", "level": "sample"}
    return {task: {**about, "by_sample": by_sample, "by_patient": by_patient} for task in study.tasks}


def _folds(study):
    place = study.patient_codes[0] // 2 % 3
    return [Fold(i, np.flatnonzero(place != i), np.flatnonzero(place == i)) for i in range(3)]


def _probabilities(study, rng, spread):
    found = {}
    for name, task in study.tasks.items():
        codes = study.label_codes(name)
        logits = spread * rng.normal(size=(len(study), len(task.classes)))
        logits[np.arange(len(study)), np.maximum(codes, 0)] += 1.0
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        found[name] = p / p.sum(axis=1, keepdims=True)
    return found
