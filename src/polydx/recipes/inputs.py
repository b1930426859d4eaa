"""From a study's modalities to the arrays a model takes: preprocessing fitted on training rows, bags pooled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import AxisError, ConfigError, ImageError, Problem, ReadError, StudyError, counted
from polydx.preprocessing.image_pipeline import ImagePipeline, build_image_pipeline
from polydx.preprocessing.pipeline import SpectraPipeline, build_pipeline
from polydx.preprocessing.table_pipeline import TablePipeline, build_table_pipeline
from polydx.recipes.pictures import fit_images, shape_of_images, transformed_images
from polydx.recipes.protocol import State
from polydx.study import Images, Modality, RowIndex, Spectra, Study, Table

if TYPE_CHECKING:
    import pandas as pd

    from polydx.config import Step

StepsByModality: TypeAlias = "Mapping[str, Sequence[Step]]"
Pipeline: TypeAlias = SpectraPipeline | ImagePipeline | TablePipeline
KINDS: dict[str | None, type[SpectraPipeline | ImagePipeline | TablePipeline]] = {
    Images.kind: ImagePipeline, Table.kind: TablePipeline, None: SpectraPipeline,
}  # fmt: skip
MEAN = "mean"


@dataclass(frozen=True)
class StandIn:
    """What takes the place of a modality that a sample lacks.

    Attributes:
        mean: (D,) of the features over the training samples that have the modality.
        gaps: whether training samples lacked it; else a model has not learned what a gap means, and is not told of it.
    """

    mean: NDArray[np.float64]
    gaps: bool

    @classmethod
    def of(cls, values: NDArray[np.float64], present: NDArray[np.bool_]) -> StandIn:
        """Return what stands in for (N, D) values where (N,) `present` is False; at least one sample has them."""
        return cls(values[present].mean(axis=0), not present.all())

    def fill(self, values: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return (N, D) with the mean where a sample lacks the values."""
        return np.where(present[:, None], values, self.mean)

    def told(self, present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return (N, 1): 1 where a sample has the values, or where no training sample lacked them; else 0."""
        return (present | (not self.gaps)).astype(np.float64)[:, None]


@dataclass(frozen=True)
class FittedInputs:
    """Fitted preprocessing, one pipeline a modality.

    Attributes:
        pipelines: modality -> pipeline fitted on training rows.
        stand_ins: modality -> what takes its place, where there are several.
    """

    pipelines: dict[str, Pipeline]
    stand_ins: Mapping[str, StandIn] = field(default_factory=dict)

    def rows(self, study: Study) -> dict[str, NDArray[Any]]:
        """Return modality -> preprocessed rows, one for each row of the modality; none where the study has no row.

        Spectra and tables give (n, D) float64; images (n, C, H, W) float32, or (n, D) where a step makes features.

        Raises:
            AxisError: the study's axis is not the one the pipeline was fitted on.
            ImageError: images end in another shape than those the pipeline was fitted on.
            StudyError: a table lacks a column, or has one of another type.
        """
        there = [name for name in self.pipelines if name in study.modalities and len(study.modalities[name])]
        return {name: _transformed(study, name, self.pipelines[name]) for name in there}

    def features(self, study: Study) -> NDArray[np.float64]:
        """Return (N, D): each sample's rows averaged, modalities side by side; pixels stand one after the other.

        Of several modalities, one that a sample lacks has its mean over the training samples, and for each a last
        column says whether the sample has it (1) or not (0); it is always 1 where no training sample lacked it.

        Raises:
            StudyError: a sample has none of the modalities.
        """
        check_present(study, tuple(self.pipelines))
        pooled = _pooled(study, self.rows(study))
        if len(self.pipelines) == 1:
            return next(iter(pooled.values())).astype(np.float64, copy=False)
        return _side_by_side(study, pooled, self.stand_ins)

    def unseen(self, study: Study) -> list[str]:
        """Return a sentence for each column of a table with categories that training rows do not know."""
        return [
            f"{name}: column '{column}' holds {', '.join(map(repr, values))}, unknown in training: taken as missing"
            for name, pipeline in self.pipelines.items()
            if isinstance(pipeline, TablePipeline) and isinstance(table := study.modalities.get(name), Table)
            for column, values in pipeline.unseen(table.frame).items()
        ]

    def notes(self) -> list[str]:
        """Return what the fit left out, one sentence each."""
        tables = {name: p for name, p in self.pipelines.items() if isinstance(p, TablePipeline)}
        return [f"{name}: {note}" for name, pipeline in tables.items() for note in pipeline.notes]

    def state(self) -> State:
        """Return the pipelines as data."""
        config: dict[str, Any] = {}
        arrays: dict[str, NDArray[Any]] = {}
        for name, pipeline in self.pipelines.items():
            config[name], found = pipeline.to_state()
            arrays |= {f"{name}/{key}": value for key, value in found.items()}
        for name, stand_in in self.stand_ins.items():
            config[name]["gaps"] = stand_in.gaps
            arrays[f"{name}/{MEAN}"] = stand_in.mean
        return config, arrays

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedInputs:
        """Rebuild what `state` returned."""
        pipelines: dict[str, Pipeline] = {}
        stand_ins: dict[str, StandIn] = {}
        for name, part in config.items():
            own = {k.removeprefix(f"{name}/"): v for k, v in arrays.items() if k.startswith(f"{name}/")}
            pipelines[name] = KINDS.get(part.get("kind"), SpectraPipeline).from_state(part, own)
            if MEAN in own:
                stand_ins[name] = StandIn(own[MEAN], bool(part["gaps"]))
        return cls(pipelines, stand_ins)


def fit_features(
    study: Study, steps: StepsByModality, codes: NDArray[np.int64] | None = None
) -> tuple[FittedInputs, NDArray[np.float64]]:
    """Fit one pipeline a modality, and what stands in for it, on all rows of the study.

    Args:
        study: training rows; every sample has at least one of the modalities.
        steps: modality -> steps.
        codes: (N,) class codes for steps that look at labels.

    Returns:
        The fitted preprocessing, and (N, D) features of the training samples.

    Raises:
        StudyError: a modality without any row, or a sample with none of the modalities.
    """
    inputs = fit_inputs(study, steps, codes)
    if len(steps) == 1:
        return inputs, inputs.features(study)
    check_present(study, tuple(steps))
    pooled = _pooled(study, inputs.rows(study))
    stand_ins = {name: StandIn.of(pooled[name], study.present(name)) for name in steps}
    return FittedInputs(inputs.pipelines, stand_ins), _side_by_side(study, pooled, stand_ins)


def fit_inputs(study: Study, steps: StepsByModality, codes: NDArray[np.int64] | None = None) -> FittedInputs:
    """Fit one pipeline a modality on all rows of the study.

    Args:
        study: training rows.
        steps: modality -> steps.
        codes: (N,) class codes for steps that look at labels; rows of unlabelled samples do not enter those.

    Raises:
        StudyError: a modality has no row to fit on.
    """
    empty = [name for name in steps if name in study.modalities and not len(study.modalities[name])]
    if empty:
        raise StudyError(f"no training row of {', '.join(empty)}: leave it out of the recipe, or use another split")
    return FittedInputs({name: _fit_pipeline(study, name, listed, codes) for name, listed in steps.items()})


def _fit_pipeline(study: Study, name: str, steps: Sequence[Step], codes: NDArray[np.int64] | None) -> Pipeline:
    modality = study.modalities.get(name)
    if isinstance(modality, Images):
        return fit_images(study, name, steps)
    if isinstance(modality, Table):
        return build_table_pipeline(steps).fit(modality.frame)
    spectra = study.spectra(name)
    pipeline = build_pipeline(steps, spectra.axis)
    if codes is None:
        return pipeline.fit(spectra.values)
    index = study.rows[name]
    labels = codes[index.sample_of_row]
    return pipeline.fit(spectra.values[index.rows][labels >= 0], labels[labels >= 0])


def has_any(study: Study, names: Sequence[str]) -> NDArray[np.bool_]:
    """Return (N,) whether a sample has any of the modalities; those that the study does not hold no sample has."""
    there = [study.present(name) for name in names if name in study.modalities]
    return np.any(there, axis=0) if there else np.zeros(len(study), dtype=bool)


def check_present(study: Study, names: Sequence[str]) -> None:
    """Refuse samples that have none of the modalities.

    Raises:
        StudyError: naming how many, and the first of them.
    """
    lacking = study.ids[~has_any(study, names)]
    if len(lacking):
        told = ", ".join(map(str, lacking[:3])) + (", ..." if len(lacking) > 3 else "")
        which = f"none of the modalities {', '.join(names)}" if len(names) > 1 else f"no '{names[0]}'"
        raise StudyError(f"{counted(len(lacking), 'sample')} with {which}: {told}; leave them out")


def _pooled(study: Study, rows: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """Return modality -> (N, D), NaN where a sample lacks it."""
    return {name: pool_mean(values.reshape(len(values), -1), study.rows[name]) for name, values in rows.items()}


def _side_by_side(
    study: Study, pooled: Mapping[str, NDArray[np.float64]], stand_ins: Mapping[str, StandIn]
) -> NDArray[np.float64]:
    """Return (N, D): the modalities' features with stand-ins where a sample lacks one, then what it has."""
    present = {name: has_any(study, [name]) for name in stand_ins}
    nothing = {name: np.full((len(study), len(found.mean)), np.nan) for name, found in stand_ins.items()}
    blocks = [found.fill(pooled.get(name, nothing[name]), present[name]) for name, found in stand_ins.items()]
    told = [found.told(present[name]) for name, found in stand_ins.items()]
    return np.hstack([*blocks, *told]).astype(np.float64, copy=False)


def pool_mean(values: NDArray[np.float64], index: RowIndex) -> NDArray[np.float64]:
    """Average the rows of each sample: (n, D) -> (N, D); a single row is passed through, no row gives NaN."""
    if len(index.rows) == len(index) and (index.counts == 1).all():
        return values[index.rows]
    there = index.counts > 0
    pooled = np.full((len(index), values.shape[1]), np.nan)
    if there.any():
        sums = np.add.reduceat(values[index.rows], index.starts[:-1][there], axis=0)
        pooled[there] = sums / index.counts[there, None]
    return pooled


def input_problems(study: Study, steps: StepsByModality, where: str) -> list[Problem]:
    """Return what keeps these steps from being used on this study: unknown modality, wrong step or option, no row."""
    found = []
    for name, listed in steps.items():
        at = f"{where}.preprocessing.{name}"
        if name not in study.modalities:
            found.append(Problem(at, f"the study has no modality '{name}'; it has {', '.join(study.modalities)}"))
        elif not study.present(name).any():
            found.append(Problem(at, f"no sample has any '{name}': leave it out"))
        else:
            found += _pipeline_problems(study, name, study.modalities[name], listed, at)
    return found


def _pipeline_problems(study: Study, name: str, modality: Modality, listed: Sequence[Step], at: str) -> list[Problem]:
    try:
        if isinstance(modality, Spectra):
            build_pipeline(listed, modality.axis)
        elif isinstance(modality, Images):
            shape_of_images(study, name, build_image_pipeline(listed))
        else:
            build_table_pipeline(listed).fit(modality.frame)
    except (ConfigError, StudyError) as error:
        named = [Problem(f"{at}.{p.where}", p.what) for p in error.problems]
        return list(dict.fromkeys(named or [Problem(at, error.message)]))
    except (AxisError, ImageError, ReadError) as error:
        return [Problem(at, str(error))]
    return []


def spectral_modalities(study: Study) -> list[str]:
    """Return the names of the modalities that hold spectra."""
    return [name for name, modality in study.modalities.items() if isinstance(modality, Spectra)]


def columnar_modalities(study: Study) -> list[str]:
    """Return the names of the modalities that are features as they are: spectra and tables."""
    return [name for name, modality in study.modalities.items() if isinstance(modality, Spectra | Table)]


def study_axes(study: Study, names: Iterable[str]) -> dict[str, NDArray[np.float64] | None]:
    """Return modality -> axis of its spectra; None for images and tables, which have none."""
    none = {name: isinstance(study.modalities.get(name), Images | Table) for name in names}
    return {name: None if without else study.spectra(name).axis for name, without in none.items()}


def _transformed(study: Study, name: str, pipeline: Pipeline) -> NDArray[Any]:
    if isinstance(pipeline, ImagePipeline):
        return transformed_images(study, name, pipeline)
    if isinstance(pipeline, TablePipeline):
        return pipeline.transform(_frame(study, name))
    return pipeline.transform(_values(study, name, pipeline))


def _frame(study: Study, name: str) -> pd.DataFrame:
    table = study.modalities.get(name)
    if not isinstance(table, Table):
        held = "is not there" if table is None else f"holds {table.kind}"
        raise StudyError(f"modality '{name}' of study '{study.name}' {held}; the model knows a table")
    return table.frame


def _values(study: Study, name: str, pipeline: SpectraPipeline) -> NDArray[Any]:
    spectra, expected = study.spectra(name), pipeline.input_axis
    if expected is not None and not np.array_equal(spectra.axis, expected):
        raise AxisError(
            f"'{name}' of study '{study.name}' is on another axis than the model "
            f"({len(spectra.axis)} points {spectra.axis[0]:g}-{spectra.axis[-1]:g} cm^-1, expected "
            f"{len(expected)} points {expected[0]:g}-{expected[-1]:g}): resample first"
        )
    return spectra.values
