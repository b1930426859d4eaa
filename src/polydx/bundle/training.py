"""Who a model was trained on, so that a later study can be held against it, without names in the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from polydx.recipes.provenance import NOTHING, Concealed, Manifest, key_of, seen_in
from polydx.study import Study


def training_hashes(study: Study, modalities: Sequence[str]) -> dict[str, Any]:
    """Return the key, and the keyed hashes of patients and of their spectra and images, sorted."""
    (own,) = seen_in(study, modalities).conceal(key_of(study)).concealed
    return own.to_json()


def trained_on(manifest: Mapping[str, Any], study: Study, modalities: Sequence[str]) -> tuple[list[str], int]:
    """Return which patients of a study the bundle was trained on, and how many of its measurements."""
    found = seen_in(study, modalities)
    patients, measurements = Concealed.from_json(manifest["training"]).among(found.patients, found.hashes)
    return sorted(patients), len(measurements)


def copies_of_training(manifest: Mapping[str, Any], study: Study, modalities: Sequence[str]) -> list[str]:
    """Return the samples of a study of which the bundle was trained on a measurement."""
    found, hashes = seen_in(study, modalities), study.content_hashes()
    _, copies = Concealed.from_json(manifest["training"]).among(found.patients, found.hashes)
    return [
        str(sample)
        for i, sample in enumerate(study.ids)
        if any(not copies.isdisjoint(hashes[name][study.rows[name][i]]) for name in modalities if name in hashes)
    ]


def seen_by_weights(described: Any, study: Study, modalities: Sequence[str]) -> tuple[list[str], int]:
    """Return which patients, and how many measurements, the networks of a model have seen, pretraining included.

    Args:
        described: the model of a bundle, as model.json has it.
        study: what it is to be judged on.
        modalities: of the study, to compare.
    """
    known = NOTHING
    for manifest in _manifests(described):
        known = known | Manifest.from_json(manifest).seen
    patients, copies = known.shared_with(seen_in(study, modalities))
    return sorted(patients), len(copies)


def _manifests(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what the networks in a description tell of the weights they come from."""
    if isinstance(config, Mapping) and config.get("kind") == "network" and config.get("manifest"):
        yield config["manifest"]
    for part in config.values() if isinstance(config, Mapping) else config if isinstance(config, list) else ():
        yield from _manifests(part)
