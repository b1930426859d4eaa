"""What weights have seen: patients and measurements, so that nobody is tested on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from polydx.study import Study, Table


@dataclass(frozen=True)
class Seen:
    """Patients and measurements that took part in a fit.

    Attributes:
        patients: ids, namespaced by study.
        hashes: SHA-256 of each spectrum or image as the study held it.
        unknown: sources of weights that do not say what they saw.
        simulated: whether any of it was drawn by a computer.
    """

    patients: frozenset[str] = frozenset()
    hashes: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    simulated: bool = False

    def __or__(self, other: Seen) -> Seen:
        """Return what either has seen."""
        unknown = tuple(dict.fromkeys([*self.unknown, *other.unknown]))
        simulated = self.simulated or other.simulated
        return Seen(self.patients | other.patients, self.hashes | other.hashes, unknown, simulated)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold, sorted, so that the same fit writes the same bytes."""
        told = {"patients": sorted(self.patients), "hashes": sorted(self.hashes), "unknown": list(self.unknown)}
        return {**told, "simulated": self.simulated}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Seen:
        """Return what `to_json` wrote."""
        return cls(
            frozenset(found["patients"]), frozenset(found["hashes"]), tuple(found["unknown"]), found["simulated"]
        )


NOTHING = Seen()


@dataclass(frozen=True)
class Manifest:
    """Where weights come from; travels with them.

    Attributes:
        method: `fit`, `simclr`, `supcon`, `supervised`, or `init` for weights that were only handed on.
        study: name of the study they were fitted on last.
        seen: patients and measurements of all fits that led to them.
        tasks: task -> classes of the heads.
    """

    method: str
    study: str
    seen: Seen = NOTHING
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        tasks = {name: list(classes) for name, classes in self.tasks.items()}
        return {"method": self.method, "study": self.study, **self.seen.to_json(), "tasks": tasks}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Manifest:
        """Return what `to_json` wrote."""
        tasks = {name: tuple(classes) for name, classes in found["tasks"].items()}
        return cls(found["method"], found["study"], Seen.from_json(found), tasks)


def manifest_of(method: str, study: Study, modalities: Iterable[str], before: Seen = NOTHING) -> Manifest:
    """Return the manifest of a fit on all rows of `study`, after others that saw `before`."""
    tasks = {name: task.classes for name, task in study.tasks.items()}
    return Manifest(method, study.name, before | seen_in(study, modalities), tasks)


def seen_in(study: Study, modalities: Iterable[str] | None = None) -> Seen:
    """Return the patients of a study, and the hashes of their spectra and images.

    Rows of tables have no hashes here: two people may well have the same age and sex.
    """
    kept = [n for n in modalities or study.modalities if not isinstance(study.modalities[n], Table)]
    hashes = study.content_hashes()
    used = {name: np.unique(study.rows[name].rows) for name in kept}
    return Seen(
        frozenset(study.patients.astype(str).tolist()),
        frozenset(h for name in kept for h in hashes[name][used[name]].tolist()),
        simulated=study.simulated,
    )


def seen(recipe: Any) -> Seen:
    """Return what the weights that a recipe starts from have seen, its parts' included; nothing for most recipes.

    Args:
        recipe: any recipe; one that starts from weights has a method `seen_before`.
    """
    found = recipe.seen_before() if hasattr(recipe, "seen_before") else Seen()
    for part in parts_of(recipe):
        found = found | seen(part)
    return found


def parts_of(recipe: Any) -> list[Any]:
    """Return the recipes that a recipe is made of: its `members`, its `recipe`, its `network`; most have none."""
    members = getattr(recipe, "members", ())
    parts = list(members.values() if isinstance(members, Mapping) else members)
    return parts + [getattr(recipe, name) for name in ("recipe", "network") if hasattr(recipe, name)]
