"""The model card: what whoever gets a bundle should read before using it. Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from polydx.datasets.catalogue import DATASETS
from polydx.errors import counted
from polydx.recipes.conformal import COVERAGE, FEWEST
from polydx.study import Study

FIGURES = {
    "auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "sensitivity": "sensitivity",
    "specificity": "specificity", "ppv": "positive predictive value", "npv": "negative predictive value",
    "brier": "Brier score (0 is best)",
}  # fmt: skip
"""The figures that a card states, in this order; the manifest has all."""
FEW = 50
"""Patients of a class below which figures are told to be rough."""


def model_card(manifest: Mapping[str, Any], described: Mapping[str, Any], study: Study) -> str:
    """Return the card of a bundle.

    Args:
        manifest: of the bundle.
        described: its model.json.
        study: what it was trained on.
    """
    about, model = manifest["about"], described["model"]
    taken = "\n".join(_modality(n, m, study) for n, m in described["modalities"].items())
    parts = [
        f"# {manifest['name']}",
        "**The training data are SIMULATED: nothing here is of patients.**" if study.simulated else "",
        f"## Intended use\n\n{manifest['intended_use']}\n\nIt answers for measurements taken as those below, and for "
        "people like those it was trained on. Its answers are no findings: nobody's care may rest on them.",
        "## What it answers\n\n" + "\n".join(_task(study, name, model["thresholds"].get(name)) for name in study.tasks),
        f"One answer {'a patient, from all their measurements' if study.unit == 'patient' else 'a sample'}.",
        f"## What it takes\n\n{taken}{_gaps(described['modalities'])}",
        "## What it was trained on\n\n"
        f"Study `{study.name}`{_summary(study)}: {counted(about['samples'], 'sample')} of "
        f"{counted(about['patients'], 'patient')}. Recipe `{about['recipe']}`, seed {about['seed']}.",
        _list("Remarks of the fit", manifest["notes"]),
        "## How well it does\n\n" + _validation(manifest["validation"]),
        _list("Limits", _limits(study)),
        "## How sure it is\n\n" + _temperatures(model["temperatures"]) + _sets(described["sets"]),
        "## What lies in the bundle\n\n"
        + (
            "**Measurements of training patients**: the model compares with them. Treat it as patients' data.\n"
            if manifest["holds_training_data"]
            else "No measurements of training patients.\n"
        )
        + "Patients and measurements are told by keyed hashes, so that another study can be held against them; "
        "who can guess an identifier can check the guess. The exported model and the recipe differ by at most "
        f"{manifest['parity']['largest_difference']:.1e} in a probability, over all training samples.",
        "## How to cite\n\n" + _cited(manifest, study),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _temperatures(found: Mapping[str, float]) -> str:
    if not found:
        return ""
    told = ", ".join(f"{temperature:.3g} of `{task}`" for task, temperature in found.items())
    return (
        f"Probabilities are calibrated by a temperature (Guo et al. 2017), {told}: above 1 it makes them less sure. It "
        "was fitted on what fits on inner folds say of patients they did not see.\n\n"
    )


def _sets(scores: Mapping[str, Mapping[str, list[float]]] | None) -> str:
    if scores is None:
        return "No prediction sets: the model was trained without them."
    few = [task for task, by_class in scores.items() if min(map(len, by_class.values())) < FEWEST]
    told = (
        f"Each answer comes with a prediction set, meant to hold the true class of {COVERAGE:.0%} of the patients of "
        "each class (class-conditional conformal prediction). Approximate: its scores are of fits on inner folds, and "
        "this model was fitted again on all patients. It is about patients like those of training; nothing is promised "
        "for single spectra or images."
    )
    if few:
        told += f" Of {', '.join(few)} a class has fewer than {FEWEST} patients: the set always holds all classes."
    return told


def _task(study: Study, name: str, threshold: float | None) -> str:
    task, codes = study.tasks[name], study.label_codes(name)
    told = []
    for code, label in enumerate(task.classes):
        of = codes == code
        people = counted(len(np.unique(study.patients[of])), "patient")
        told.append(f"{label} ({people}, {counted(int(of.sum()), 'sample')})")
    under = f"; only if `{task.parent[0]}` is {task.parent[1]}" if task.parent else ""
    if len(task.classes) == 2:
        positive = task.classes[1 if task.positive_code is None else task.positive_code]
        rule = f"{positive} is decided where its probability reaches {0.5 if threshold is None else threshold:.3g}"
    else:
        rule = "the most probable is decided"
    return f"- `{name}`, of {task.level}s: {', '.join(told)}{under}; {rule}"


def _modality(name: str, about: Mapping[str, Any], study: Study) -> str:
    if about["kind"] == "spectra":
        axis = study.spectra(name).axis
        return (
            f"- `{name}`: spectra, {len(axis)} points, {axis[0]:g} to {axis[-1]:g} cm^-1; others are interpolated, and "
            "refused where they do not cover this"
        )
    if about["kind"] == "images":
        size = about["size"]
        return f"- `{name}`: images" + (f", looked at in {size[0]} x {size[1]} pixels" if size else "")
    return f"- `{name}`: a table with {', '.join(map(_column, about['columns']))}"


def _column(column: Mapping[str, Any]) -> str:
    """Return a column with its unit, and what it held in training."""
    if column["kind"] != "number":
        return f"{column['name']} ({', '.join(column['categories'])})"
    unit = f" {column['unit']}" if column["unit"] else ""
    return f"{column['name']} ({column['low']:g} to {column['high']:g}{unit})" if column["low"] is not None else (
        f"{column['name']} (number{unit})"
    )  # fmt: skip


def _gaps(modalities: Mapping[str, Any]) -> str:
    return "\n\nAny of them may be missing, but not all." if len(modalities) > 1 else ""


def _summary(study: Study) -> str:
    return f" ({DATASETS[study.name].summary})" if study.name in DATASETS else ""


def _list(title: str, lines: list[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _validation(found: Mapping[str, Any]) -> str:
    if "absent" in found:
        return (
            f"Not stated: {found['absent']}. Without figures, nobody can tell whether its answers are worth anything."
        )
    rows = [
        f"| {task} | {level} | {told} | {metrics[metric]['estimate']:.3f} | {_interval(metrics[metric])} |"
        for task, levels in found["tasks"].items()
        for level, metrics in levels.items()
        if level == "patient" or metrics != levels.get("patient")
        for metric, told in FIGURES.items()
        if metric in metrics
    ]
    head = "| task | level | figure | estimate | 95 % interval |\n|---|---|---|---|---|\n"
    told = (
        f"Cross-validated ({found['split']}), on patients that the fits did not see. This model was fitted on all "
        "patients with the same recipe; none are left to test it on. Of more than two classes, figures are means over "
        "the classes, each against the rest."
    )
    return f"{told}\n\n{head}" + "\n".join(rows)


def _interval(figure: Mapping[str, Any]) -> str:
    low, high = figure.get("low"), figure.get("high")
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _limits(study: Study) -> list[str]:
    """Return what keeps the answers from being more than they are."""
    found = [
        "Nothing is known of other centres, instruments and protocols than the study's: try it on labelled patients of "
        "your own first",
        "Predictive values hold where the classes are as common as in the study; its probabilities are not those of "
        "a population in which they are rarer",
        "Whoever has none of the classes gets one of them all the same",
    ]
    if study.name in DATASETS and DATASETS[study.name].grouped:
        found.insert(0, "The patients of the study are not known: groups of measurements stand for them, and one "
                        "patient may be in several, which flatters figures")  # fmt: skip
    for name, task in study.tasks.items():
        codes = study.label_codes(name)
        people = [len(np.unique(study.patients[codes == code])) for code in range(len(task.classes))]
        if min(people) < FEW:
            few = task.classes[int(np.argmin(people))]
            found.append(f"`{name}` learnt {few} from {counted(min(people), 'patient')}: figures are rough")
    return found


def _cited(manifest: Mapping[str, Any], study: Study) -> str:
    told = [
        f"The model: {manifest['name']}, made with polydx {manifest['about']['polydx']}, and the SHA-256 of this file."
    ]
    if study.name in DATASETS:
        source = DATASETS[study.name]
        terms = f" ({source.terms})" if source.terms != "none" else ""
        told.append(f"The data: {source.source}{terms}.")
    else:
        told.append(f"The data: study `{study.name}`, as those who hold it ask for.")
    return "\n".join(f"- {one}" for one in told)
