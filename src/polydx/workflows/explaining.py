"""Explain: which part of a measurement the answers of a run's recipe, or of a trained model, rest on."""

from __future__ import annotations

from pathlib import Path

from polydx.errors import ConfigError
from polydx.explain.asked import asked_of
from polydx.explain.choice import targets
from polydx.explain.methods import Options, explain_by
from polydx.explain.store import Explanation, folder_name, write_explanation
from polydx.progress import Progress, Silent


def explain(
    path: str | Path,
    study: str | Path | None = None,
    *,
    task: str,
    recipe: str | None = None,
    label: str | None = None,
    sample: str | None = None,
    options: Options | None = None,
    out: str | Path | None = None,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Explain the classes of a task, and write what was found with its figures.

    Args:
        path: a finished run folder, or the folder of a model.
        study: study.yaml or the name of a study; that of the run if not given.
        task: to explain.
        recipe: of the run.
        label: one class; the positive one of two, or all of more, if not given.
        sample: one sample; all test samples of the run, or all of the study, if not given.
        options: how; occlusion if not given.
        out: folder; `explain/...` below the run folder if not given.
        data: folder of the named studies.
        progress: told how far it is.

    Returns:
        The folder.

    Raises:
        ConfigError: the recipe, task, class, modality or method is not there, or does not go with the others.
        StudyError: the study is not that of the run, or has nothing to explain.
    """
    progress, options = progress or Silent(), options or Options()
    progress.say(f"reading {path} and its study")
    asked = asked_of(Path(path), study, recipe=recipe, sample=sample, data=data)
    if out is None and asked.run is None:
        raise ConfigError("name a folder with --out: only a run has a place of its own for explanations")
    chosen = targets(asked.study, task, label, options.reference)
    found = explain_by(asked, chosen, options, progress)
    folder = Path(out) if out is not None else Path(path) / "explain" / folder_name(found.about)
    write_explanation(folder, found)
    _draw(folder, found)
    return folder


def _draw(folder: Path, found: Explanation) -> None:
    from polydx.io.atomic import write_text
    from polydx.report.explained import figures

    for name, svg in figures(found).items():
        write_text(folder / f"{name}.svg", svg)
