"""Steps that look at each wavenumber across the training spectra: scaling, principal components, selection."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.errors import ConfigError, Problem
from polydx.preprocessing.spectra.base import SpectralStep, SpectrumValueError, Values
from polydx.study import UNLABELLED


class Standardise(SpectralStep):
    """Give each wavenumber mean 0 and (population) standard deviation 1 over the training spectra.

    A wavenumber that is constant in training is centred only. Equals `sklearn.preprocessing.StandardScaler`.
    """

    fitted: ClassVar[tuple[str, ...]] = ("mean_", "scale_")
    mean_: Values
    scale_: Values

    def _learn(self, values: Values) -> None:
        self.mean_ = values.mean(axis=0)
        variance = np.square(values - self.mean_).mean(axis=0)
        rounding = len(values) * np.finfo(np.float64).eps
        constant = variance <= rounding * variance + np.square(rounding * self.mean_)
        self.scale_ = np.where(constant, 1.0, np.sqrt(variance))

    def _transform(self, values: Values) -> Values:
        return (values - self.mean_) / self.scale_


class PCA(SpectralStep):
    """Scores on the first principal components of the training spectra (full decomposition, so repeatable).

    Args:
        components: how many.
        whiten: give every score variance 1 over the training spectra.

    Raises:
        ConfigError: more components than training spectra or points; the message says the most there can be.
    """

    fitted: ClassVar[tuple[str, ...]] = ("mean_", "components_", "explained_variance_")
    min_rows: ClassVar[int] = 2
    keeps_axis: ClassVar[bool] = False
    mean_: Values
    components_: Values
    explained_variance_: Values

    def __init__(self, components: Annotated[int, Field(ge=1)] = 2, whiten: bool = False) -> None:
        self.components = components
        self.whiten = whiten

    def problems(self, points: int | None) -> list[Problem]:
        """Return whether more components are asked for than the spectra have points."""
        if points is None or self.components <= points:
            return []
        return [Problem("pca.components", f"expected at most {points} (points a spectrum), found {self.components}")]

    def _learn(self, values: Values) -> None:
        from sklearn import decomposition

        if self.components > len(values):
            raise ConfigError(
                f"PCA: {self.components} components cannot come out of {len(values)} training spectra; "
                f"the maximum is {min(values.shape)}"
            )
        found = decomposition.PCA(self.components, svd_solver="full").fit(values)
        self.mean_ = found.mean_
        self.components_ = found.components_
        self.explained_variance_ = found.explained_variance_

    def _transform(self, values: Values) -> Values:
        scores = (values - self.mean_) @ self.components_.T
        if self.whiten:
            scores /= np.sqrt(np.maximum(self.explained_variance_, np.finfo(np.float64).eps))
        return np.asarray(scores)


class SelectBest(SpectralStep):
    """Keep the `k` wavenumbers whose means differ most between the classes of the training spectra (ANOVA F).

    They keep their order; of equal ones the first are kept. Spectra without a label (code -1) are not looked at.

    Args:
        k: how many.

    Raises:
        ConfigError: more than there are points, or no labels to select by.
        SpectrumError: the labels do not fit the spectra, or name fewer than two classes.
    """

    fitted: ClassVar[tuple[str, ...]] = ("selected_",)
    min_rows: ClassVar[int] = 2
    needs_labels: ClassVar[bool] = True
    keeps_axis: ClassVar[bool] = False
    selected_: NDArray[np.int64]

    def __init__(self, k: Annotated[int, Field(ge=1)] = 1) -> None:
        self.k = k

    def problems(self, points: int | None) -> list[Problem]:
        """Return whether more wavenumbers are asked for than the spectra have points."""
        if points is None or self.k <= points:
            return []
        return [Problem("select_best.k", f"expected at most {points} (points a spectrum), found {self.k}")]

    def _fit(self, values: Values, y: NDArray[Any] | None) -> None:
        from sklearn.feature_selection import f_classif

        if y is None:
            raise SpectrumValueError(
                "SelectBest requires y to be passed, but the target y is None: it selects by class labels"
            )
        known = _labelled(y, len(values))
        with np.errstate(all="ignore"):
            scores = f_classif(values[known], y[known])[0]
        order = np.argsort(-np.nan_to_num(scores, nan=-1.0, posinf=np.finfo(np.float64).max), kind="stable")
        self.selected_ = np.sort(order[: self.k]).astype(np.int64)

    def _transform(self, values: Values) -> Values:
        return np.ascontiguousarray(values[:, self.selected_])


def _labelled(y: NDArray[Any], rows: int) -> NDArray[np.bool_]:
    """Return the rows with a label, after a look at the labels."""
    if y.shape != (rows,):
        raise SpectrumValueError(f"SelectBest: expected labels of shape ({rows},), found {y.shape}")
    known = np.asarray(y != UNLABELLED) if y.dtype.kind in "if" else np.ones(rows, dtype=bool)
    if len(np.unique(y[known])) < 2:
        raise SpectrumValueError("SelectBest: the labels name fewer than two classes, so nothing tells them apart")
    return known
