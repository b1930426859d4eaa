"""What is asked to explain itself: the recipe of a run, or a model, and the study they speak about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from polydx.bundle.aligned import aligned
from polydx.datasets.catalogue import load_study
from polydx.errors import ConfigError, StudyError, counted
from polydx.explain.subjects import Subject, run_modalities, run_subjects
from polydx.study import Study


@dataclass(frozen=True)
class Asked:
    """Fits, and the study they explain.

    Attributes:
        study: the samples.
        recipe: name of the recipe.
        modalities: those it uses.
        subjects: fits with the samples each is to explain; they are made as they are asked for.
        fits: how many there are.
        run: the run folder; None for a model.
        sample: the only one to explain; None for all.
        notes: what of the study was changed or left out for a model.
    """

    study: Study
    recipe: str
    modalities: tuple[str, ...]
    subjects: Iterable[Subject]
    fits: int
    run: Path | None = None
    sample: str | None = None
    notes: Sequence[str] = ()


def asked_of(
    path: Path,
    study: str | Path | Study | None,
    *,
    recipe: str | None = None,
    sample: str | None = None,
    data: str | Path | None = None,
) -> Asked:
    """Return the fits of a run folder, or a bundle's model.

    Args:
        path: the folder or bundle.
        study: study.yaml, a name, or the study itself; a run's own if not given.
        recipe: of a run.
        sample: only this one.
        data: folder of the named studies.

    Raises:
        ConfigError: a run of several recipes and none named, or a model without a study.
        StudyError: the study has no such sample, or is not what the model takes.
        ReadError: the folder is neither.
    """
    if path.suffix == ".zip":
        return _of_model(path, study, sample, data)
    from polydx.validation.run_folder import read_run

    run = read_run(path)
    names = list(run.config.recipes)
    if recipe is None and len(names) > 1:
        raise ConfigError(f"{path} is a run of {counted(len(names), 'recipe')}: name one of {', '.join(names)}")
    chosen = recipe or names[0]
    loaded = _loaded(study if study is not None else path / "config.yaml", data)
    subjects = run_subjects(run, loaded, chosen, sample=sample, data=data)
    fits = len(run.splits.drop_duplicates(["seed", "fold"] if sample is None else ["seed"]))
    return Asked(loaded, chosen, run_modalities(run, chosen), subjects, fits, path, sample)


def _loaded(study: str | Path | Study, data: str | Path | None) -> Study:
    return study if isinstance(study, Study) else load_study(study, data)


def _of_model(path: Path, study: str | Path | Study | None, sample: str | None, data: str | Path | None) -> Asked:
    from polydx.recipes.store import load_model

    if study is None:
        how = f"`polydx explain {path} STUDY ...`, a study.yaml or a study's name"
        raise ConfigError(f"{path} is a model: name the study whose samples it shall explain: {how}")
    model, loaded = load_model(path), _loaded(study, data)
    if sample is not None and sample not in set(loaded.ids):
        raise StudyError(f"study '{loaded.name}' has no sample '{sample}' to explain")
    own = aligned(model, loaded, labelled=sample is None)
    used = tuple(name for name in model.modalities if name in own.study.modalities)
    if sample is not None and sample not in set(own.study.ids):
        raise StudyError(f"sample '{sample}' has none of the modalities of the model: {', '.join(used)}")
    tested = own.study if sample is None else own.study.subset([sample])
    subject = Subject(model.fitted, own.study, tested)
    return Asked(own.study, str(model.about["recipe"]), used, [subject], 1, None, sample, own.notes)
