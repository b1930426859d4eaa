"""Answers one by one: confusion matrix, a dot a patient, and the list of those answered wrongly."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import counted
from polydx.report.blocks import Block, Details, Picture, Table, Text
from polydx.report.figures.confusion import confusion_matrix
from polydx.report.figures.people import MOST_NAMED, patient_dots
from polydx.report.sections.common import picture, units
from polydx.report.view import Answers, View, answers
from polydx.report.words import number, percent
from polydx.validation.curves import confusion

MOST_ROWS = 15


def confusion_picture(view: View, task: str, level: str, own: Answers) -> Picture:
    """Return the confusion matrix of a recipe, mean over seeds."""
    outcomes = own.outcomes
    k = len(outcomes.classes)
    counts = np.mean([confusion(outcomes.labels, seed, k) for seed in own.decisions], axis=0)
    data = pd.DataFrame(
        counts, index=pd.Index(outcomes.classes, name="truth"), columns=list(outcomes.classes)
    ).reset_index()
    several = f" Mean counts over {own.seeds} seeds." if own.seeds > 1 else ""
    caption = (
        f"{task}, {own.recipe}: confusion matrix, {units(level, len(outcomes))}; share of the true class below each"
        f" count.{several}"
    )
    right = float(np.trace(counts))
    alt = f"Confusion matrix of {own.recipe} for {task}: {right:.4g} of {counts.sum():.4g} {units(level)} right"
    return picture(
        view,
        f"confusion-{task}-{own.recipe}",
        lambda: confusion_matrix(counts, outcomes.classes, units(level)),
        caption,
        alt,
        data,
    )


def dots_picture(view: View, task: str, level: str, own: Answers) -> Picture:
    """Return one dot a patient: a probability, or for a task of samples the share of them answered rightly."""
    people = people_frame(level, own)
    outcomes = own.outcomes
    count, wrong = len(people), int(people["wrong"].sum())
    seeds = f"; dot: mean of {own.seeds} seeds, line: their range" if own.seeds > 1 else ""
    mostly = " in more than half of the seeds" if own.seeds > 1 else ""
    threshold = None
    if level == "sample":
        what = "share of the patient's samples answered rightly"
        marked = "crosses: fewer than half right; grouped by the class most of a patient's samples have"
    elif outcomes.positive is not None:
        label = outcomes.classes[outcomes.positive]
        what = f"probability of {label}"
        cuts = np.unique(outcomes.thresholds[own.recipe][own.decisions >= 0])
        threshold = float(cuts[0]) if len(cuts) == 1 else None
        line = "dashed: the threshold" if threshold is not None else "each fold has its own threshold"
        marked = f"crosses: answered wrongly{mostly}; {line}"
    else:
        what = "probability given to the true class"
        marked = f"crosses: answered wrongly{mostly}"
    caption = (
        f"{task}, {own.recipe}: one dot a patient (n = {count}), by true class: {what}; {marked}{seeds}. {wrong} of"
        f" {count} marked{f'; the {MOST_NAMED} furthest off are named' if wrong > MOST_NAMED else ''}."
    )
    alt = f"{own.recipe}, {task}: {what} of {count} patients by true class; {wrong} marked as wrong"
    shown = people.assign(name=people["patient"].map(view.short))
    return picture(
        view, f"patients-{task}-{own.recipe}", lambda: patient_dots(shown, what, threshold), caption, alt, people
    )


def people_frame(level: str, own: Answers) -> pd.DataFrame:
    """Return one row a patient: `patient`, `truth`, `value`, `low`, `high`, `wrong`, sorted by true class."""
    if level == "sample":
        found = _shares(own)
    else:
        o = own.outcomes
        p = o.probabilities[own.recipe]
        column = o.labels if o.positive is None else np.full(len(o), o.positive)
        values = p[:, np.arange(len(o)), column]  # (S, N)
        found = pd.DataFrame(
            {
                "patient": o.units,
                "code": o.labels,
                "value": np.nanmean(values, axis=0),
                "low": np.nanmin(values, axis=0),
                "high": np.nanmax(values, axis=0),
                "wrong": own.right_share < 0.5,
            }
        )
    classes = np.array(own.outcomes.classes, dtype=object)
    found = found.sort_values(["code", "patient"], ignore_index=True)
    return found.assign(truth=classes[found["code"]])[["patient", "truth", "value", "low", "high", "wrong"]]


def _shares(own: Answers) -> pd.DataFrame:
    """Return each patient's share of rightly answered samples, and the class most of their samples have."""
    o = own.outcomes
    by_seed = []
    for seed in own.decisions:
        tested = seed >= 0
        right = pd.Series((seed == o.labels)[tested].astype(float))
        by_seed.append(right.groupby(o.patients[tested]).mean().reindex(range(len(o.patient_names))))
    shares = np.array(by_seed)
    most = pd.Series(o.labels).groupby(o.patients).agg(lambda codes: int(np.bincount(codes).argmax()))
    return pd.DataFrame(
        {
            "patient": o.patient_names,
            "code": most.to_numpy(),
            "value": np.nanmean(shares, axis=0),
            "low": np.nanmin(shares, axis=0),
            "high": np.nanmax(shares, axis=0),
            "wrong": np.nanmean(shares, axis=0) < 0.5,
        }
    )


