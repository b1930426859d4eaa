"""The share of each modality in the answers of a recipe that takes several.

Shapes: `N` samples, `M` modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.explain.agnostic import log_odds, modality_shares
from polydx.explain.choice import Target
from polydx.explain.shares import Sharing
from polydx.explain.subjects import Subject
from polydx.study import RowIndex, Study

Floats: TypeAlias = NDArray[np.float64]


def shares_of_modalities(modalities: Sequence[str]) -> Sharing:
    """Return Shapley values over which modalities are there: they add up to the log-odds less the base.

    The base, the answer to a patient without any measurement, is the mean probability of the training patients.
    """

    def shared(subject: Subject, study: Study, target: Target) -> Floats:
        told = subject.fitted.predict_proba(having(subject.train, modalities))[target.task][:, target.code]
        people = having(subject.train, modalities).patient_codes[0]
        base = float(log_odds(np.mean([told[people == p].mean() for p in np.unique(people)])))

        def score(left: Sequence[str]) -> Floats:
            there = np.any([study.present(m) for m in left], axis=0)
            found = np.full(len(study), np.nan)
            if there.any():
                asked = without(study, [m for m in modalities if m not in left]).take(np.flatnonzero(there))
                found[there] = log_odds(subject.fitted.predict_proba(asked)[target.task][:, target.code])
            return found

        return modality_shares(score, modalities, base)

    return shared


def having(study: Study, modalities: Sequence[str]) -> Study:
    """Return the samples that have at least one of the modalities."""
    there = np.any([study.present(m) for m in modalities], axis=0)
    return study if there.all() else study.take(np.flatnonzero(there))


def without(study: Study, modalities: Sequence[str]) -> Study:
    """Return the study with no row of some modalities."""
    none = RowIndex(np.zeros(len(study) + 1, dtype=np.int64), np.empty(0, dtype=np.int64))
    return replace(study, rows={**study.rows, **dict.fromkeys(modalities, none)})
