"""What a network takes: one tensor a modality, a channel for each pipeline, brought within a network's reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError, Problem
from polydx.preprocessing.image_pipeline import ImagePipeline, build_image_pipeline
from polydx.preprocessing.pipeline import SpectraPipeline, build_pipeline
from polydx.preprocessing.table_pipeline import TablePipeline, build_table_pipeline
from polydx.recipes.inputs import FittedInputs, check_present, fit_inputs
from polydx.recipes.pictures import shape_of_images
from polydx.recipes.protocol import State
from polydx.study import Images, RowIndex, Spectra, Study, Table

if TYPE_CHECKING:
    import torch

    from polydx.config import NetworkConfig, Step
    from polydx.models.bags import Bags
    from polydx.training.tensors import TensorSet

ChannelSteps: TypeAlias = "Mapping[str, Sequence[Sequence[Step]]]"
"""modality -> pipelines, one a channel -> steps."""


@dataclass(frozen=True)
class Scale:
    """One mean and standard deviation a channel, of all training values: keeps raw counts within a network's reach.

    Attributes:
        mean: of all values.
        sd: of all values, 1 where they are constant.
    """

    mean: float
    sd: float

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return (values - mean) / sd as float32."""
        return ((values - self.mean) / self.sd).astype(np.float32)


AS_IT_IS = Scale(0.0, 1.0)


