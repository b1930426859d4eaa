"""How long do 2,000 patient resamples of all metrics take: polydx against a plain loop over scikit-learn.

    OMP_NUM_THREADS=1 python benchmarks/bootstrap_metrics.py

The loop repeats the rows of each drawn patient and computes the same metrics from scikit-learn, one resample at a
time; it runs on fewer resamples and is scaled up. Both see the same draws, and the largest disagreement is printed.
"""

import time
import warnings

import numpy as np
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from polydx.validation.bootstrap import draw_patients, patient_strata
from polydx.validation.calibration import logit
from polydx.validation.measure import GRID
from polydx.validation.metrics import ECE_BINS, TOP_K, weighted_metrics

SAMPLES, PATIENTS, RESAMPLES, LOOPED = 591, 30, 2000, 50


def simulate(classes, rng):
    patients = np.concatenate([np.arange(PATIENTS), rng.integers(PATIENTS, size=SAMPLES - PATIENTS)])
    labels = (np.arange(PATIENTS) % 2)[patients] if classes == 2 else rng.integers(classes, size=SAMPLES)
    logits = rng.normal(size=(SAMPLES, classes))
    logits[np.arange(SAMPLES), labels] += 1
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), labels, patients


def calibration_fit(p, own):
    """Slope by unpenalised logistic regression; intercept by Newton's method with the slope held at 1."""
    x, shift = logit(p), 0.0
    slope = LogisticRegression(C=np.inf, tol=1e-8, max_iter=500).fit(x[:, None], own).coef_[0, 0]
    for _ in range(20):
        q = 1 / (1 + np.exp(-(x + shift)))
        step = (own - q).sum() / (q * (1 - q)).sum()
        shift += step
        if abs(step) < 1e-8:
            break
    return slope, shift


def expected_calibration_error(confidence, right):
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    return sum(abs((confidence - right)[bins == b].sum()) for b in range(ECE_BINS)) / len(right)


def plain(p, labels):
    """All metrics of one resample."""
    k = p.shape[1]
    codes, decided = np.arange(k), p.argmax(axis=1) if k > 2 else (p[:, 1] >= 0.5).astype(int)
    fits = [calibration_fit(p[:, c], labels == c) for c in codes]
    each = {
        "sensitivity": [sk.recall_score(labels == c, decided == c) for c in codes],
        "specificity": [sk.recall_score(labels != c, decided != c) for c in codes],
        "ppv": [sk.precision_score(labels == c, decided == c) for c in codes],
        "npv": [sk.precision_score(labels != c, decided != c) for c in codes],
        "f1": [sk.f1_score(labels == c, decided == c) for c in codes],
        "auroc": [sk.roc_auc_score(labels == c, p[:, c]) for c in codes],
        "average_precision": [sk.average_precision_score(labels == c, p[:, c]) for c in codes],
        "calibration_slope": [slope for slope, _ in fits],
        "calibration_intercept": [intercept for _, intercept in fits],
    }
    found = {name: v[1] if k == 2 else np.mean(v) for name, v in each.items()}
    confidence = p[:, 1] if k == 2 else p.max(axis=1)
    right = (labels if k == 2 else decided == labels).astype(float)
    tops = {name: top for name, top in TOP_K.items() if top < k}
    found |= {name: sk.top_k_accuracy_score(labels, p, k=top, labels=codes) for name, top in tops.items()}
    return found | {
        "accuracy": sk.accuracy_score(labels, decided),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, decided),
        "brier": sk.brier_score_loss(labels, p[:, 1]) if k == 2 else sk.brier_score_loss(labels, p, labels=codes),
        "log_loss": sk.log_loss(labels, p, labels=codes),
        "ece": expected_calibration_error(confidence, right),
    }


def compare(classes, rng):
    p, labels, patients = simulate(classes, rng)
    weights = draw_patients(patient_strata(labels, patients, classes), RESAMPLES, rng)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        fast = weighted_metrics(p, labels, weights, clusters=patients, nodes=GRID).overall
        times.append(time.perf_counter() - start)
    start, slow = time.perf_counter(), []
    for drawn in weights[:LOOPED].astype(int):
        rows = np.repeat(np.arange(SAMPLES), drawn[patients])
        slow.append(plain(p[rows], labels[rows]))
    loop = (time.perf_counter() - start) / LOOPED * RESAMPLES
    ours = float(np.median(times))
    apart = max(abs(fast[name][i] - row[name]) for i, row in enumerate(slow) for name in row)
    print(
        f"{classes} classes, {SAMPLES} samples of {PATIENTS} patients, {RESAMPLES} resamples, {len(slow[0])} metrics: "
        f"polydx {ours:.3f} s (median of 5, {min(times):.3f}-{max(times):.3f}), scikit-learn loop {loop:.1f} s "
        f"(from {LOOPED}), ratio {loop / ours:.0f}; largest difference {apart:.1e}"
    )


if __name__ == "__main__":
    warnings.simplefilter("error")
    for number in (2, 7):
        compare(number, np.random.default_rng(0))
