"""Explain: which part of a measurement the answers of a run's recipe, or of a trained model, rest on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from polydx.errors import ConfigError
from polydx.explain.asked import Asked, asked_of
from polydx.explain.choice import Target, chosen_modality, targets
from polydx.explain.spectral import Method, explain_spectra, occlusion
from polydx.explain.store import Explanation, folder_name, write_explanation
from polydx.explain.summary import of_spectra
from polydx.progress import Progress, Silent
from polydx.study import Spectra

MethodName: TypeAlias = Literal["occlusion", "integrated_gradients", "grad_cam"]


@dataclass(frozen=True)
class Options:
    """How to explain.

    Attributes:
        method: name.
        modality: to explain in, where the recipe uses several of the method's kind.
        reference: class to hold the explained one against, or `none`; all other classes if not given.
        window: of occlusion, in cm^-1.
        stage: of Grad-CAM.
        sanity: compare with models that have learnt nothing.
    """

    method: MethodName = "occlusion"
    modality: str | None = None
    reference: str | None = None
    window: float = 20.0
    stage: str | None = None
    sanity: bool = False


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
    found = _explained(asked, chosen, options, progress)
    folder = Path(out) if out is not None else Path(path) / "explain" / folder_name(found.about)
    write_explanation(folder, found)
    _draw(folder, found)
    return folder


def _explained(asked: Asked, chosen: list[Target], options: Options, progress: Progress) -> Explanation:
    modality = chosen_modality(asked.study, asked.modalities, options.modality, Spectra)
    method, checked = _method(options), []
    progress.begin("fits explained", asked.fits)

    def done(subject: Any) -> None:
        progress.step("model" if subject.fold is None else f"seed {subject.seed}, fold {subject.fold}")

    subjects = list(asked.subjects) if options.sanity else asked.subjects
    maps = explain_spectra(subjects, method, modality, chosen, any_class=asked.sample is not None, done=done)
    if options.sanity:
        from polydx.explain.sanity import sanity_of_spectra

        for found in maps:
            progress.say(f"sanity check of {found.target.label}")
            first = next(s for s in subjects if (s.seed, s.fold) == (found.folds[0].seed, found.folds[0].fold))
            checked.append(sanity_of_spectra(first, method, modality, found.target, any_class=asked.sample is not None))
    about = {
        "recipe": asked.recipe, "method": options.method, "modality": modality, "kind": Spectra.kind,
        "task": chosen[0].task, "study": asked.study.name, "simulated": asked.study.simulated, "sample": asked.sample,
        "of": "model" if asked.run is None else "run", "options": _used(options),
    }  # fmt: skip
    told = of_spectra(maps, about)
    for entry, result in zip(told.about["classes"], checked, strict=False):
        entry["sanity"] = result.to_json()
    return told


def _method(options: Options) -> Method:
    if options.method == "occlusion":
        return occlusion(options.window)
    from polydx.explain.gradients import grad_cam, integrated_gradients

    return integrated_gradients() if options.method == "integrated_gradients" else grad_cam(options.stage)


def _used(options: Options) -> dict[str, Any]:
    """Return the options that the method has."""
    if options.method == "occlusion":
        return {"window": options.window}
    return {"stage": options.stage} if options.method == "grad_cam" else {}


def _draw(folder: Path, found: Explanation) -> None:
    from polydx.io.atomic import write_text
    from polydx.report.explained import figures

    for name, svg in figures(found).items():
        write_text(folder / f"{name}.svg", svg)
