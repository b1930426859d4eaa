"""Numbers and names as a reader sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polydx.errors import counted

DASH = "–"
METRIC_NAMES = {
    "auroc": "AUROC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "top2_accuracy": "top-2 accuracy",
    "top3_accuracy": "top-3 accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "average_precision": "average precision",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "ECE",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
    "mean_within_patient_accuracy": "mean accuracy within a patient",
}
LOWER_IS_BETTER = frozenset({"brier", "log_loss", "ece"})
INTERVAL_NAMES = {
    "wilson": "Wilson",
    "delong": "DeLong",
    "newcombe": "Newcombe",
    "bootstrap": "patient bootstrap",
    "mover": "Wilson per class, combined (MOVER)",
}
TEST_NAMES = {"delong": "DeLong, paired", "mcnemar": "McNemar, exact", "bootstrap": "paired patient bootstrap"}


def metric_name(name: str, classes: int = 2) -> str:
    """Return a metric's name as a reader knows it; of more than two classes, what else the name stands for."""
    if name == "balanced_accuracy" and classes > 2:
        return "balanced accuracy (mean sensitivity)"
    return METRIC_NAMES.get(name, name.replace("_", " "))


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits after the point, or a dash for null; never '-0.000'."""
    if value is None:
        return DASH
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) != 0 else text.removeprefix("-")


def interval(found: Mapping[str, Any], digits: int = 3) -> str:
    """Return 'low to high', or an empty string where there is none."""
    if found.get("low") is None or found.get("high") is None:
        return ""
    return f"{number(found['low'], digits)} to {number(found['high'], digits)}"


def over_seeds(found: Mapping[str, Any] | None, digits: int = 3) -> str:
    """Return '± SD' over the seeds, or an empty string where there is one seed."""
    spread = (found or {}).get("sd_seeds")
    return "" if spread is None else f"± {number(spread, digits)}"


def estimate(found: Mapping[str, Any] | None, digits: int = 3) -> str:
    """Return 'estimate (low to high)', with several seeds 'estimate ± SD over seeds (low to high)'; a dash for null."""
    if found is None or found.get("estimate") is None:
        return DASH
    spread, bounds = over_seeds(found, digits), interval(found, digits)
    parts = [number(found["estimate"], digits), spread, f"({bounds})" if bounds else ""]
    return " ".join(part for part in parts if part)


def p_value(p: float | None) -> str:
    """Return p with three digits; smaller ones as a bound."""
    if p is None:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float | None) -> str:
    """Return '67 %', or a dash for null and NaN."""
    return DASH if share is None or share != share else f"{100 * share:.0f} %"


def listed(names: Sequence[str]) -> str:
    """Return 'a', 'a and b' or 'a, b and c'."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def seeds_phrase(seeds: int) -> str:
    """Return '', or that figures are means over seeds."""
    return f"; mean of {counted(seeds, 'seed')}" if seeds > 1 else ""


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return patients without the prefix that all of them share ('als-saliva/'), so that figures can name them."""
    heads = {name.split("/", 1)[0] for name in names if "/" in name}
    if len(heads) != 1 or not all("/" in name for name in names):
        return {name: name for name in names}
    return {name: name.split("/", 1)[1] for name in names}


def clipped(text: str, most: int = 28) -> str:
    """Return a name that fits into a figure: a long one loses its middle."""
    if len(text) <= most:
        return text
    head = (most - 1 + 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def natural_order(names: Sequence[str]) -> list[str]:
    """Return names sorted, bands of numbers ('up to 48', '49–60', 'from 61') by their first number."""

    def key(name: str) -> tuple[int, float, str]:
        try:
            return (0, float(name.removeprefix("up to ").removeprefix("from ").split("–")[0]), name)
        except ValueError:
            return (1, 0.0, name)

    return sorted(names, key=key)