@dataclass(frozen=True)
class NetworkInputs:
    """Fitted preprocessing and scales of a network.

    Attributes:
        channels: one preprocessing a channel, over all modalities that have so many.
        scales: modality -> scale of each channel.
        by_sample: whether the network takes samples, of several modalities or with pooled rows, in place of rows.
    """

    channels: tuple[FittedInputs, ...]
    scales: dict[str, list[Scale]]
    by_sample: bool = False

    @property
    def axes(self) -> dict[str, NDArray[np.float64] | None]:
        """Modality -> axis of what enters the network; None where there are no wavenumbers."""
        return {
            name: pipeline.axis_out if isinstance(pipeline, SpectraPipeline) else None
            for name, pipeline in self.channels[0].pipelines.items()
        }

    @property
    def known(self) -> dict[str, NDArray[np.float64] | None]:
        """Modality -> what an augmentation is told of it: the axis of spectra, the levels of images.

        The levels are (2, C): what black and white are in each channel that enters the network.
        """
        return {name: self._levels(name) if name in self._images else axis for name, axis in self.axes.items()}

    @property
    def fields(self) -> dict[str, list[list[int]]]:
        """Modality that is a table -> [start, stop] of the columns that stand for each value."""
        tables = {n: p for n, p in self.channels[0].pipelines.items() if isinstance(p, TablePipeline)}
        return {name: fields_of(pipeline) for name, pipeline in tables.items()}

    def notes(self) -> list[str]:
        """Return what the fit of the preprocessing left out, one sentence each."""
        return list(dict.fromkeys(note for part in self.channels for note in part.notes()))

    @property
    def _images(self) -> list[str]:
        return [n for n, pipeline in self.channels[0].pipelines.items() if isinstance(pipeline, ImagePipeline)]

    def _levels(self, name: str) -> NDArray[np.float64]:
        pipelines = [part.pipelines[name] for part in self.channels if name in part.pipelines]
        levels = [pipeline.levels() for pipeline in pipelines if isinstance(pipeline, ImagePipeline)]
        return np.hstack([found for found in levels if found is not None])

    def tensors(self, study: Study) -> tuple[dict[str, torch.Tensor | Bags], RowIndex]:
        """Return what the network takes of a study, and which sample each of its rows is of.

        Modality -> (n, C, L), (n, C, H, W) or (n, D), rows in the order of the samples; by sample, bags of such rows,
        and then a sample is one row. A modality of which the study has no row is left out.

        Raises:
            AxisError: the study is on another axis than the training rows.
            ImageError: images end in another shape than those of the training rows.
            StudyError: a sample has none of the modalities.
        """
        import torch

        from polydx.models.bags import Bags

        tensors = {name: torch.from_numpy(values) for name, values in self.arrays(study).items()}
        if self.by_sample:
            bags = {name: Bags(x, torch.from_numpy(study.rows[name].starts)) for name, x in tensors.items()}
            return {**bags}, RowIndex.one_each(len(study))
        starts = study.rows[next(iter(self.scales))].starts
        return {**tensors}, RowIndex(starts, np.arange(starts[-1]))

    def arrays(self, study: Study) -> dict[str, NDArray[np.float32]]:
        """Return modality -> (n, C, L), (n, C, H, W) or (n, D), rows in the order of the samples.

        Errors are those of `tensors`, which gives the same to torch.
        """
        check_present(study, list(self.scales))
        return {name: self._joined(name, listed) for name, listed in instances(self.channels, study).items()}

    def _joined(self, name: str, listed: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Return the pipelines of a modality as channels of one array; images may bring several channels each."""
        if name in self._images:
            return np.concatenate(listed, axis=1) if len(listed) > 1 else listed[0]
        if isinstance(self.channels[0].pipelines[name], TablePipeline):
            return listed[0].astype(np.float32)
        return np.stack([scale(values) for scale, values in zip(self.scales[name], listed, strict=True)], axis=1)

    def state(self) -> State:
        """Return pipelines and scales as data; a single channel is written without its number."""
        config: dict[str, Any] = {}
        arrays: dict[str, NDArray[Any]] = {}
        for number, part in enumerate(self.channels):
            described, found = part.state()
            at = "" if number == 0 else f"channel{number}/"
            config |= {f"{at}{name}": pipeline for name, pipeline in described.items()}
            arrays |= {f"{at}{key}": value for key, value in found.items()}
        scales = {n: [[s.mean, s.sd] for s in listed] for n, listed in self.scales.items()}
        flat = {n: listed[0] if len(listed) == 1 else listed for n, listed in scales.items()}
        return {"inputs": config, "scales": flat, "by_sample": self.by_sample}, arrays

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> NetworkInputs:
        """Rebuild what `state` returned."""
        nested = {n: found if isinstance(found[0], list) else [found] for n, found in config["scales"].items()}
        parts = []
        for number in range(max(map(len, nested.values()))):
            at = "" if number == 0 else f"channel{number}/"
            own = {n: config["inputs"][f"{at}{n}"] for n, listed in nested.items() if len(listed) > number}
            found = {k.removeprefix(at): v for k, v in arrays.items() if k.startswith(at)}
            parts.append(FittedInputs.from_state(own, found))
        scales = {n: [Scale(*pair) for pair in listed] for n, listed in nested.items()}
        return cls(tuple(parts), scales, config.get("by_sample", False))


def fit_network_inputs(
    study: Study, steps: ChannelSteps, scales: Mapping[str, Sequence[Scale]] | None = None, *, by_sample: bool = False
) -> NetworkInputs:
    """Fit every pipeline on all rows of the study, and its scale on what comes out.

    Args:
        study: training rows.
        steps: modality -> pipelines.
        scales: modality -> scales to keep instead, those that loaded weights were trained at.
        by_sample: whether the network takes samples in place of rows, as it does of several modalities.

    Raises:
        StudyError: a modality has no row to fit on.
    """
    most = max(map(len, steps.values()))
    parts = tuple(
        fit_inputs(study, {name: listed[i] for name, listed in steps.items() if len(listed) > i}) for i in range(most)
    )
    kept = dict(scales or {})
    # Images are on one scale already, and reading them twice takes its time; tables have a step for theirs.
    kept |= {n: [AS_IT_IS] * len(steps[n]) for n in steps if not isinstance(study.modalities[n], Spectra)}
    spectra = tuple(FittedInputs({n: p for n, p in part.pipelines.items() if n not in kept}) for part in parts)
    arrays = instances(spectra, study)
    fitted = kept | {name: [_scale_of(values) for values in listed] for name, listed in arrays.items()}
    return NetworkInputs(parts, {name: list(fitted[name]) for name in steps}, by_sample)


def _scale_of(values: NDArray[np.float64]) -> Scale:
    return Scale(float(values.mean()), float(values.std()) or 1.0)


def takes_samples(config: NetworkConfig) -> bool:
    """Tell whether a network takes samples (of several modalities, or with pooled rows) in place of rows."""
    return len(config.backbones) > 1 or bool(config.bags)


def instances(channels: Sequence[FittedInputs], study: Study) -> dict[str, list[NDArray[Any]]]:
    """Return modality -> one array (n, L) or (n, C, H, W) a pipeline, rows in the order of the samples.

    Modalities of which the study has no row are left out.
    """
    there = [n for n in channels[0].pipelines if n in study.modalities and len(study.modalities[n])]
    parts = [FittedInputs({n: part.pipelines[n] for n in there if n in part.pipelines}) for part in channels]
    rows = [part.rows(study) for part in parts]
    return {name: [_ordered(part[name], study.rows[name]) for part in rows if name in part] for name in there}


def _ordered(values: NDArray[Any], index: RowIndex) -> NDArray[Any]:
    """Return the rows in the order of the samples; as they are, without a copy, where that is their own order."""
    return values if np.array_equal(index.rows, np.arange(len(values))) else values[index.rows]


def tensor_rows(study: Study, tensors: Mapping[str, torch.Tensor | Bags], index: RowIndex) -> TensorSet:
    """Return the rows to train on, with the labels and the patient of the sample each belongs to."""
    import torch

    from polydx.training.tensors import TensorSet

    owner = index.sample_of_row
    labels = {name: torch.from_numpy(study.label_codes(name)[owner]) for name in study.tasks}
    patients = np.unique(study.patient_codes[0][owner], return_inverse=True)[1]
    return TensorSet(tensors, labels, torch.from_numpy(patients))


def channel_steps(config: NetworkConfig, onto: Mapping[str, NDArray[np.float64]] | None = None) -> ChannelSteps:
    """Return the pipelines of every modality.

    Args:
        config: of the recipe.
        onto: modality -> axis that its spectra are resampled onto before the first step.
    """
    from polydx.config import Channels, Step

    found = {}
    for name in config.backbones:
        own = config.preprocessing.get(name, [])
        listed = own.channels if isinstance(own, Channels) else [own]
        before = (
            [] if name not in (onto or {}) else [Step(name="resample", params={"onto": (onto or {})[name].tolist()})]
        )
        found[name] = [[*before, *steps] for steps in listed]
    return found


def channel_pipelines(steps: Sequence[Sequence[Step]], axis: NDArray[np.float64], where: str) -> list[SpectraPipeline]:
    """Return the unfitted pipelines of one modality of spectra.

    Raises:
        ConfigError: they end on different axes, or with different numbers of columns.
    """
    built = [build_pipeline(listed, axis) for listed in steps]
    lengths = [columns_out(pipeline, len(axis)) for pipeline in built]
    for i, pipeline in enumerate(built[1:], start=1):
        if lengths[i] != lengths[0]:
            what = f"channel 0 has {lengths[0]} points, channel {i} {lengths[i]}; channels need the same"
            raise ConfigError("channels of different lengths", [Problem(where, what)])
        one, other = built[0].axis_out, pipeline.axis_out
        if one is not None and other is not None and not np.array_equal(one, other):
            what = f"channels 0 and {i} end on different axes; crop or resample both alike"
            raise ConfigError("channels on different axes", [Problem(where, what)])
    return built


def axes_after(
    steps: ChannelSteps, axes: Mapping[str, NDArray[np.float64] | None]
) -> dict[str, NDArray[np.float64] | None]:
    """Return modality -> axis that its pipelines leave of the spectra's own; None where there is none."""
    return {n: None if (a := axes[n]) is None else channel_pipelines(steps[n], a, n)[0].axis_out for n in steps}


def network_shape(study: Study, name: str, steps: Sequence[Sequence[Step]], where: str) -> tuple[int, ...]:
    """Return (C, L) of spectra, (C, H, W) of images, or (D,) of a table, as these pipelines give them to a network.

    Raises:
        ConfigError: pipelines that do not go together, images that become features, or channels of a table.
    """
    if isinstance(study.modalities[name], Table):
        return (trial_table(study, name, steps, where).width,)
    if not isinstance(study.modalities[name], Images):
        axis = study.spectra(name).axis
        pipelines = channel_pipelines(steps, axis, where)
        return (len(pipelines), columns_out(pipelines[0], len(axis)))
    shapes = [shape_of_images(study, name, build_image_pipeline(listed)) for listed in steps]
    if any(len(shape) == 1 for shape in shapes):
        what = "the last step leaves features, no images: a network takes images, a classical model features"
        raise ConfigError("a network cannot take features of images", [Problem(where, what)])
    other = next((i for i, shape in enumerate(shapes) if shape[1:] != shapes[0][1:]), 0)
    if other:
        sizes = [f"{shapes[i][1]} x {shapes[i][2]}" for i in (0, other)]
        what = f"channel 0 has {sizes[0]} pixels, channel {other} {sizes[1]}; channels need the same"
        raise ConfigError("channels of different sizes", [Problem(where, what)])
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])


def trial_table(study: Study, name: str, steps: Sequence[Sequence[Step]], where: str) -> TablePipeline:
    """Return the pipeline of a table, fitted on all rows of a study, to know what will come out.

    Raises:
        ConfigError: the table has channels.
    """
    table = study.modalities[name]
    if len(steps) != 1 or not isinstance(table, Table):
        what = "a table has one list of steps; `channels` are for spectra and images"
        raise ConfigError("channels of a table", [Problem(where, what)])
    return build_table_pipeline(steps[0]).fit(table.frame)


def fields_of(pipeline: TablePipeline) -> list[list[int]]:
    """Return [start, stop] of the columns that stand for each value of a table."""
    return [[found.start, found.stop] for found in pipeline.fields]


def columns_out(pipeline: SpectraPipeline, points: int) -> int:
    """Return how many columns leave an unfitted pipeline, also where they are no wavenumbers (PCA, selection)."""
    if pipeline.axis_out is not None:
        return len(pipeline.axis_out)
    for _, step in reversed(pipeline.steps):
        for key in ("components", "k"):
            if isinstance(found := step.get_params().get(key), int):
                return found
    return points
