"""What stands in for SciPy, so that a bundle loads without it, gives what SciPy gives."""

from __future__ import annotations

import numpy as np
import scipy.special

from polydx.recipes.arrays.common import expit, softmax


def test_softmax_and_expit_are_scipys_for_near_and_far_values(rng):
    logits = np.vstack([rng.normal(size=(20, 4)), [[-2000.0, 0, 5, 2000.0], [1e-9, 0, 0, 0]]])
    np.testing.assert_allclose(softmax(logits), scipy.special.softmax(logits, axis=1), rtol=1e-14)
    np.testing.assert_allclose(expit(logits), scipy.special.expit(logits), rtol=1e-14)
    assert expit(np.float64(0.0)) == 0.5
