"""Does a map depend on what was learnt? One of a network with random weights must look different.

Reference: Adebayo et al. (2018), NeurIPS 31, 9505-9515: the model parameter randomisation test and the data
randomisation test.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from polydx.errors import ConfigError
from polydx.explain.choice import Target
from polydx.explain.pictorial import ImageMethod, explain_images
from polydx.explain.spectral import Method, explain_spectra
from polydx.explain.subjects import Subject
from polydx.recipes.protocol import Fitted
from polydx.study import Study

Floats: TypeAlias = NDArray[np.float64]
Maps: TypeAlias = Sequence[Floats]
"""(L,) the mean map of spectra, or (H, W) those of several images, in one order."""

ALIKE = 0.7
"""Mean absolute rank correlation with maps of random models from which on half of a map, by its ranks, is theirs."""
DRAWS, IMAGES = 5, 3


@dataclass(frozen=True)
class Sanity:
    """How like the map is to those of models that have learnt nothing.

    Attributes:
        test: `weights` or `labels`, what was randomised.
        steps: part, up to which was randomised from the answer backwards -> absolute rank correlation, mean over draws
            (of images, of the first) and images.
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
    """Explain the same samples with models that have learnt nothing, and say how like their mean maps are.

    A network gets random weights, part by part from its head backwards; any other recipe is fitted again to labels
    that were dealt out anew among the patients.

    Raises:
        ConfigError: the recipe is no network, and a model alone cannot be fitted again.
    """

    def mapped(fitted: Fitted) -> Maps:
        found = explain_spectra([replace(subject, fitted=fitted)], method, modality, [target], any_class=any_class)
        return [found[0].mean]

    return _sanity(subject, mapped, modality, target.task, draws, walked=draws)


def sanity_of_images(
    subject: Subject,
    method: ImageMethod,
    modality: str,
    target: Target,
    *,
    any_class: bool = False,
    draws: int = DRAWS,
    most: int = IMAGES,
) -> Sanity:
    """Explain the same images with models that have learnt nothing, and say how like the maps are.

    As `sanity_of_spectra`, but image by image, since maps of different images have no mean. Occlusion of an image asks
    a model some 170 times: only the first draw of random weights is walked part by part.

    Args:
        subject: as in `explain_images`.
        method: makes the maps.
        modality: of images.
        target: the class.
        any_class: explain a sample whatever its label.
        draws: random models.
        most: patients whose first images are compared.

    Raises:
        ConfigError: the recipe is no network, and a model alone cannot be fitted again.
    """

    def mapped(fitted: Fitted) -> Maps:
        asked = [replace(subject, fitted=fitted)]
        found = explain_images(asked, method, modality, [target], any_class=any_class, most=most)
        return [example.heat for example in found]

    return _sanity(subject, mapped, modality, target.task, draws, walked=1)


def require_checkable(subject: Subject) -> None:
    """Refuse a recipe that has no weights to randomise, and cannot be fitted again.

    Raises:
        ConfigError: it is such a one.
    """
    if not _is_network(subject.fitted) and subject.refit is None:
        raise ConfigError(
            "--sanity fits a recipe that is no network again, to labels dealt out anew, which a bundle cannot: explain "
            "the recipe of a run folder, or leave --sanity out"
        )


def _is_network(fitted: Fitted) -> bool:
    return hasattr(fitted, "plan")  # a network says how it was built


def _sanity(
    subject: Subject, mapped: Callable[[Fitted], Maps], modality: str, task: str, draws: int, *, walked: int
) -> Sanity:
    require_checkable(subject)
    own = mapped(subject.fitted)
    if subject.refit is None or _is_network(subject.fitted):
        return _with_random_weights(subject.fitted, own, mapped, modality, task, draws, walked)
    others = [mapped(subject.refit(dealt_out(subject.train, task, draw))) for draw in range(draws)]
    return _judged("labels", own, {"labels": others})


def _with_random_weights(
    fitted: Fitted,
    own: Maps,
    mapped: Callable[[Fitted], Maps],
    modality: str,
    task: str,
    draws: int,
    walked: int,
) -> Sanity:
    from polydx.explain.randomised import cascade

    found: dict[str, list[Maps]] = {}
    for draw in range(draws):
        steps = cascade(fitted, modality, task, seed=draw)
        for part, random in steps if draw < walked else deque(steps, maxlen=1):
            found.setdefault(part, []).append(mapped(random))
    return _judged("weights", own, found)


def _judged(test: str, own: Maps, others: dict[str, list[Maps]]) -> Sanity:
    """Return the mean over draws and the maps of each; a map that is flat itself shows nothing that could change."""

    def mean(alike: Callable[[Floats, Floats], float], drawn: list[Maps]) -> float:
        pairs = [(a, b) for maps in drawn for a, b in zip(own, maps, strict=True)]
        found = [alike(a, b) for a, b in pairs if not _flat(a)]
        return float(np.mean(found)) if found else 1.0

    steps = {part: mean(lambda a, b: abs(rank_correlation(a, b)), drawn) for part, drawn in others.items()}
    last = list(others)[-1]
    return Sanity(test, steps, steps[last], mean(structural_similarity, others[last]))


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


def _flat(values: Floats) -> bool:
    there = values[np.isfinite(values)]
    return len(there) < 2 or float(np.ptp(there)) == 0


def structural_similarity(one: Floats, other: Floats, window: int = 11) -> float:
    """Return the mean SSIM of two maps, (L,) or (H, W), each scaled to a largest absolute value of 1.

    Points of a spectrum where a map has no value are left out.

    Reference: Wang et al. (2004), IEEE Transactions on Image Processing 13(4), 600-612.
    """
    both = np.isfinite(one) & np.isfinite(other)
    a, b = (m[both] if m.ndim == 1 else m for m in (one, other))
    a, b = (m / max(float(np.abs(m).max(initial=0.0)), 1e-30) for m in (a, b))
    mean_a, mean_b = _window_means(a, window), _window_means(b, window)
    shared = _window_means(a * b, window) - mean_a * mean_b
    varied = _window_means(a * a, window) - mean_a**2 + _window_means(b * b, window) - mean_b**2
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # the constants of the paper, for values from -1 to 1
    level = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((level * (2 * shared + c2) / (varied + c2)).mean())


def _window_means(values: Floats, window: int) -> Floats:
    """Return the mean of each window that lies inside, of a side of `window` or the whole of a shorter one."""
    sides = [min(window, length) for length in values.shape]
    inside = tuple(slice(s // 2, n - s + s // 2 + 1) for s, n in zip(sides, values.shape, strict=True))
    return np.asarray(uniform_filter(values, size=sides, mode="nearest")[inside])
