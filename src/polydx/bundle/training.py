"""Who a model was trained on, so that a later study can be held against it, without names in the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from polydx.errors import Problem, counted
from polydx.recipes.provenance import NOTHING, Concealed, Manifest, Seen, key_of, seen_in
from polydx.study import Study

NAMED = 10
"""Patients or samples that a refusal names."""


def training_hashes(study: Study, modalities: Sequence[str]) -> dict[str, Any]:
    """Return the key, and the keyed hashes of patients and of their spectra and images, sorted."""
    (own,) = seen_in(study, modalities).conceal(key_of(study)).concealed
    return own.to_json()


@dataclass(frozen=True)
class Reappearing:
    """What of a study a model saw while it was made.

    Attributes:
        trained: patients, and content hashes of measurements, that the bundle was trained on.
        weights: those that its networks have seen, pretraining included.
        samples: one row a sample that either is about: `sample`, `patient`, and `why`.
    """

    trained: tuple[set[str], set[str]]
    weights: tuple[set[str], set[str]]
    samples: pd.DataFrame

    def problems(self) -> list[Problem]:
        """Return one problem each for patients, measurements and weights; none where nothing was seen."""
        (patients, copies), (before, more) = self.trained, self.weights
        found = []
        if patients:
            found.append(Problem("patients", f"the model was trained on {_named(sorted(patients))}"))
        if copies:
            whose = self.samples.loc[self.samples["why"].str.contains(MEASUREMENT, regex=False), "sample"]
            found.append(
                Problem("measurements", f"{len(copies)} were in its training, those of samples {_named(list(whose))}")
            )
        if more - copies or before - patients:
            named = _named(sorted(before)) or "(none by name)"
            told = f"have seen {counted(len(more), 'measurement')}, and the patients {named}"
            found.append(Problem("weights", f"those of its networks, pretraining included, {told}"))
        return found


PATIENT, MEASUREMENT = "patient of the training", "measurement of the training"


def reappearing(manifest: Mapping[str, Any], described: Any, study: Study, modalities: Sequence[str]) -> Reappearing:
    """Return which patients and measurements of a study a model was trained or pretrained on.

    Args:
        manifest: of the bundle.
        described: the model of the bundle, as model.json has it.
        study: what it is to be judged on.
        modalities: of the study, to compare.
    """
    found, hashes = seen_in(study, modalities), study.content_hashes()
    trained = Concealed.from_json(manifest["training"]).among(found.patients, found.hashes)
    weights = _seen_by_weights(described).shared_with(found)
    rows = []
    for i, (sample, patient) in enumerate(zip(study.ids, map(str, study.patients), strict=True)):
        own = {h for name in modalities if name in hashes for h in hashes[name][study.rows[name][i]]}
        reasons = {
            PATIENT: patient in trained[0],
            MEASUREMENT: bool(own & trained[1]),
            "patient seen by its weights": patient in weights[0] - trained[0],
            "measurement seen by its weights": bool(own & (weights[1] - trained[1])),
        }
        if any(reasons.values()):
            rows.append((str(sample), patient, "; ".join(why for why, holds in reasons.items() if holds)))
    return Reappearing(trained, weights, pd.DataFrame(rows, columns=["sample", "patient", "why"]))


def _named(found: Sequence[str]) -> str:
    return ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")


def _seen_by_weights(described: Any) -> Seen:
    """Return what the networks of a model have seen, pretraining included."""
    known = NOTHING
    for manifest in _manifests(described):
        known = known | Manifest.from_json(manifest).seen
    return known


def _manifests(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what the networks in a description tell of the weights they come from."""
    if isinstance(config, Mapping) and config.get("kind") == "network" and config.get("manifest"):
        yield config["manifest"]
    for part in config.values() if isinstance(config, Mapping) else config if isinstance(config, list) else ():
        yield from _manifests(part)
