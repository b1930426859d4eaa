"""From a study's modalities to the arrays a model takes: preprocessing fitted on training rows, bags pooled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.config import Step
from polydx.errors import AxisError, ConfigError, ImageError, Problem, ReadError, counted
from polydx.preprocessing.image_pipeline import ImagePipeline, build_image_pipeline
from polydx.preprocessing.pipeline import SpectraPipeline, build_pipeline
from polydx.recipes.pictures import fit_images, shape_of_images, transformed_images
from polydx.recipes.protocol import State
from polydx.study import Images, RowIndex, Spectra, Study, Table

StepsByModality = Mapping[str, Sequence[Step]]
Pipeline: TypeAlias = SpectraPipeline | ImagePipeline


@dataclass(frozen=True)
class FittedInputs:
    """Fitted preprocessing, one pipeline a modality.

    Attributes:
        pipelines: modality -> pipeline fitted on training rows.
    """

    pipelines: dict[str, Pipeline]

    def rows(self, study: Study) -> dict[str, NDArray[Any]]:
        """Return modality -> preprocessed rows, one for each row of the modality.

        Spectra give (n, D) float64; images (n, C, H, W) float32, or (n, D) where a step makes features of them.

        Raises:
            AxisError: the study's axis is not the one the pipeline was fitted on.
            ImageError: images end in another shape than those the pipeline was fitted on.
        """
        return {name: _transformed(study, name, pipeline) for name, pipeline in self.pipelines.items()}

    def features(self, study: Study) -> NDArray[np.float64]:
        """Return (N, D): each sample's rows averaged, modalities side by side; pixels stand one after the other."""
        rows = {name: values.reshape(len(values), -1) for name, values in self.rows(study).items()}
        pooled = [pool_mean(values, study.rows[name]) for name, values in rows.items()]
        return np.hstack(pooled).astype(np.float64, copy=False)

    def state(self) -> State:
        """Return the pipelines as data."""
        config: dict[str, Any] = {}
        arrays: dict[str, NDArray[Any]] = {}
        for name, pipeline in self.pipelines.items():
            config[name], found = pipeline.to_state()
            arrays |= {f"{name}/{key}": value for key, value in found.items()}
        return config, arrays

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedInputs:
        """Rebuild what `state` returned."""
        pipelines: dict[str, Pipeline] = {}
        for name, part in config.items():
            kind = ImagePipeline if part.get("kind") == Images.kind else SpectraPipeline
            own = {k.removeprefix(f"{name}/"): v for k, v in arrays.items() if k.startswith(f"{name}/")}
            pipelines[name] = kind.from_state(part, own)
        return cls(pipelines)


def fit_inputs(study: Study, steps: StepsByModality, codes: NDArray[np.int64] | None = None) -> FittedInputs:
    """Fit one pipeline a modality on all rows of the study.

    Args:
        study: training rows.
        steps: modality -> steps.
        codes: (N,) class codes for steps that look at labels; rows of unlabelled samples do not enter those.
    """
    pipelines: dict[str, Pipeline] = {}
    for name, listed in steps.items():
        if isinstance(study.modalities.get(name), Images):
            pipelines[name] = fit_images(study, name, listed)
            continue
        spectra = study.spectra(name)
        pipeline = build_pipeline(listed, spectra.axis)
        if codes is None:
            pipeline.fit(spectra.values)
        else:
            index = study.rows[name]
            labels = codes[index.sample_of_row]
            pipeline.fit(spectra.values[index.rows][labels >= 0], labels[labels >= 0])
        pipelines[name] = pipeline
    return FittedInputs(pipelines)


def pool_mean(values: NDArray[np.float64], index: RowIndex) -> NDArray[np.float64]:
    """Average the rows of each sample: (n, D) -> (N, D); a single row is passed through unchanged."""
    if len(index.rows) == len(index) and (index.counts == 1).all():
        return values[index.rows]
    sums = np.add.reduceat(values[index.rows], index.starts[:-1], axis=0)
    return np.asarray(sums / index.counts[:, None])


def input_problems(study: Study, steps: StepsByModality, where: str, *, gaps: bool = False) -> list[Problem]:
    """Return what keeps these steps from being used on this study: unknown modality, gaps, wrong step or option.

    With `gaps`, samples may lack a modality.
    """
    found = []
    for name, listed in steps.items():
        at = f"{where}.preprocessing.{name}"
        if name not in study.modalities:
            found.append(Problem(at, f"the study has no modality '{name}'; it has {', '.join(study.modalities)}"))
            continue
        modality = study.modalities[name]
        if isinstance(modality, Table):
            found.append(Problem(at, f"'{name}' holds a table; spectra and images can be preprocessed so far"))
            continue
        lacking = study.ids[~study.present(name)]
        if len(lacking) and not gaps:
            told = ", ".join(map(str, lacking[:3])) + (", ..." if len(lacking) > 3 else "")
            what = f"{counted(len(lacking), 'sample')} without '{name}'; this recipe needs it for all: "
            found.append(Problem(at, f"{what}{told}: fill in the file, or delete the row"))
        found += _pipeline_problems(study, name, modality, listed, at)
    return found


def _pipeline_problems(
    study: Study, name: str, modality: Spectra | Images, listed: Sequence[Step], at: str
) -> list[Problem]:
    try:
        if isinstance(modality, Spectra):
            build_pipeline(listed, modality.axis)
        elif len(modality):
            shape_of_images(study, name, build_image_pipeline(listed))
    except ConfigError as error:
        named = [Problem(f"{at}.{p.where}", p.what) for p in error.problems]
        return list(dict.fromkeys(named or [Problem(at, error.message)]))
    except (AxisError, ImageError, ReadError) as error:
        return [Problem(at, str(error))]
    return []


def spectral_modalities(study: Study) -> list[str]:
    """Return the names of the modalities that hold spectra."""
    return [name for name, modality in study.modalities.items() if isinstance(modality, Spectra)]


def study_axes(study: Study, names: Iterable[str]) -> dict[str, NDArray[np.float64] | None]:
    """Return modality -> axis of its spectra; None for images, which have none."""
    return {
        name: None if isinstance(study.modalities.get(name), Images) else study.spectra(name).axis for name in names
    }


def _transformed(study: Study, name: str, pipeline: Pipeline) -> NDArray[Any]:
    if isinstance(pipeline, ImagePipeline):
        return transformed_images(study, name, pipeline)
    return pipeline.transform(_values(study, name, pipeline))


def _values(study: Study, name: str, pipeline: SpectraPipeline) -> NDArray[Any]:
    spectra, expected = study.spectra(name), pipeline.input_axis
    if expected is not None and not np.array_equal(spectra.axis, expected):
        raise AxisError(
            f"'{name}' of study '{study.name}' is on another axis than the model "
            f"({len(spectra.axis)} points {spectra.axis[0]:g}-{spectra.axis[-1]:g} cm^-1, expected "
            f"{len(expected)} points {expected[0]:g}-{expected[-1]:g}): resample first"
        )
    return spectra.values
