"""Does a map depend on what was learnt? One of a network with random weights must look different.

Reference: Adebayo et al. (2018), NeurIPS 31, 9505-9515: the model parameter randomisation test and the data
randomisation test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import ConfigError
from polydx.explain.choice import Target
from polydx.explain.spectral import Method, SpectralMap, explain_spectra
from polydx.explain.subjects import Subject
from polydx.recipes.protocol import Fitted
from polydx.study import Study

Floats = NDArray[np.float64]

ALIKE = 0.7
"""Mean absolute rank correlation with maps of random models from which on half of a map, by its ranks, is theirs."""
DRAWS = 5


@dataclass(frozen=True)
class Sanity:
    """How like the map is to those of models that have learnt nothing.

    Attributes:
        test: `weights` or `labels`, what was randomised.
        steps: part, up to which was randomised from the answer backwards -> absolute rank correlation, mean over draws.
        similarity: absolute rank correlation with the map of the model that is random throughout.
        structure: structural similarity (SSIM over windows) with it.
    """

    test: str
    steps: dict[str, float]
    similarity: float
    structure: float

    @property
    def passed(self) -> bool:
        """Whether the map depends on what was learnt."""
        return self.similarity < ALIKE

    def to_json(self) -> dict[str, object]:
        """Return what JSON can hold."""
        told = {"test": self.test, "steps": self.steps, "similarity": self.similarity, "structure": self.structure}
        return {**told, "limit": ALIKE, "passed": self.passed}


def sanity_of_spectra(
    subject: Subject, method: Method, modality: str, target: Target, *, any_class: bool = False, draws: int = DRAWS
) -> Sanity:
    """Explain the same samples with models that have learnt nothing, and say how like the maps are.

    A network gets random weights, part by part from its head backwards; any other recipe is fitted again to labels
    that were dealt out anew among the patients.

    Raises:
        ConfigError: the recipe is no network, and a model alone cannot be fitted again.
    """

    def mapped(fitted: Fitted) -> Floats:
        found: Sequence[SpectralMap] = explain_spectra(
            [replace(subject, fitted=fitted)], method, modality, [target], any_class=any_class
        )
        return found[0].mean

    own = mapped(subject.fitted)
    if hasattr(subject.fitted, "plan"):  # a network says how it was built
        return _with_random_weights(subject.fitted, own, mapped, modality, target.task, draws)
    if subject.refit is None:
        raise ConfigError("the sanity check of a recipe without a network fits it again: give the run, not the model")
    others = [mapped(subject.refit(dealt_out(subject.train, target.task, draw))) for draw in range(draws)]
    return _judged("labels", own, {"labels": others})


def _with_random_weights(
    fitted: Fitted, own: Floats, mapped: Callable[[Fitted], Floats], modality: str, task: str, draws: int
) -> Sanity:
    from polydx.explain.randomised import cascade

    found: dict[str, list[Floats]] = {}
    for draw in range(draws):
        for part, random in cascade(fitted, modality, task, seed=draw):
            found.setdefault(part, []).append(mapped(random))
    return _judged("weights", own, found)


def _judged(test: str, own: Floats, others: dict[str, list[Floats]]) -> Sanity:
    steps = {part: float(np.mean([abs(rank_correlation(own, m)) for m in maps])) for part, maps in others.items()}
    last = list(others)[-1]
    return Sanity(test, steps, steps[last], float(np.mean([structural_similarity(own, m) for m in others[last]])))


def dealt_out(study: Study, task: str, seed: int) -> Study:
    """Return the study with the labels of a task dealt out anew among the labelled patients; a patient keeps one."""
    codes, patients = study.label_codes(task), study.patient_codes[0]
    labelled = np.flatnonzero(codes >= 0)
    own = pd.Series(codes[labelled]).groupby(patients[labelled]).first()
    mixed = pd.Series(np.random.default_rng([seed, len(own)]).permutation(own.to_numpy()), index=own.index)
    labels = study.labels.assign(
        **{task: np.where(codes >= 0, mixed.reindex(patients).fillna(-1), -1).astype(np.int64)}
    )
    below = [name for name, asked in study.tasks.items() if asked.parent and asked.parent[0] == task]
    return replace(study, labels=labels.assign(**dict.fromkeys(below, -1)))


def rank_correlation(one: Floats, other: Floats) -> float:
    """Return Spearman's correlation of two maps, where both are finite; 0 where one is flat."""
    both = np.isfinite(one) & np.isfinite(other)
    a, b = (pd.Series(m[both]).rank().to_numpy() for m in (one, other))
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def structural_similarity(one: Floats, other: Floats, window: int = 11) -> float:
    """Return the mean SSIM of two maps of one dimension, each scaled to a largest absolute value of 1.

    Reference: Wang et al. (2004), IEEE Transactions on Image Processing 13(4), 600-612.
    """
    both = np.isfinite(one) & np.isfinite(other)
    a, b = (m[both] / max(float(np.abs(m[both]).max(initial=0.0)), 1e-30) for m in (one, other))
    seen_a, seen_b = (np.lib.stride_tricks.sliding_window_view(m, min(window, len(m))) for m in (a, b))
    mean_a, mean_b = seen_a.mean(axis=1), seen_b.mean(axis=1)
    shared = (seen_a * seen_b).mean(axis=1) - mean_a * mean_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # the constants of the paper, for values from -1 to 1
    level = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((level * (2 * shared + c2) / (seen_a.var(axis=1) + seen_b.var(axis=1) + c2)).mean())
