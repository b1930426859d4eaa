"""Explain: which part of a measurement the answers of a run's recipe, or of a trained model, rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from polydx.datasets.catalogue import load_study
from polydx.errors import ConfigError, counted
from polydx.explain.choice import Target, chosen_modality, targets
from polydx.explain.spectral import SpectralMap, explain_spectra, occlusion
from polydx.explain.store import Explanation, folder_name, write_explanation
from polydx.explain.subjects import Subject, model_subject, run_subjects
from polydx.progress import Progress, Silent
from polydx.study import Spectra, Study

BANDS_TOLD = 5


def explain(
    path: str | Path,
    study: str | Path | None = None,
    *,
    recipe: str | None = None,
    task: str,
    label: str | None = None,
    sample: str | None = None,
    method: str = "occlusion",
    modality: str | None = None,
    reference: str | None = None,
    window: float = 20.0,
    out: str | Path | None = None,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Explain a class of a task, and write what was found with its figures.

    Args:
        path: a finished run folder, or the folder of a model.
        study: study.yaml or the name of a study; that of the run if not given.
        recipe: of the run.
        task: to explain.
        label: one class; the positive one of two, or all of more, if not given.
        sample: one sample; all test samples of the run, or all of the study, if not given.
        method: `occlusion`.
        modality: to explain in, where the recipe uses several of the method's kind.
        reference: class to hold the explained one against; all others if not given.
        window: of occlusion, in cm^-1.
        out: folder; `explain/...` below the run folder if not given.
        data: folder of the named studies.
        progress: told how far it is.

    Returns:
        The folder.

    Raises:
        ConfigError: the recipe, task, class, modality or method is not there, or does not go with the others.
        StudyError: the study is not that of the run, or has nothing to explain.
    """
    progress = progress or Silent()
    asked = _asked(Path(path), study, recipe, sample, data, progress)
    chosen = targets(asked.study, task, label, reference)
    named = chosen_modality(asked.study, asked.modalities, modality, Spectra)
    progress.begin("fits explained", asked.count)
    maps = explain_spectra(
        asked.subjects,
        occlusion(window),
        named,
        chosen,
        any_class=sample is not None,
        done=lambda subject: progress.step("model" if subject.fold is None else f"fold {subject.fold}"),
    )
    about = {
        "recipe": asked.recipe, "method": method, "modality": named, "kind": Spectra.kind, "task": task,
        "study": asked.study.name, "simulated": asked.study.simulated, "sample": sample, "scope": asked.scope,
        "options": {"window": window},
    }  # fmt: skip
    found = _of_spectra(maps, about)
    folder = _target(Path(path), asked, found.about, out)
    write_explanation(folder, found)
    _draw(folder, found)
    return folder


class _Asked:
    """What the command names: fits, their study, how many there are."""

    def __init__(self, study: Study, recipe: str, modalities: Sequence[str], scope: str) -> None:
        self.study, self.recipe, self.modalities, self.scope = study, recipe, modalities, scope
        self.subjects: Iterable[Subject] = ()
        self.count = 1
        self.is_run = False


def _asked(
    path: Path,
    study: str | Path | None,
    recipe: str | None,
    sample: str | None,
    data: str | Path | None,
    progress: Progress,
) -> _Asked:
    if (path / "model.json").is_file():
        return _of_model(path, study, sample, data, progress)
    from polydx.validation.run_folder import read_run

    run = read_run(path)
    progress.say(f"reading the study of {path}")
    loaded = load_study(study if study is not None else path / "config.yaml", data)
    names = list(run.config.recipes)
    if recipe is None:
        if len(names) > 1:
            raise ConfigError(f"{path} is a run of {counted(len(names), 'recipe')} ({', '.join(names)}): name one")
        recipe = names[0]
    used = run.predictions.loc[run.predictions["recipe"] == recipe, "modalities"]
    asked = _Asked(loaded, recipe, sorted({m for row in used for m in row}), "test")
    asked.subjects = run_subjects(run, loaded, recipe, sample=sample, data=data)
    asked.count = (
        len(run.splits.drop_duplicates(["seed", "fold"])) if sample is None else len(run.metrics.get("seeds", [0]))
    )
    asked.is_run = True
    return asked


def _of_model(
    path: Path, study: str | Path | None, sample: str | None, data: str | Path | None, progress: Progress
) -> _Asked:
    from polydx.recipes.store import load_model

    if study is None:
        raise ConfigError(f"{path} is a model: name the study whose samples it shall explain")
    model = load_model(path)
    progress.say(f"reading {study}")
    loaded = load_study(study, data)
    asked = _Asked(loaded, str(model.about["recipe"]), [*model.axes, *model.images], "study")
    whole = model_subject(model.fitted, loaded)
    asked.subjects = [whole if sample is None else Subject(model.fitted, loaded, loaded.subset([sample]))]
    return asked


def _of_spectra(maps: Sequence[SpectralMap], about: dict[str, Any]) -> Explanation:
    from polydx.explain.assignments import band_table

    bands = []
    for found in maps:
        table = band_table(found.mean, found.axis, [fold.mean for fold in found.folds])
        table.insert(0, "class", found.target.label)
        bands.append(table)
    people = {p for found in maps for fold in found.folds for p in fold.patients}
    told = {
        **about,
        "patients": len(people),
        "samples": sum(len(fold.patients) for found in maps for fold in found.folds),
        "fits": max(len(found.folds) for found in maps),
        "classes": [_class(found, table) for found, table in zip(maps, bands, strict=True)],
    }
    tables = {"maps": pd.concat([m.frame() for m in maps]), "bands": pd.concat(bands)}
    return Explanation(told, tables, pd.concat([m.fold_frame() for m in maps]))


def _class(found: SpectralMap, bands: pd.DataFrame) -> dict[str, Any]:
    target: Target = found.target
    return {
        "class": target.label,
        "against": target.against,
        "patients": found.patients,
        "fits": len(found.folds),
        "correlation_of_folds": found.correlation,
        "bands": bands.head(BANDS_TOLD)[["wavenumber", "value", "molecules"]].to_dict("records"),
    }


def _target(path: Path, asked: _Asked, about: dict[str, Any], out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if not asked.is_run:
        raise ConfigError("name a folder with --out: only a run has a place of its own for explanations")
    return path / "explain" / folder_name(about)


def _draw(folder: Path, found: Explanation) -> None:
    from polydx.io.atomic import write_text
    from polydx.report.explained import figures

    for name, svg in figures(found).items():
        write_text(folder / f"{name}.svg", svg)
