"""One fit and its predictions: run on its own, kept on disk, never computed twice."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polydx import __version__
from polydx.errors import PolydxError, ReadError, StudyError
from polydx.io.atomic import replacing
from polydx.recipes.protocol import Fitted, Recipe, remarks, stream_seed
from polydx.splits import Fold
from polydx.study import Study
from polydx.validation.environment import package_versions
from polydx.validation.predictions import (
    no_predictions,
    predictions_frame,
    read_metadata,
    read_predictions,
    write_predictions,
)
from polydx.validation.scenarios import robbed
from polydx.validation.weights import read_weights, weights_frame, write_weights

SCENARIOS, WEIGHTS = "scenarios", "modality_weights"


@dataclass(frozen=True)
class Job:
    """One recipe on one fold of one seed.

    Attributes:
        recipe: to fit.
        seed: of the repetition.
        fold: positions to train and test on.
        key: hash of all that the outcome depends on; a file on disk with another key is not this job's.
        group: folder of the run under which its file is kept.
        threads: of the numeric libraries in this fit.
        scenarios: what is taken from the test samples for further predictions; see `polydx.validation.scenarios`.
    """

    recipe: Recipe
    seed: int
    fold: Fold
    key: str
    group: str = "folds"
    threads: int = 1
    scenarios: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """Path of its files below a folder of the run, without ending."""
        return f"{self.recipe.name}/seed-{self.seed}_fold-{self.fold.number:03d}"

    def file(self, folder: Path, group: str | None = None) -> Path:
        """Where the outcome is kept, or a table that goes with it under a group of its own."""
        return folder / (group or self.group) / f"{self.stem}.parquet"


@dataclass(frozen=True)
class Outcome:
    """What a job gave.

    Attributes:
        predictions: rows of the predictions table.
        seconds: of fit and predict.
        history: one dict an epoch.
        notes: of the fit.
        reused: it was on disk already.
        also: `scenarios`, the predictions for samples that modalities were taken from, and `modality_weights`; those
            that there are.
    """

    predictions: pd.DataFrame
    seconds: Mapping[str, float]
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reused: bool = False
    also: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def job_key(
    study_fingerprint: str,
    recipe: Recipe,
    seed: int,
    fold: Fold,
    threads: int = 1,
    scenarios: tuple[str, ...] = (),
) -> str:
    """Return the hash of everything a fold's predictions depend on, the versions of the numeric libraries included."""
    software = [__version__, package_versions(), threads]
    digest = hashlib.sha256(study_fingerprint.encode())
    digest.update(json.dumps([software, recipe.name, recipe.config, seed, fold.number], sort_keys=True).encode())
    digest.update(fold.train.tobytes() + b"|" + fold.test.tobytes() + "|".join(scenarios).encode())
    return digest.hexdigest()


def load_outcome(job: Job, folder: Path) -> Outcome | None:
    """Return what an earlier run left for this very job; None if there is nothing, or a file that is damaged."""
    metadata = read_metadata(job.file(folder))
    if metadata.get("key") != job.key:
        return None
    try:
        told = json.loads(metadata["told"])
        predictions = read_predictions(job.file(folder))
        also = {name: _read_also(name, job.file(folder, name)) for name in told["also"]}
        digests = {name: _digest(frame) for name, frame in also.items()}
        if _digest(predictions) != told["digest"] or digests != told["also"]:
            return None
        return Outcome(predictions, told["seconds"], told["history"], told["notes"], reused=True, also=also)
    except (ReadError, KeyError, ValueError):
        return None


def _read_also(name: str, path: Path) -> pd.DataFrame:
    return read_weights(path) if name == WEIGHTS else read_predictions(path)


def _digest(predictions: pd.DataFrame) -> str:
    """Return a hash of the rows, which a changed byte in the file changes."""
    return hashlib.sha256(predictions.to_csv(index=False).encode()).hexdigest()


