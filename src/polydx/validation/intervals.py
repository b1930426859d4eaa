"""Closed-form confidence intervals, for figures where resampling would promise too much."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

Interval = tuple[float, float]


def z_value(level: float = 0.95) -> float:
    """Return the two-sided quantile of the normal distribution: 1.96 for 95 %."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(proportion: float, n: float, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion of `n` patients.

    `n` need not be whole (a mean over seeds). 20 of 20 gives 0.84 to 1. Reference: Wilson (1927), JASA 22, 209-212.
    """
    z2 = z_value(level) ** 2
    centre = (proportion + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (proportion * (1 - proportion) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low = 0.0 if proportion == 0 else max(0.0, centre - half)
    return float(low), 1.0 if proportion == 1 else float(min(1.0, centre + half))


def logit_interval(estimate: float, error: float, level: float = 0.95) -> Interval:
    """Return an interval symmetric on the logit scale, so that it stays inside 0 to 1 (Pepe 2003, section 5.2).

    Args:
        estimate: strictly between 0 and 1, such as an AUROC.
        error: its standard error, by the delta method divided by estimate x (1 - estimate).
        level: coverage.
    """
    centre = np.log(estimate / (1 - estimate))
    half = z_value(level) * error / (estimate * (1 - estimate))
    low, high = 1 / (1 + np.exp(-(centre - half))), 1 / (1 + np.exp(-(centre + half)))
    return float(low), float(high)


def newcombe_auroc(auroc: float, positives: float, negatives: float, level: float = 0.95) -> Interval:
    """Return an interval of an AUROC that has width even at 0 and 1.

    The bounds are the areas whose Hanley-McNeil variance puts the estimate just `z` standard errors away, with both
    group sizes replaced by their mean: method 5 of Newcombe (2006), Statistics in Medicine 25, 559-573.
    """
    from scipy.optimize import brentq

    z2, mean_size = z_value(level) ** 2, (positives + negatives) / 2

    def excess(area: float) -> float:
        spread = 1 + (mean_size - 1) * ((1 - area) / (2 - area) + area / (1 + area))
        variance = area * (1 - area) * spread / (positives * negatives)
        return float((auroc - area) ** 2 - z2 * variance)

    edge = 1e-12  # at 0 and 1 the variance is 0, and so is the excess there if the estimate is
    low = 0.0 if auroc <= edge else float(brentq(excess, 0.0, min(auroc, 1 - edge)))
    high = 1.0 if auroc >= 1 - edge else float(brentq(excess, max(auroc, edge), 1.0))
    return low, high


def mover_mean(estimates: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Return an interval of the mean of independent estimates from their own intervals.

    Squares the distances to the bounds and adds them (MOVER; Zou & Donner 2008, Statistics in Medicine 27, 1693-1702).
    """
    centre, bounds = np.array(estimates), np.array(intervals)
    below, above = np.sqrt(((centre[:, None] - bounds) ** 2).sum(axis=0)) / len(centre)
    return float(centre.mean() - below), float(centre.mean() + above)


def tango_difference(only_a: float, only_b: float, n: int, level: float = 0.95) -> Interval:
    """Return the score interval of a difference between two proportions of the same patients.

    Has width even where the two agree on all patients. Reference: Tango (1998), Statistics in Medicine 17, 891-908.

    Args:
        only_a: patients that a alone has right.
        only_b: patients that b alone has right.
        n: all patients.
        level: coverage.
    """
    from scipy.optimize import brentq

    estimate, z = (only_a - only_b) / n, z_value(level)

    def score(difference: float) -> float:
        linear = -only_a - only_b + (2 * n - only_a + only_b) * difference
        constant = -only_b * difference * (1 - difference)
        discordant = (np.sqrt(linear**2 - 8 * n * constant) - linear) / (4 * n)
        variance = n * (2 * discordant + difference * (1 - difference))
        return float((only_a - only_b - n * difference) / np.sqrt(max(variance, 1e-300)))

    edge = 1 - 1e-12  # at -1 and 1 the variance is 0
    low = -1.0 if estimate <= -edge else float(brentq(lambda d: score(d) - z, -edge, estimate))
    high = 1.0 if estimate >= edge else float(brentq(lambda d: score(d) + z, estimate, edge))
    return low, high