def failures(view: View, task: str, level: str, own: Answers) -> list[Block]:
    """Return the table of patients answered wrongly; of a task of samples, those with fewest right."""
    rows = _failed_patients(view, task, own) if level == "patient" else _worst_patients(own)
    if not rows:
        told = (
            "every patient was answered rightly" if level == "patient" else "no patient has a sample answered wrongly"
        )
        return [Text(f"{own.recipe}: {told}.")]
    if level == "patient":
        head = ["patient", "truth", "answer", "P(answer)", "P(truth)", "samples", "samples right"]
        caption = (
            f"{task}, {own.recipe}: {counted(len(rows), 'patient')} answered wrongly"
            + (f" in more than half of the {own.seeds} seeds" if own.seeds > 1 else "")
            + ", the surest mistakes first. Probabilities are means over a patient's samples"
            + (" and over seeds." if own.seeds > 1 else ".")
        )
    else:
        head = ["patient", "labels", "answers that were wrong", "samples", "samples right"]
        caption = (
            f"{task}, {own.recipe}: {counted(len(rows), 'patient')} with samples answered wrongly, the worst first."
        )
    first = Table(caption, head, rows[:MOST_ROWS], numbers=3)
    if len(rows) <= MOST_ROWS:
        return [first]
    return [
        first,
        Details(
            f"The other {counted(len(rows) - MOST_ROWS, 'patient')}",
            [Table(caption, head, rows[MOST_ROWS:], numbers=3)],
        ),
    ]


def _failed_patients(view: View, task: str, own: Answers) -> list[list[str]]:
    o, mean = own.outcomes, own.mean
    share, count = _samples_right(view, task, own.recipe)
    found = []
    for i in np.flatnonzero(own.right_share < 0.5):
        answered = own.decisions[:, i][own.decisions[:, i] >= 0]
        answer = int(np.bincount(answered, minlength=len(o.classes)).argmax())
        patient = str(o.units[i])
        cells = [
            patient,
            o.classes[o.labels[i]],
            o.classes[answer],
            number(mean[i, answer]),
            number(mean[i, o.labels[i]]),
        ]
        found.append((float(mean[i, answer]), [*cells, str(count.get(patient, 0)), percent(share.get(patient))]))
    return [cells for _, cells in sorted(found, key=lambda f: -f[0])]


def _samples_right(view: View, task: str, recipe: str) -> tuple[dict[str, float], dict[str, int]]:
    """Return each patient's share of rightly answered samples (mean over seeds), and how many samples there are."""
    samples = view.outcomes(task, "sample")
    if samples is None or recipe not in samples.recipes:
        return {}, {}
    own = answers(samples, recipe)
    patients = [str(own.outcomes.patient_names[p]) for p in own.outcomes.patients]
    right = pd.Series(own.right_share).groupby(patients)
    return {str(k): float(v) for k, v in right.mean().items()}, {str(k): int(v) for k, v in right.size().items()}


def _worst_patients(own: Answers) -> list[list[str]]:
    o = own.outcomes
    right = own.right_share
    found = []
    for patient in range(len(o.patient_names)):
        mine = o.patients == patient
        share = float(right[mine].mean())
        if share == 1:
            continue
        decided = own.decisions[:, mine]
        wrong = decided[(decided >= 0) & (decided != o.labels[mine])]
        cells = [
            str(o.patient_names[patient]),
            _tally(o.labels[mine], o.classes),
            _tally(wrong, o.classes),
            str(int(mine.sum())),
        ]
        found.append((share, [*cells, percent(share)]))
    return [cells for _, cells in sorted(found, key=lambda f: f[0])]


def _tally(codes: NDArray[np.int64], classes: tuple[str, ...]) -> str:
    counts = np.bincount(codes, minlength=len(classes))
    return ", ".join(f"{counts[k]} {classes[k]}" for k in np.argsort(-counts, kind="stable") if counts[k])
