"""Images of different patients that look alike: one shot stored twice, or two of one field, under two names."""

from __future__ import annotations

from typing import Any

import numpy as np

from polydx.errors import counted
from polydx.io.perceptual import NEAR, hash_images, near_pairs
from polydx.study import Images, IntArray, Study
from polydx.validation.checks.findings import MOST_LISTED, Finding

ENOUGH = 10_000  # pairs, after which the search stops


def near_images(study: Study, most: int = NEAR) -> list[Finding]:
    """Find pairs of images of different patients whose perceptual hashes differ in few bits, equal files aside.

    Args:
        study: its images are decoded for it.
        most: bits of 64.

    Raises:
        ReadError: listing all images that cannot be read.
    """
    found = []
    for name, modality in study.modalities.items():
        if not isinstance(modality, Images) or not len(modality):
            continue
        index = study.rows[name]
        sample = np.full(len(modality), -1)
        sample[index.rows] = index.sample_of_row
        first, second, bits = _pairs_between_patients(study, modality, sample, most)
        if len(first):
            found.append(_finding(study, name, sample[first], sample[second], bits, most))
    return found


def _pairs_between_patients(
    study: Study, images: Images, sample: IntArray, most: int
) -> tuple[IntArray, IntArray, IntArray]:
    owners = np.where(sample >= 0, study.patient_codes[0][sample], -1)
    hashes, _ = hash_images(images)
    parts: list[tuple[IntArray, IntArray, IntArray]] = []
    for first, second, bits in near_pairs(hashes, most):
        apart = (owners[first] != owners[second]) & (owners[first] >= 0) & (owners[second] >= 0)
        apart[apart] = [
            images.content(a) != images.content(b) for a, b in zip(first[apart], second[apart], strict=True)
        ]
        parts.append((first[apart], second[apart], bits[apart]))
        if sum(len(p[0]) for p in parts) >= ENOUGH:
            break
    empty = np.empty(0, np.int64)
    first, second, bits = (np.concatenate([empty, *(p[side] for p in parts)]) for side in range(3))
    order = np.argsort(bits, kind="stable")
    return first[order], second[order], bits[order]


def _finding(study: Study, name: str, first: IntArray, second: IntArray, bits: IntArray, most: int) -> Finding:
    pairs: list[dict[str, Any]] = [
        {
            "samples": [study.ids[a], study.ids[b]],
            "patients": [study.patients[a], study.patients[b]],
            "bits": int(differing),
        }
        for a, b, differing in zip(first[:MOST_LISTED], second[:MOST_LISTED], bits, strict=False)
    ]
    many = f"at least {len(first)} pairs" if len(first) >= ENOUGH else counted(len(first), "pair")
    examples = ", ".join(f"'{a}' and '{b}'" for a, b in (pair["samples"] for pair in pairs[:3]))
    message = (
        f"{many} of images of different patients look alike (perceptual hashes within {most} of 64 bits), such as "
        f"{examples}: look at them; give one person one patient, leave copies out, or where patients are not known, "
        "`group: {by: duplicates}`"
    )
    return Finding("warning", "near-images", f"modality '{name}'", message, {"count": len(first), "pairs": pairs})
