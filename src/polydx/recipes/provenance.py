"""What weights have seen: patients and measurements, so that nobody is tested on them.

In a bundle, which is handed on, each patient and each measurement is told by its HMAC-SHA256 under a key that lies in
the bundle and is derived from the study's content. What that protects: nobody reads names or finds measurements by
looking, and two bundles cannot be held against each other. What it does not: who has a list of possible ids, or a copy
of a measurement, and the bundle, can try whether they are in it. Identifiers that can be guessed stay guessable.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from polydx.errors import counted
from polydx.study import Study, Table


def key_of(study: Study) -> str:
    """Return the key of a bundle that is fitted on a study, as hexadecimal digits."""
    return hashlib.sha256(b"polydx bundle\0" + study.fingerprint().encode()).hexdigest()


def keyed(key: str, what: str, values: Iterable[str]) -> set[str]:
    """Return the HMAC-SHA256 of each value, as hexadecimal digits."""
    return {_mac(key, what, value) for value in values}


def _mac(key: str, what: str, value: str) -> str:
    return hmac.new(bytes.fromhex(key), f"{what}\0{value}".encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Concealed:
    """Patients and measurements of which only keyed hashes are told.

    Attributes:
        key: hexadecimal digits.
        patients: HMAC-SHA256 of each id.
        measurements: HMAC-SHA256 of each content hash.
    """

    key: str
    patients: frozenset[str]
    measurements: frozenset[str]

    def among(self, patients: Iterable[str], hashes: Iterable[str]) -> tuple[set[str], set[str]]:
        """Return which of these patients and content hashes are meant."""
        return (
            {one for one in patients if _mac(self.key, "patient", one) in self.patients},
            {one for one in hashes if _mac(self.key, "measurement", one) in self.measurements},
        )

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold, sorted."""
        return {"key": self.key, "patients": sorted(self.patients), "measurements": sorted(self.measurements)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Concealed:
        """Return what `to_json` wrote.

        Raises:
            ValueError: the key is none.
        """
        bytes.fromhex(found["key"])
        return cls(found["key"], frozenset(found["patients"]), frozenset(found["measurements"]))


@dataclass(frozen=True)
class Seen:
    """Patients and measurements that took part in a fit.

    Attributes:
        patients: ids, namespaced by study.
        hashes: SHA-256 of each spectrum or image as the study held it.
        unknown: sources of weights that do not say what they saw.
        simulated: whether any of it was drawn by a computer.
        concealed: others, told by keyed hashes alone.
    """

    patients: frozenset[str] = frozenset()
    hashes: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    simulated: bool = False
    concealed: frozenset[Concealed] = frozenset()

    def __or__(self, other: Seen) -> Seen:
        """Return what either has seen."""
        unknown = tuple(dict.fromkeys([*self.unknown, *other.unknown]))
        simulated = self.simulated or other.simulated
        patients, hashes = self.patients | other.patients, self.hashes | other.hashes
        return Seen(patients, hashes, unknown, simulated, self.concealed | other.concealed)

    def shared_with(self, other: Seen) -> tuple[set[str], set[str]]:
        """Return the patients and content hashes of `other`, which tells them openly, that were seen here as well."""
        patients, hashes = set(self.patients & other.patients), set(self.hashes & other.hashes)
        for one in self.concealed:
            more, copies = one.among(other.patients, other.hashes)
            patients, hashes = patients | more, hashes | copies
        return patients, hashes

    def conceal(self, key: str) -> Seen:
        """Return the same with keyed hashes in place of patients and content hashes."""
        patients = frozenset(keyed(key, "patient", self.patients))
        own = Concealed(key, patients, frozenset(keyed(key, "measurement", self.hashes)))
        return Seen(frozenset(), frozenset(), self.unknown, self.simulated, self.concealed | {own})

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold, sorted, so that the same fit writes the same bytes."""
        told = {"patients": sorted(self.patients), "hashes": sorted(self.hashes), "unknown": list(self.unknown)}
        concealed = [one.to_json() for one in sorted(self.concealed, key=lambda one: one.key)]
        return {**told, "simulated": self.simulated, **({"concealed": concealed} if concealed else {})}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Seen:
        """Return what `to_json` wrote."""
        return cls(
            frozenset(found["patients"]),
            frozenset(found["hashes"]),
            tuple(found["unknown"]),
            found["simulated"],
            frozenset(map(Concealed.from_json, found.get("concealed", ()))),
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


def concealing(config: Any, key: str) -> Any:
    """Return the state of a fitted recipe with keyed hashes in every manifest in it."""
    if isinstance(config, Mapping):
        found = {name: concealing(part, key) for name, part in config.items()}
        if config.get("kind") == "network" and config.get("manifest"):
            told = Manifest.from_json(config["manifest"])
            found["manifest"] = replace(told, seen=told.seen.conceal(key)).to_json()
        return found
    return [concealing(part, key) for part in config] if isinstance(config, list) else config


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


def already_seen(recipe: Any, study: Study) -> str | None:
    """Return a remark where weights that a recipe starts from have seen patients of the study, else None."""
    patients, _ = seen(recipe).shared_with(seen_in(study, recipe.modalities))
    if not patients:
        return None
    return (
        f"the weights to start from have seen {counted(len(patients), 'patient')} of these: what inner folds tell of"
        " them (settings, temperatures, thresholds, prediction sets) is flattered"
    )


def parts_of(recipe: Any) -> list[Any]:
    """Return the recipes that a recipe is made of: its `members`, its `recipe`, its `network`; most have none."""
    members = getattr(recipe, "members", ())
    parts = list(members.values() if isinstance(members, Mapping) else members)
    return parts + [getattr(recipe, name) for name in ("recipe", "network") if hasattr(recipe, name)]
