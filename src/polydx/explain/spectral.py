"""Maps over the wavenumber axis: one a fold, and what all folds say together.

Shapes: `N` samples, `L` points of the axis, `F` folds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import StudyError
from polydx.explain.agnostic import log_odds, occlude_windows
from polydx.explain.choice import Target, reference_spectrum
from polydx.explain.subjects import Subject
from polydx.study import Spectra, Study

Floats: TypeAlias = NDArray[np.float64]
Method: TypeAlias = Callable[[Subject, Study, str, Target], Floats]
"""A subject, the samples to explain, a modality and a class -> (N, L) maps on the modality's axis, NaN where none."""


@dataclass(frozen=True)
class FoldMap:
    """What one fit rests its answers on, for one class.

    Attributes:
        target: the class.
        seed: of the run; None for a model.
        fold: of the run; None for a model.
        patients: (P,) that were explained.
        maps: (P, L) mean over the samples of each.
        spectra: (P, L) mean measured spectrum of each.
        reference: (L,) mean measured spectrum of the classes it is held against, of the fold's training patients;
            None where it is held against nothing.
    """

    target: Target
    seed: int | None
    fold: int | None
    patients: NDArray[np.object_]
    maps: Floats
    spectra: Floats
    reference: Floats | None

    @property
    def mean(self) -> Floats:
        """(L,) mean over patients."""
        return np.asarray(self.maps.mean(axis=0))


@dataclass(frozen=True)
class SpectralMap:
    """What all folds say of one class.

    Attributes:
        target: the class.
        axis: (L,) in cm^-1.
        folds: those that had a patient to explain.
    """

    target: Target
    axis: Floats
    folds: Sequence[FoldMap]

    @property
    def mean(self) -> Floats:
        """(L,) mean over patients, each explained by the fit that did not see it; NaN where the model does not look."""
        return np.asarray(np.vstack([fold.maps for fold in self.folds]).mean(axis=0))

    @property
    def sd(self) -> Floats:
        """(L,) standard deviation over the folds' means; NaN with one fold."""
        if len(self.folds) < 2:
            return np.full(len(self.axis), np.nan)
        return np.asarray(np.std([fold.mean for fold in self.folds], axis=0, ddof=1))

    @property
    def patients(self) -> int:
        """Number of patients explained."""
        return len({p for fold in self.folds for p in fold.patients})

    @property
    def correlation(self) -> float | None:
        """Mean Pearson correlation of the maps of two folds, over all pairs; None with one fold, or a flat map."""
        means = [fold.mean[np.isfinite(fold.mean)] for fold in self.folds]
        found = [correlation(a, b) for a, b in combinations(means, 2)]
        known = [r for r in found if r is not None]
        return float(np.mean(known)) if known else None

    def frame(self) -> pd.DataFrame:
        """Return task, class, wavenumber, mean, sd_folds, spectrum and reference, a row a point of the axis."""
        references = [fold.reference for fold in self.folds if fold.reference is not None]
        spectrum = np.vstack([fold.spectra for fold in self.folds]).mean(axis=0)
        return pd.DataFrame(
            {
                "task": self.target.task,
                "class": self.target.label,
                "wavenumber": self.axis,
                "mean": self.mean,
                "sd_folds": self.sd,
                "spectrum": spectrum,
                "reference": np.nan if not references else np.mean(references, axis=0),
            }
        )

    def fold_frame(self) -> pd.DataFrame:
        """Return task, class, seed, fold, patient, wavenumber and value, a row a patient and point of the axis."""
        frames = [
            pd.DataFrame(
                {
                    "task": self.target.task,
                    "class": self.target.label,
                    "seed": fold.seed,
                    "fold": fold.fold,
                    "patient": np.repeat(fold.patients, len(self.axis)),
                    "wavenumber": np.tile(self.axis, len(fold.patients)),
                    "value": fold.maps.ravel(),
                }
            )
            for fold in self.folds
        ]
        return pd.concat(frames, ignore_index=True)


def explain_spectra(
    subjects: Iterable[Subject],
    method: Method,
    modality: str,
    chosen: Sequence[Target],
    *,
    any_class: bool = False,
    done: Callable[[Subject], None] | None = None,
) -> list[SpectralMap]:
    """Return one map a class: of its own patients, each explained by the fit that did not see it.

    Args:
        subjects: fits with the samples each tested.
        method: makes the maps.
        modality: of spectra.
        chosen: classes to explain.
        any_class: explain every sample, whatever its label (one sample, or a study without labels).
        done: called after each fit.

    Raises:
        StudyError: no sample of a class.
    """
    found: dict[Target, list[FoldMap]] = {target: [] for target in chosen}
    axis = np.empty(0)
    for subject in subjects:
        axis = subject.test.spectra(modality).axis
        for target in chosen:
            own = of_class(subject.test, modality, target, any_class)
            if own is not None:
                found[target].append(_fold_map(subject, own, method, modality, target))
        if done is not None:
            done(subject)
    empty = [target.label for target, folds in found.items() if not folds]
    if empty:
        raise StudyError(f"no sample of class {', '.join(empty)} of task '{chosen[0].task}' to explain")
    return [SpectralMap(target, axis, folds) for target, folds in found.items()]


def of_class(study: Study, modality: str, target: Target, any_class: bool = False) -> Study | None:
    """Return the samples that have the class and the modality, None if there are none."""
    wanted = study.present(modality)
    if not any_class:
        wanted &= study.label_codes(target.task) == target.code
    return study.take(np.flatnonzero(wanted)) if wanted.any() else None


def occlusion(width: float = 20.0) -> Method:
    """Return occlusion of windows of so many cm^-1, for any recipe."""

    def explained(subject: Subject, study: Study, modality: str, target: Target) -> Floats:
        spectra = study.spectra(modality)
        reference = reference_spectrum(subject.train, modality, target)

        def score(values: Floats) -> Floats:
            asked = with_spectra(study, modality, values)
            return log_odds(subject.fitted.predict_proba(asked)[target.task][:, target.code])

        return occlude_windows(score, spectra.values, spectra.axis, width=width, reference=reference)

    return explained


def with_spectra(study: Study, modality: str, values: Floats) -> Study:
    """Return the study with other intensities in its rows of a modality."""
    spectra = Spectra(values.astype(study.spectra(modality).values.dtype), study.spectra(modality).axis)
    return replace(study, modalities={**study.modalities, modality: spectra})


def _fold_map(subject: Subject, study: Study, method: Method, modality: str, target: Target) -> FoldMap:
    maps = method(subject, study, modality, target)
    codes, names = study.patient_codes
    index, values = study.rows[modality], study.spectra(modality).values.astype(np.float64)
    owner = codes[index.sample_of_row]
    return FoldMap(
        target,
        subject.seed,
        subject.fold,
        names,
        np.array([maps[codes == p].mean(axis=0) for p in range(len(names))]),
        np.array([values[index.rows[owner == p]].mean(axis=0) for p in range(len(names))]),
        reference_spectrum(subject.train, modality, target),
    )


def correlation(one: Floats, other: Floats) -> float | None:
    """Return Pearson's correlation of two vectors; None where one is flat or of another length."""
    if one.shape != other.shape or one.std() == 0 or other.std() == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])
