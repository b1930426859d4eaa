"""Who a model was trained on, so that a later study can be held against it, without the names standing in the bundle.

Each patient and each measurement is told by its HMAC-SHA256 under a key that lies in the bundle and is derived from
the study's content. What that protects: nobody reads names or finds measurements by looking, and two bundles cannot be
held against each other. What it does not: who has a list of possible ids, or a copy of a measurement, and the bundle,
can try whether they are in it. Identifiers that can be guessed stay guessable.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polydx.recipes.provenance import seen_in
from polydx.study import Study


def training_hashes(study: Study, modalities: Sequence[str]) -> dict[str, Any]:
    """Return the key, and the keyed hashes of patients and of their spectra and images, sorted."""
    key = hashlib.sha256(b"polydx bundle\0" + study.fingerprint().encode()).hexdigest()
    found = seen_in(study, modalities)
    return {
        "key": key,
        "patients": sorted(keyed(key, "patient", found.patients)),
        "measurements": sorted(keyed(key, "measurement", found.hashes)),
    }


def keyed(key: str, what: str, values: Iterable[str]) -> set[str]:
    """Return the HMAC-SHA256 of each value, as hexadecimal digits."""
    return {hmac.new(bytes.fromhex(key), f"{what}\0{v}".encode(), hashlib.sha256).hexdigest() for v in values}


def trained_on(manifest: Mapping[str, Any], study: Study, modalities: Sequence[str]) -> tuple[list[str], int]:
    """Return which patients of a study the bundle was trained on, and how many of its measurements."""
    told, found = manifest["training"], seen_in(study, modalities)
    known = set(told["patients"])
    patients = [p for p in sorted(found.patients) if keyed(told["key"], "patient", [p]) <= known]
    return patients, len(keyed(told["key"], "measurement", found.hashes) & set(told["measurements"]))
