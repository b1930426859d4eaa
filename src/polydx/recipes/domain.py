"""Whether a spectrum looks like those a model was trained on: its distance in and from a plane of principal components.

Hotelling's T2 tells how far a spectrum lies from the centre along the components, Q (the squared residual) how much of
it the components cannot describe. Limits are of training patients who took no part in the components they were held
against: residuals of spectra that shaped them are too small.

References: Hotelling (1931), Annals of Mathematical Statistics 2, 360-378; Jackson & Mudholkar (1979), Technometrics
21, 341-349 (Q).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polydx.study import Study

EXPLAINED, MOST, SHARE, FOLDS = 0.95, 20, 0.99, 5
"""Variance that components explain, how many there are at most, share of spectra inside the limits, folds."""
FEWEST = 10
ROWS = 16
"""Spectra at a time: what fits into a processor's cache."""
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Domain:
    """The training domain of one modality of spectra.

    Attributes:
        mean: (L - 1,) of the spectra's slopes, each centred and scaled by its own mean and standard deviation.
        loadings: (A, L - 1) orthonormal components.
        variances: (A,) of the scores.
        limits: T2 and Q that 99 % of the spectra of patients left out stay below, each patient counting the same.
    """

    mean: Float
    loadings: Float
    variances: Float
    limits: tuple[float, float]

    def distances(self, spectra: NDArray[Any]) -> tuple[Float, Float]:
        """Return (n,) T2 and (n,) Q of (n, L) spectra; infinite for a constant one."""
        parts = [self._distances(*_scaled(spectra[i : i + ROWS])) for i in range(0, max(len(spectra), 1), ROWS)]
        t2, q = zip(*parts, strict=True)
        return np.concatenate(t2), np.concatenate(q)

    def _distances(self, slopes: Float, usable: NDArray[np.bool_]) -> tuple[Float, Float]:
        away = slopes - self.mean
        scores = away @ self.loadings.T
        t2 = (scores**2 / self.variances).sum(axis=1)
        q = ((away - scores @ self.loadings) ** 2).sum(axis=1)
        return np.where(usable, t2, np.inf), np.where(usable, q, np.inf)

    def outside(self, spectra: NDArray[Any]) -> dict[int, str]:
        """Return row -> why it is unlike the training spectra, of those that are."""
        found = {}
        t2, q = self.distances(spectra)
        for row in np.flatnonzero((t2 > self.limits[0]) | (q > self.limits[1])):
            told = [
                f"{name} {value[row]:.3g} (limit {limit:.3g})"
                for name, value, limit in (("Hotelling T2", t2, self.limits[0]), ("Q residual", q, self.limits[1]))
                if value[row] > limit
            ]
            found[int(row)] = f"unlike the training spectra: {', '.join(told)}"
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the domain as named arrays."""
        limits = np.array(self.limits)
        return {"mean": self.mean, "loadings": self.loadings, "variances": self.variances, "limits": limits}

    @classmethod
    def from_arrays(cls, found: Mapping[str, NDArray[Any]], points: int) -> Domain:
        """Rebuild what `arrays` returned.

        Raises:
            ValueError: shapes that do not go together, or numbers that cannot be.
        """
        mean, loadings, variances, limits = (
            np.asarray(found[k], dtype=np.float64) for k in ("mean", "loadings", "variances", "limits")
        )
        fits = mean.shape == (points - 1,) and loadings.shape == (len(variances), points - 1) and limits.shape == (2,)
        if not fits or not (variances > 0).all() or not all(np.isfinite(a).all() for a in (mean, loadings, limits)):
            raise ValueError("the training domain is broken")
        return cls(mean, loadings, variances, (float(limits[0]), float(limits[1])))


def fit_domain(study: Study, modality: str) -> Domain | None:
    """Return the domain of a study's spectra, or None where fewer than ten patients have any: a limit is then a guess.

    Args:
        study: training patients.
        modality: of spectra.
    """
    index = study.rows[modality]
    spectra, usable = _scaled(study.spectra(modality).values[index.rows])
    owners = study.patient_codes[0][index.sample_of_row][usable]
    spectra = spectra[usable]
    patients = np.unique(owners)
    if len(patients) < FEWEST:
        return None
    most = min(MOST, max(1, len(patients) // 3))  # components of few patients are those patients
    t2, q = np.empty(len(spectra)), np.empty(len(spectra))
    fold_of = np.random.default_rng(0).permutation(len(patients)) % min(FOLDS, len(patients))
    for fold in range(fold_of.max() + 1):
        out = np.isin(owners, patients[fold_of == fold])
        part = _components(spectra[~out], most)
        t2[out], q[out] = part._distances(spectra[out], np.ones(out.sum(), dtype=bool))
    weights = 1 / np.bincount(np.searchsorted(patients, owners))[np.searchsorted(patients, owners)]
    whole = _components(spectra, most)
    return Domain(whole.mean, whole.loadings, whole.variances, (_quantile(t2, weights), _quantile(q, weights)))


def _components(spectra: Float, most: int) -> Domain:
    mean = spectra.mean(axis=0)
    _, singular, rows = np.linalg.svd(spectra - mean, full_matrices=False)
    variances = singular**2 / max(len(spectra) - 1, 1)
    explained = np.cumsum(variances) / max(float(variances.sum()), 1e-300)
    count = max(1, min(int(np.searchsorted(explained, EXPLAINED)) + 1, most, len(variances)))
    # Signs of singular vectors are arbitrary; with the largest entry positive, the same rows give the same bytes.
    signs = np.sign(rows[np.arange(count), np.abs(rows[:count]).argmax(axis=1)])
    return Domain(mean, rows[:count] * signs[:, None], np.maximum(variances[:count], 1e-12), (np.inf, np.inf))


def _scaled(spectra: NDArray[Any]) -> tuple[Float, NDArray[np.bool_]]:
    """Return slopes of mean 0 and standard deviation 1 without spikes, and which spectra are not constant.

    A running median of five points takes cosmic rays away, and slopes hold bands rather than background: either would
    else make up most of what training patients differ in, and nothing would be unlike them.
    """
    values = np.diff(_median_of_five(np.asarray(spectra, dtype=np.float64)), axis=1)
    sd = values.std(axis=1, keepdims=True)
    usable = (sd > 0) & np.isfinite(sd)
    return (values - values.mean(axis=1, keepdims=True)) / np.where(usable, sd, 1.0), usable[:, 0]


def _median_of_five(rows: Float) -> Float:
    """Return the running median of five points, by least and greatest: without a library, and without five copies."""
    padded = np.pad(rows, ((0, 0), (2, 2)), mode="edge")
    a, b, c, d, e = (padded[:, i : i + rows.shape[1]] for i in range(5))
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.asarray(np.maximum(np.minimum(e, low), np.minimum(np.maximum(e, low), high)))


def _quantile(values: Float, weights: Float) -> float:
    """Return the smallest value that at least `SHARE` of the weight does not exceed."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, SHARE - 1e-12)), len(values) - 1)])
