"""Steps that take out how strongly a spectrum was measured: normalisation and scatter correction."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polydx.preprocessing.spectra.base import SpectralStep, SpectrumValueError, Values, check_axis, refuse_rows

SAME = 8 * np.finfo(np.float64).eps
"""Part of its largest value by which a spectrum may vary and still be constant: rounding."""


class _Normalisation(SpectralStep):
    """A step that works on each spectrum alone and has no answer for a constant one."""

    min_points: ClassVar[int] = 2

    def _transform(self, values: Values) -> Values:
        refuse_constant(values, type(self).__name__)
        return self._normalised(values)

    def _normalised(self, values: Values) -> Values:
        raise NotImplementedError


class SNV(_Normalisation):
    """Standard normal variate: give each spectrum mean 0 and (population) standard deviation 1.

    Raises:
        SpectrumError: a spectrum is constant; the message names the rows.

    Reference: Barnes, Dhanoa & Lister (1989), Applied Spectroscopy 43(5), 772-777.
    """

    def _normalised(self, values: Values) -> Values:
        centred: Values = values - values.mean(axis=1, keepdims=True)
        spread: Values = np.sqrt(np.square(centred).mean(axis=1, keepdims=True))
        return centred / spread


class VectorNorm(_Normalisation):
    """Divide each spectrum by its Euclidean length.

    Raises:
        SpectrumError: a spectrum is constant (zero, for one); the message names the rows.
    """

    def _normalised(self, values: Values) -> Values:
        scaled: Values = values / np.abs(values).max(axis=1, keepdims=True)
        length: Values = np.sqrt(np.square(scaled).sum(axis=1, keepdims=True))
        return scaled / length


class AreaNorm(_Normalisation):
    """Divide each spectrum by the area under its absolute value (trapezoids).

    Args:
        axis: (L,) axis of the spectra in cm^-1; without one, points are 1 apart. A pipeline gives it.

    Raises:
        SpectrumError: a spectrum is constant (zero, for one); the message names the rows.
    """

    def __init__(self, axis: ArrayLike | None = None) -> None:
        self.axis = axis

    def _normalised(self, values: Values) -> Values:
        steps = np.ones(values.shape[1] - 1) if self.axis is None else np.diff(check_axis(self.axis))
        size = np.abs(values)
        area: Values = ((size[:, 1:] + size[:, :-1]) * (steps / 2)).sum(axis=1, keepdims=True)
        return values / area


class MinMaxNorm(_Normalisation):
    """Stretch each spectrum to run from 0 to 1.

    Raises:
        SpectrumError: a spectrum is constant; the message names the rows.
    """

    def _normalised(self, values: Values) -> Values:
        low: Values = values.min(axis=1, keepdims=True)
        high: Values = values.max(axis=1, keepdims=True)
        return (values - low) / (high - low)


class MSC(SpectralStep):
    """Multiplicative scatter correction: regress each spectrum on the mean training spectrum, take the fit out.

    A spectrum x = a + b reference + rest becomes (x - a) / b. The reference is learned in `fit`.

    Raises:
        SpectrumError: the reference is constant, or a spectrum is constant or has no part of the reference (b = 0).

    Reference: Geladi, MacDougall & Martens (1985), Applied Spectroscopy 39(3), 491-500.
    """

    fitted: ClassVar[tuple[str, ...]] = ("reference_",)
    min_points: ClassVar[int] = 2
    reference_: Values

    def _learn(self, values: Values) -> None:
        self.reference_ = values.mean(axis=0)
        if _constant(self.reference_[None])[0]:
            raise SpectrumValueError("MSC: the mean training spectrum is constant, so nothing can be regressed on it")

    def _transform(self, values: Values) -> Values:
        refuse_constant(values, "MSC")
        reference = self.reference_ - self.reference_.mean()
        mean: Values = values.mean(axis=1, keepdims=True)
        slope: Values = ((values - mean) * reference).sum(axis=1, keepdims=True) / np.square(reference).sum()
        shared = np.abs(slope[:, 0]) * np.ptp(reference)
        refuse_rows(
            shared <= SAME * np.abs(values).max(axis=1), "MSC: {rows} nothing of the reference", ("has", "have")
        )
        return (values - mean) / slope + float(self.reference_.mean())


def refuse_constant(values: Values, step: str) -> None:
    """Raise a SpectrumError that names the constant rows, if there are any."""
    remedy = "a spectrum without any band holds no information, leave it out"
    refuse_rows(_constant(values), f"{step}: {{rows}} constant; {remedy}")


def _constant(values: Values) -> NDArray[np.bool_]:
    return np.asarray(np.ptp(values, axis=1) <= SAME * np.abs(values).max(axis=1))
