"""The model card: what whoever gets a bundle should read before using it. Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polydx.study import Study


def model_card(manifest: Mapping[str, Any], described: Mapping[str, Any], study: Study) -> str:
    """Return the card of a bundle.

    Args:
        manifest: of the bundle.
        described: its model.json.
        study: what it was trained on.
    """
    about = manifest["about"]
    parts = [
        f"# {manifest['name']}",
        "**The training data are SIMULATED: nothing here is of patients.**" if study.simulated else "",
        manifest["intended_use"],
        "## What it answers\n\n" + "\n".join(_task(study, name) for name in study.tasks),
        "## What it takes\n\n" + "\n".join(_modality(n, m, study) for n, m in described["modalities"].items()),
        "## What it was trained on\n\n"
        f"Study `{study.name}`: {about['samples']} samples of {about['patients']} patients; one answer a {study.unit}. "
        f"Recipe `{about['recipe']}`, seed {about['seed']}, polydx {about['polydx']}.",
        _list("Remarks of the fit", manifest["notes"]),
        "## How well it does\n\n" + _validation(manifest["validation"]),
        "## What lies in the bundle\n\n"
        + (
            "**Measurements of training patients**: the model compares with them. Treat it as patients' data.\n"
            if manifest["holds_training_data"]
            else "No measurements of training patients.\n"
        )
        + "Patients and measurements are told by keyed hashes, so that another study can be held against them; "
        "who can guess an identifier can check the guess. The exported model and the recipe differ by at most "
        f"{manifest['parity']['largest_difference']:.1e} in a probability, over all training samples.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _task(study: Study, name: str) -> str:
    task = study.tasks[name]
    codes = study.label_codes(name)
    counts = ", ".join(f"{label} ({int((codes == i).sum())} samples)" for i, label in enumerate(task.classes))
    under = f"; only if `{task.parent[0]}` is {task.parent[1]}" if task.parent else ""
    return f"- `{name}`, of {task.level}s: {counts}{under}"


def _modality(name: str, about: Mapping[str, Any], study: Study) -> str:
    if about["kind"] == "spectra":
        axis = study.spectra(name).axis
        return f"- `{name}`: spectra, {len(axis)} points, {axis[0]:g} to {axis[-1]:g} cm^-1; others are interpolated"
    if about["kind"] == "images":
        size = about["size"]
        return f"- `{name}`: images" + (f", looked at in {size[0]} x {size[1]} pixels" if size else "")
    columns = ", ".join(f"{c['name']} ({c['kind']})" for c in about["columns"])
    return f"- `{name}`: a table with {columns}"


def _list(title: str, lines: list[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _validation(found: Mapping[str, Any]) -> str:
    if "absent" in found:
        return f"Not stated: {found['absent']}."
    rows = [
        f"| {task} | {level} | {metric} | {figure['estimate']:.3f} | {_interval(figure)} |"
        for task, levels in found["tasks"].items()
        for level, metrics in levels.items()
        for metric, figure in metrics.items()
    ]
    head = "| task | level | figure | estimate | 95 % interval |\n|---|---|---|---|---|\n"
    told = (
        f"Cross-validated ({found['split']}), on patients that the fits did not see. This model was fitted on all "
        "patients with the same recipe; none are left to test it on."
    )
    return f"{told}\n\n{head}" + "\n".join(rows)


def _interval(figure: Mapping[str, Any]) -> str:
    low, high = figure.get("low"), figure.get("high")
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
