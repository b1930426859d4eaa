"""Whittaker smoothing of many spectra at once: one pass over the points, vector arithmetic over the spectra.

The system (W + lam D'D) z = W y, D the second difference, has five diagonals. D'D is the same for all spectra, and the
elimination runs along the points, so that each of its steps can be done for all spectra in one vector operation. For a
study of some hundred spectra that is faster than a banded solve a spectrum (`benchmarks/baseline.py`); and as the
elimination never mixes spectra, the answer of a row is the same to the last bit in any batch.

Arrays are (L, N) here, points first, so that what one step works on lies side by side in memory.
"""

from __future__ import annotations

import numpy as np

from polydx.preprocessing.spectra.base import Values

FEW = 8
"""Up to so many spectra, plain floats are quicker than short vectors."""


class Whittaker:
    """Smooths up to N spectra of L points again and again, in memory that is set aside once.

    Minimises sum w (y - z)^2 + lam sum (second difference of z)^2 over z, for each spectrum y with weights w.

    Args:
        points: L, at least 2.
        spectra: N.
        lam: stiffness, above 0.

    Reference: Eilers (2003), Analytical Chemistry 75(14), 3631-3636.
    """

    def __init__(self, points: int, spectra: int, lam: float) -> None:
        self.lam = lam
        self.diagonal, self.beside = second_difference_penalty(points)
        self._memory = np.empty((4, points * spectra))

    def smooth(self, values: Values, weights: Values) -> Values:
        """Return the smooth curves.

        Args:
            values: (L, n) y, n at most N.
            weights: (L, n) w, not negative; at least two positive a spectrum.

        Returns:
            (L, n); valid until the next call.
        """
        left, right, inverse, factor = (block[: values.size].reshape(values.shape) for block in self._memory)
        np.divide(weights, self.lam, left)
        np.multiply(left, values, right)
        left += self.diagonal[:, None]
        if values.shape[1] > FEW:
            _solve_many(left, right, self.beside, inverse, factor)
        else:
            for column in range(values.shape[1]):
                right[:, column] = _solve_one(left[:, column].tolist(), right[:, column].tolist(), self.beside)
        return right


def second_difference_penalty(points: int) -> tuple[Values, list[float]]:
    """Return the diagonal (L,) of D'D and the one beside it (L, the last one 0); the third is 1 throughout."""
    diagonal, beside = np.zeros(points), np.zeros(points)
    for k, weight in enumerate((1.0, -2.0, 1.0)):
        diagonal[k : points - 2 + k] += weight * weight
    for k in range(2):
        beside[k : points - 2 + k] -= 2.0
    return diagonal, beside.tolist()


def _solve_many(diagonal: Values, right: Values, beside: list[float], inverse: Values, factor: Values) -> None:
    """Replace the (L, N) right sides by the solutions, by L D L' elimination; `_solve_one` says the same for one.

    Every operation writes into an array that is there: creating them would take as long as the arithmetic.
    """
    n = diagonal.shape[1]
    multiply, subtract, reciprocal = np.multiply, np.subtract, np.reciprocal
    under, scratch = np.zeros(n), np.empty(n)
    r2 = r1 = z2 = z1 = a1 = np.zeros(n)
    for di, zi, ri, ai, bi in zip(diagonal, right, inverse, factor, beside, strict=True):
        multiply(under, a1, scratch)
        subtract(di, scratch, scratch)
        subtract(scratch, r2, scratch)
        reciprocal(scratch, ri)
        multiply(under, z1, scratch)
        subtract(zi, scratch, scratch)
        subtract(scratch, z2, scratch)
        multiply(scratch, ri, zi)
        subtract(bi, a1, under)
        multiply(under, ri, ai)
        r2, r1, z2, z1, a1 = r1, ri, z1, zi, ai
    z2 = z1 = np.zeros(n)
    for zi, ri, ai in zip(right[::-1], inverse[::-1], factor[::-1], strict=True):
        multiply(ai, z1, scratch)
        subtract(zi, scratch, zi)
        multiply(ri, z2, scratch)
        subtract(zi, scratch, zi)
        z2, z1 = z1, zi


def _solve_one(diagonal: list[float], right: list[float], beside: list[float]) -> list[float]:
    """Solve one system of symmetric diagonals (`diagonal`, `beside`, 1) with the arithmetic of `_solve_many`."""
    points = len(diagonal)
    inverse, factor, z = [0.0] * points, [0.0] * points, [0.0] * points
    under = r2 = r1 = z2 = z1 = a1 = 0.0
    for i in range(points):
        ri = 1.0 / (diagonal[i] - under * a1 - r2)
        zi = (right[i] - under * z1 - z2) * ri
        under = beside[i] - a1
        a1 = under * ri
        inverse[i], factor[i], z[i] = ri, a1, zi
        r2, r1, z2, z1 = r1, ri, z1, zi
    z2 = z1 = 0.0
    for i in range(points - 1, -1, -1):
        zi = z[i] - factor[i] * z1 - inverse[i] * z2
        z[i] = zi
        z2, z1 = z1, zi
    return z
