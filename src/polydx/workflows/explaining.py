"""Explain: which part of a measurement the answers of a run's recipe, or of a trained model, rest on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polydx.errors import ConfigError, StudyError
from polydx.explain.asked import asked_of
from polydx.explain.choice import chosen_task, targets
from polydx.explain.methods import MethodName, Options, explain_by
from polydx.explain.store import Explanation, folder_name, write_explanation
from polydx.explain.subjects import run_modalities
from polydx.progress import Progress, Silent
from polydx.study import Spectra, Study, Table


def explain(
    path: str | Path,
    study: str | Path | Study | None = None,
    *,
    task: str | None = None,
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
        path: a finished run folder, or a bundle.
        study: study.yaml, the name of a study, or a study; that of the run if not given.
        task: to explain; the only one if not given.
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
    for note in asked.notes:
        progress.say(note)
    if out is None and asked.run is None:
        raise ConfigError("name a folder with --out: only a run has a place of its own for explanations")
    chosen = targets(asked.study, chosen_task(asked.study, task), label, options.reference)
    found = explain_by(asked, chosen, options, progress)
    folder = Path(out) if out is not None else Path(path) / "explain" / folder_name(found.about)
    write_explanation(folder, found)
    _draw(folder, found)
    return folder


def explain_run(
    folder: Path, study: Study, *, data: str | Path | None = None, progress: Progress | None = None
) -> None:
    """Explain what a run's declared recipe, or its first one, rests on, by methods that cost little.

    Networks of spectra by integrated gradients, other recipes of spectra by occlusion, tables by permutation, and
    several modalities by their shares; images take too long for this.

    Args:
        folder: a finished run.
        study: the one that was run.
        data: folder of the named studies.
        progress: told how far it is.
    """
    from polydx.validation.run_folder import read_run

    progress, run = progress or Silent(), read_run(folder)
    primary = run.config.validation.primary
    recipe = (primary and primary.recipe) or next(iter(run.config.recipes))
    for options in _cheap(study, run_modalities(run, recipe), run.config.recipes[recipe].kind == "network"):
        for task in run.tasks:
            try:
                explain(folder, study, task=task, recipe=recipe, options=options, data=data, progress=progress)
            except (ConfigError, StudyError) as error:
                progress.say(f"not explained: {task} by {options.method}: {error.message}")


def _cheap(study: Study, modalities: Sequence[str], network: bool) -> list[Options]:
    """Return the methods that explain these modalities at little cost."""
    kinds = {name: study.modalities[name].kind for name in modalities}
    method: MethodName = "integrated_gradients" if network else "occlusion"
    found = [Options(method, name) for name, kind in kinds.items() if kind == Spectra.kind]
    found += [Options("permutation", name) for name, kind in kinds.items() if kind == Table.kind]
    return [*found, Options("modalities")] if len(modalities) > 1 else found


def _draw(folder: Path, found: Explanation) -> None:
    from polydx.io.atomic import write_text
    from polydx.report.explained import figures

    for name, svg in figures(found).items():
        write_text(folder / f"{name}.svg", svg)
