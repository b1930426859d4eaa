"""Tiny predictions tables, drawn in memory."""

import numpy as np
import pandas as pd

from polydx.study import Task

ALS = {"als": Task(("CTRL", "ALS"))}
SMEARS = {
    "malignancy": Task(("benign", "malignant"), level="sample"),
    "subtype": Task(("pre-B", "pro-B", "early"), level="sample", parent=("malignancy", "malignant")),
}


def softmax(logits):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def rows(probabilities, labels, patients, task_name, tasks, recipe="svm", seed=0, threshold=np.nan):
    """The rows of one recipe, seed and task; samples are numbered."""
    task, (n, k) = tasks[task_name], probabilities.shape
    names = np.array(task.classes, dtype=object)
    labels = np.asarray(labels)
    frame = pd.DataFrame(
        {
            "recipe": recipe,
            "seed": seed,
            "fold": np.repeat(np.asarray(patients) % 3, k),
            "sample": np.repeat([f"s{i:03d}" for i in range(n)], k),
            "patient": np.repeat([f"p{i:02d}" for i in patients], k),
            "task": task_name,
            "level": task.level,
            "class": np.tile(names, n),
            "label": np.repeat(np.where(labels >= 0, names[labels], None), k),
            "probability": probabilities.ravel(),
            "threshold": threshold,
        }
    )
    frame["modalities"] = [["raman"]] * len(frame)
    return frame


def als_table(recipes=(("svm", 1.0),), seeds=(0,), patients=16, samples=64, spread=1.0, random_state=0):
    """A two-class patient-level task; each recipe has its own separation."""
    rng = np.random.default_rng(random_state)
    owner = np.concatenate([np.arange(patients), rng.integers(patients, size=samples - patients)])
    labels = (np.arange(patients) % 2)[owner]
    frames = []
    for recipe, separation in recipes:
        for seed in seeds:
            logit = separation * (labels - 0.5) + spread * (rng.normal(size=patients)[owner] + rng.normal(size=samples))
            p = 1 / (1 + np.exp(-logit))
            frames.append(rows(np.stack([1 - p, p], axis=1), labels, owner, "als", ALS, recipe, seed))
    return pd.concat(frames, ignore_index=True)


def smears_table(samples=60, patients=10, random_state=0, tasks=SMEARS):
    """A sample-level task and a subtype under one of its classes; some subtypes are not known."""
    rng = np.random.default_rng(random_state)
    owner = np.arange(samples) % patients
    malignant = rng.integers(2, size=samples)
    subtype = np.where(malignant == 1, rng.integers(3, size=samples), -1)
    subtype[np.flatnonzero(malignant == 1)[:4]] = -1
    frames = []
    for name, labels in (("malignancy", malignant), ("subtype", subtype)):
        logits = rng.normal(size=(samples, len(tasks[name].classes)))
        logits[np.arange(samples), labels] += 1.0
        frames.append(rows(softmax(logits), labels, owner, name, tasks))
    return pd.concat(frames, ignore_index=True)
