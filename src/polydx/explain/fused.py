"""The share of each modality in the answers of a recipe that takes several.

Shapes: `N` samples, `M` modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.explain.agnostic import log_odds, modality_shares
from polydx.explain.choice import Target
from polydx.explain.shares import Sharing
from polydx.explain.subjects import Subject
from polydx.study import Study
from polydx.validation.scenarios import lacking

Floats: TypeAlias = NDArray[np.float64]


def shares_of_modalities(modalities: Sequence[str]) -> Sharing:
    """Return Shapley values over which modalities are there: they add up to the log-odds less the base.

    The base, the answer to a patient without any measurement, is the mean probability of the training patients.
    """

    def shared(subject: Subject, study: Study, target: Target) -> Floats:
        train = subject.train.having(modalities)
        told, people = subject.fitted.predict_proba(train)[target.task][:, target.code], train.patient_codes[0]
        base = float(log_odds(np.mean([told[people == p].mean() for p in np.unique(people)])))

        def score(left: Sequence[str]) -> Floats:
            there = study.has_any(left)
            found = np.full(len(study), np.nan)
            if there.any():
                away = {m: np.ones(len(study), dtype=np.bool_) for m in modalities if m not in left}
                asked = lacking(study, away).take(np.flatnonzero(there))
                found[there] = log_odds(subject.fitted.predict_proba(asked)[target.task][:, target.code])
            return found

        return modality_shares(score, modalities, base)

    return shared