def run_job(job: Job, train: Study, test: Study, folder: Path | None) -> Outcome:
    """Fit on `train`, predict `test`, and keep the outcome in the run folder if there is one.

    Samples that have none of the recipe's modalities take no part in the fit and get no prediction.

    Raises:
        StudyError: no training sample has any of the recipe's modalities.
    """
    from threadpoolctl import threadpool_limits

    train = _training_rows(job, train)
    tested = np.flatnonzero(test.has_any(job.recipe.modalities))
    log = folder / "logs" / job.stem if folder is not None and job.group == "folds" else None
    if log is not None and log.exists():
        shutil.rmtree(log)  # of a run that was stopped inside this fold
    with threadpool_limits(job.threads):
        start = time.perf_counter()
        fitted = _fit(job, train, log)
        between = time.perf_counter()
        frame = _predicted(job, fitted, test.take(tested)) if len(tested) else no_predictions()
        seconds = {"fit": between - start, "predict": time.perf_counter() - between}
        also, notes = _without_modalities(job, fitted, test)
    nobody = [] if len(tested) else [f"no test sample has any of {', '.join(job.recipe.modalities)}: none is predicted"]
    told = [*fitted.notes, *remarks(fitted, test), *nobody, *notes]
    outcome = Outcome(frame, seconds, fitted.history, told, also=also)
    if folder is not None:
        _keep(job, fitted, outcome, folder)
    return outcome


def _training_rows(job: Job, train: Study) -> Study:
    try:
        return train.having(job.recipe.modalities)
    except StudyError as error:
        raise StudyError(f"{_where(job)}: nothing to train on: {error.message}") from error


def _predicted(job: Job, fitted: Fitted, test: Study) -> pd.DataFrame:
    return predictions_frame(
        test,
        fitted.predict_proba(test),
        recipe=job.recipe.name,
        seed=job.seed,
        fold=job.fold.number,
        thresholds=fitted.thresholds,
        modalities=job.recipe.modalities,
    )


def _without_modalities(job: Job, fitted: Fitted, test: Study) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return what the recipe answers without some modalities and how it weighs them, and what it cannot answer."""
    frames, notes = [], []
    for scenario in job.scenarios:
        left = robbed(test, scenario, job.recipe.modalities, job.seed, job.fold.number)
        try:
            if left is not None:
                frames.append(_predicted(job, fitted, left).assign(scenario=scenario).astype({"scenario": object}))
        except PolydxError as error:
            notes.append(f"scenario {scenario}: no answer: {error.message}")
    also = {SCENARIOS: pd.concat(frames, ignore_index=True)} if frames else {}
    tested = np.flatnonzero(test.has_any(job.recipe.modalities))
    weigh = getattr(fitted, "modality_weights", None)
    found = weigh(test.take(tested)) if job.scenarios and weigh is not None and len(tested) else None
    if found is not None:
        also[WEIGHTS] = weights_frame(test.take(tested), found, job.recipe.name, job.seed, job.fold.number)
    return also, notes


def _fit(job: Job, train: Study, log: Path | None) -> Fitted:
    """Fit, and let an error say in which fit it was."""
    try:
        return job.recipe.fit(train, stream_seed(job.seed, job.recipe.name, job.fold.number), log=log)
    except PolydxError as error:
        raise type(error)(f"{_where(job)}: {error.message}", error.problems) from error


def _where(job: Job) -> str:
    return f"recipe '{job.recipe.name}', seed {job.seed}, fold {job.fold.number}"


def _keep(job: Job, fitted: Fitted, outcome: Outcome, folder: Path) -> None:
    """Write weights first: a fold whose predictions are there has everything there."""
    if job.group == "folds" and holds_network(job.recipe.config):
        _save_weights(fitted, folder / "weights" / f"{job.stem}.safetensors")
    told: dict[str, Any] = {"seconds": outcome.seconds, "history": outcome.history, "notes": outcome.notes}
    told["digest"] = _digest(outcome.predictions)
    told["also"] = {name: _digest(frame) for name, frame in outcome.also.items()}
    for name, frame in outcome.also.items():
        (write_weights if name == WEIGHTS else write_predictions)(frame, job.file(folder, name))
    write_predictions(outcome.predictions, job.file(folder), {"key": job.key, "told": json.dumps(told)})


def holds_network(config: Any) -> bool:
    """Tell whether a recipe is a network, or made of one."""
    if isinstance(config, Mapping):
        return config.get("kind") == "network" or any(holds_network(part) for part in config.values())
    return isinstance(config, list) and any(holds_network(part) for part in config)


def _save_weights(fitted: Fitted, path: Path) -> None:
    from safetensors.numpy import save_file

    config, arrays = fitted.state()
    with replacing(path) as temporary:
        # Keys in their own order: it is that of the modalities in a network's fused vector. Contiguous: safetensors
        # writes the memory as it lies, and filters of images lie channels last.
        save_file(
            {k: np.ascontiguousarray(v) for k, v in arrays.items()}, temporary, metadata={"model": json.dumps(config)}
        )
