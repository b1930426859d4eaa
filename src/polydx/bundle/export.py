"""From a fitted recipe to a bundle: data alone, the same bytes for the same fit, and answers that were compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from polydx.bundle.card import model_card
from polydx.bundle.graphs import GraphReader
from polydx.bundle.predictor import CARD
from polydx.bundle.training import training_hashes
from polydx.errors import BundleError, ConfigError
from polydx.io.parts import Parts, write_parts, zipped
from polydx.io.source import FileBytes
from polydx.recipes.conformal import ConformalScores
from polydx.recipes.kinds import has_networks, holds_training_data
from polydx.recipes.protocol import Fitted, Recipe
from polydx.recipes.store import describe, load_model, packed
from polydx.study import Study

INTENDED = (
    "Research use only. Not a medical device; not for diagnosis or treatment of patients. Figures hold for patients "
    "and instruments like those of the study it was trained on."
)
WORST = 1e-4
"""Largest difference of a probability between the bundle and the recipe it was made from."""


def export_bundle(
    path: Path,
    fitted: Fitted,
    recipe: Recipe,
    study: Study,
    about: Mapping[str, Any],
    *,
    validation: Mapping[str, Any] | None = None,
    include_training_data: bool = False,
    sets: ConformalScores | None = None,
) -> None:
    """Write a bundle, after its answers were held against the recipe's for every training sample.

    Args:
        path: the file to write.
        fitted: the recipe after its fit.
        recipe: how it was made.
        study: what it was fitted on.
        about: name of the study and recipe, seed, counts, versions.
        validation: figures of a run, or `{"absent": why}`.
        include_training_data: allow what cannot work without rows of training patients.
        sets: what prediction sets are made of.

    Raises:
        ConfigError: the model holds rows of training patients, and that was not allowed.
        BundleError: the bundle does not answer as the recipe does.
    """
    described, arrays = describe(fitted, recipe, study, about, sets)
    holds = holds_training_data(described["model"])
    if holds and not include_training_data:
        raise ConfigError(
            f"'{recipe.name}' keeps measurements of training patients, without which it cannot answer: whoever gets "
            "the bundle gets them. Add `--include-training-data` if that is allowed, or choose a model without them"
        )
    graphs: dict[str, bytes] = {}
    if has_networks(described["model"]):
        from polydx.bundle.exported_graphs import graphs_of

        graphs = graphs_of(described["model"], arrays)
    parts = {**graphs, **packed(described, arrays)}
    worst = compared(parts, fitted, study)
    manifest = {
        "name": f"{about['study']}-{recipe.name}",
        "unit": study.unit,
        "intended_use": INTENDED,
        "about": dict(about),
        "versions": versions(),
        "holds_training_data": holds,
        "parity": {"samples": len(study), "largest_difference": worst, "allowed": WORST},
        "notes": list(fitted.notes),
        "training": training_hashes(study, recipe.modalities),
        "validation": dict(validation or {"absent": "no run was given"}),
    }
    parts[CARD] = model_card(manifest, described, study).encode()
    write_parts(path, parts, manifest)


def compared(parts: Mapping[str, bytes], fitted: Fitted, study: Study) -> float:
    """Return the largest difference between a probability of the bundle and of the recipe, over all samples.

    Raises:
        BundleError: it is more than `WORST`, or not a number.
    """
    model = load_model(held := Parts(FileBytes("the new bundle", zipped(parts, {}))), GraphReader(held))
    expected, found = fitted.predict_proba(study), model.fitted.predict_proba(study)
    worst, task = max((float(np.abs(found[n] - p).max(initial=0.0)), n) for n, p in expected.items())
    if not worst <= WORST:
        raise BundleError(
            f"the exported model differs by {worst:.2g} in a probability of '{task}' (limit {WORST:g}): it "
            "was not written; report it with the study's YAML"
        )
    return worst


def versions() -> dict[str, str]:
    """Return what the bundle was made with."""
    from importlib.metadata import version

    return {name: version(name) for name in ("polydx", "numpy", "scipy", "pandas", "onnxruntime")}
