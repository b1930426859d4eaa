"""Discriminant analysis by partial least squares, the field's classical model for spectra."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.errors import ConfigError, counted
from polydx.recipes.arrays import ArrayEstimator
from polydx.study import IntArray


@dataclass(frozen=True)
class PLSDA:
    """PLS regression of class membership on the features; the prediction is a decision value, no probability.

    Two classes are one target of -1 and +1; more are one target of 0 and 1 each.

    Attributes:
        components: latent variables.
        scale: bring every feature to standard deviation 1 first.
        max_iter: of the power method, for more than two classes.

    Reference: Barker & Rayens (2003), Journal of Chemometrics 17(3), 166-173.
    """

    components: Annotated[int, Field(ge=1)] = 5
    scale: bool = True
    max_iter: Annotated[int, Field(ge=1)] = 500

    def fit(self, features: NDArray[np.float64], codes: IntArray) -> ArrayEstimator:
        """Fit to (N, D) features and (N,) codes 0..k-1.

        Raises:
            ConfigError: more components than rows or features.
        """
        from sklearn.cross_decomposition import PLSRegression

        rows, columns = features.shape
        if self.components > min(rows, columns):
            raise ConfigError(
                f"pls_da: {counted(self.components, 'component')} of {counted(rows, 'training row')} with "
                f"{counted(columns, 'feature')}: set `components: {min(rows, columns)}` or less"
            )
        model = PLSRegression(n_components=self.components, scale=self.scale, max_iter=self.max_iter)
        with warnings.catch_warnings():
            # Targets explained in full by fewer components: the others stay empty, the prediction is whole.
            warnings.filterwarnings("ignore", "y residual is constant", UserWarning)
            model.fit(features, _targets(codes))
        intercept = model.predict(np.zeros((1, columns))).reshape(-1)
        return ArrayEstimator(
            {"kind": "linear_decisions"}, {"coef": model.coef_.astype(np.float64), "intercept": intercept}
        )


def _targets(codes: IntArray) -> NDArray[np.float64]:
    classes = int(codes.max()) + 1
    return np.where(codes == 1, 1.0, -1.0)[:, None] if classes == 2 else np.eye(classes)[codes]
