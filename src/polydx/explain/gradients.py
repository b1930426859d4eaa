"""Gradient methods on networks: integrated gradients and Grad-CAM, by our own short loops.

They hold the other modalities of a sample fixed and need memory for one batch; tests compare them with Captum.
What they explain is the log-odds of the class as a function of what enters the network, after preprocessing.

Shapes: `n` inputs, `N` samples, `L` points of the study's axis, `L'` points that enter the network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from polydx.errors import ConfigError
from polydx.explain.choice import Target, reference_samples
from polydx.explain.networks import Rows, gradient, network_of, rows_into
from polydx.explain.pictorial import ImageMethod
from polydx.explain.spectral import Method
from polydx.explain.subjects import Subject
from polydx.recipes.network_fitted import FittedNetwork
from polydx.study import Study
from polydx.training.threads import limited_threads

Floats = NDArray[np.float64]
STEPS = 32
WIDEST_CELL = 20.0
"""In cm^-1, about as wide as a band: Grad-CAM on wider cells cannot tell one band from the next."""
LEAST_CELLS = 7
"""As many as the last stage of a ResNet has of 224 pixels, on which Grad-CAM was published."""
PROBES, PROBED, ON_A_LINE = 8, 12, 0.98


def integrated_gradients(steps: int = STEPS) -> Method:
    """Return integrated gradients from the mean input of the reference class, summed over channels.

    The values of a sample add up to its log-odds less those of the baseline, up to the error of the sum.

    Args:
        steps: points of the Gauss-Legendre sum along the straight path from the baseline to the sample.

    Reference: Sundararajan, Taly & Yan (2017), ICML, 3319-3328.
    """
    points, weights = np.polynomial.legendre.leggauss(steps)

    def explained(subject: Subject, study: Study, modality: str, target: Target) -> Floats:
        network = network_of(subject.fitted, "integrated_gradients")
        rows = rows_into(network, study, modality)
        baseline = reference_input(network, subject.train, modality, target)
        found = []
        with limited_threads(network.threads):
            for part in rows.parts():
                difference = part.values - baseline

                def score(x: Tensor, part: Rows = part) -> Tensor:
                    return part.score(x, target.task, target.code)

                total = torch.zeros_like(difference)
                for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
                    total += weight * gradient(score, baseline + point * difference)
                found.append((total * difference).sum(dim=1))  # (B, L')
        return rows.by_sample(on_study_axis(network, study, modality, torch.cat(found)))

    return explained


def grad_cam(stage: str | None = None) -> Method:
    """Return Grad-CAM at a stage of the modality's backbone: where it is positive, a place speaks for the class.

    Activations are taken less their mean over the reference patients, as the other methods hold a class against a
    reference: a band that both have alike counts for nothing. Each cell has its own weights, as in HiResCAM, for what a
    channel means differs along a spectrum. Without a reference it is Grad-CAM as published, with their mean.

    Args:
        stage: name of the stage; if not given, the last whose cells are no wider than `WIDEST_CELL`. The later the
            stage, the wider a cell.

    Reference: Selvaraju et al. (2017), ICCV, 618-626; Draelos & Carin (2020), arXiv:2011.08891.
    """

    def explained(subject: Subject, study: Study, modality: str, target: Target) -> Floats:
        network = network_of(subject.fitted, "grad_cam")
        rows = rows_into(network, study, modality)
        cut = stage or finest(rows, float(np.median(np.diff(network_axis(network, modality)))))
        cells = cam_cells(rows, subject.train, target, cut)  # (n, l)
        centres, points = cell_centres(rows, cut), np.arange(rows.values.shape[-1])
        wide = np.array([np.interp(points, centres, row) for row in cells.double().numpy()])
        return rows.by_sample(on_study_axis(network, study, modality, torch.from_numpy(wide)))

    return explained


def grad_cam_of_images(stage: str | None = None) -> ImageMethod:
    """Return Grad-CAM at a stage of the backbone, on the image as it enters the network.

    Args:
        stage: name of the stage; if not given, the last with a map of `LEAST_CELLS` cells on its shorter side. The last
            stages make one cell of a small image, which cannot tell one place from another.
    """

    def explained(subject: Subject, study: Study, modality: str, target: Target) -> tuple[Floats, NDArray[Any]]:
        network = network_of(subject.fitted, "grad_cam")
        rows = rows_into(network, study, modality)
        cut = stage or finest_of_images(rows)
        # Images of different patients do not lie on top of each other: nothing is taken off the activations.
        cells = cam_cells(rows, subject.train, replace(target, reference=()), cut)[:1]  # (1, h, w)
        wide = functional.interpolate(cells[:, None], size=rows.values.shape[2:], mode="bilinear")
        levels = network.inputs.known[modality]
        picture = rows.values[0].double().numpy()  # (C, H, W)
        if levels is not None:
            picture = (picture - levels[0][:, None, None]) / (levels[1] - levels[0])[:, None, None]
        return wide[0, 0].double().numpy(), (255 * picture.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)

    return explained


def finest(rows: Rows, spacing: float) -> str:
    """Return the last stage whose cells are no wider than `WIDEST_CELL`, the first if all are."""
    one = rows.values[:1]
    stages = rows.fitted.network.backbone(rows.modality).stages
    with torch.no_grad():
        cells = [rows.maps(name, one).shape[-1] for name in stages]
    extent = one.shape[-1] * spacing
    return next((n for n, c in zip(stages[::-1], cells[::-1], strict=True) if extent / c <= WIDEST_CELL), stages[0])


def finest_of_images(rows: Rows) -> str:
    """Return the last stage whose map has `LEAST_CELLS` cells on its shorter side, else that of most cells."""
    one, stages = rows.values[:1], rows.fitted.network.backbone(rows.modality).stages
    with torch.no_grad():
        shapes = {name: rows.maps(name, one).shape[2:] for name in stages}
    cells = {name: min(shape) for name, shape in shapes.items() if len(shape) == 2}
    enough = [name for name, count in cells.items() if count >= LEAST_CELLS]
    return enough[-1] if enough else max(cells, key=cells.__getitem__, default=stages[-1])


def cam_cells(rows: Rows, train: Study, target: Target, stage: str) -> Tensor:
    """Return (n, l) or (n, h, w) Grad-CAM on the cells of a stage's map.

    Raises:
        ConfigError: the backbone has no such stage.
    """
    found = []
    with limited_threads(rows.fitted.threads):
        base = reference_activations(rows, train, target, stage) if target.reference else 0.0
        for part in rows.parts():
            with torch.no_grad():
                activations = part.maps(stage, part.values)

            def score(x: Tensor, part: Rows = part) -> Tensor:
                return part.score(x, target.task, target.code, stage)

            slopes = gradient(score, activations)
            if not target.reference:
                slopes = slopes.flatten(2).mean(dim=2).reshape(*slopes.shape[:2], *[1] * (slopes.ndim - 2))
            found.append((slopes * (activations - base)).sum(dim=1).clamp(min=0))
    return torch.cat(found)


def cell_centres(rows: Rows, stage: str) -> Floats:
    """Return (l,) which point of the input each cell of a stage's map looks at, by its effective receptive field.

    Strided layers with padding on both sides shift the cells towards the start, by up to half a cell: the places are
    a straight line through the centres of the squared gradients of some cells. Where these do not lie on a line (a cell
    looks at everything), the cells are spread evenly.

    Reference: Luo et al. (2016), NeurIPS 29, 4898-4906 (effective receptive field).
    """
    x = rows.values[:PROBES]
    with torch.no_grad():
        cells = rows.maps(stage, x).shape[-1]
    even = (np.arange(cells) + 0.5) * x.shape[-1] / cells - 0.5
    tried = np.unique(np.linspace(0.1 * cells, 0.9 * cells - 1, PROBED).round().astype(int).clip(0, cells - 1))
    found = []
    for cell in tried:

        def looked(x: Tensor, cell: int = cell) -> Tensor:
            return rows.maps(stage, x)[..., cell].flatten(1).sum(dim=1)

        energy = gradient(looked, x).square().sum(dim=(0, 1)).double().numpy()
        found.append((energy * np.arange(len(energy))).sum() / max(energy.sum(), 1e-30))
    if len(tried) < 3 or np.ptp(found) == 0 or np.corrcoef(tried, found)[0, 1] < ON_A_LINE:
        return np.asarray(even)
    slope, start = np.polyfit(tried, found, 1)
    return np.asarray(start + slope * np.arange(cells))


def reference_activations(rows: Rows, train: Study, target: Target, stage: str) -> Tensor:
    """Return the mean map of the reference patients at a stage, (D, l) or (D, h, w), each counting once."""
    own = reference_samples(train, rows.modality, target)
    theirs = rows_into(rows.fitted, own, rows.modality)
    with torch.no_grad():
        found = torch.cat([part.maps(stage, part.values) for part in theirs.parts()])
    return patient_mean(found, own.patient_codes[0][theirs.owner.sample_of_row])


def reference_input(network: FittedNetwork, train: Study, modality: str, target: Target) -> Tensor:
    """Return (C, L') the mean input of the reference patients, each counting once.

    Raises:
        ConfigError: the class is held against nothing.
    """
    if not target.reference:
        raise ConfigError("`integrated_gradients` starts from a reference: name a class, or leave --reference out")
    own = reference_samples(train, modality, target)
    rows = rows_into(network, own, modality)
    return patient_mean(rows.values, own.patient_codes[0][rows.owner.sample_of_row])


def patient_mean(rows: Tensor, patients: NDArray[np.int64]) -> Tensor:
    """Return the mean over patients of the mean of their rows."""
    return torch.stack([rows[torch.from_numpy(patients == p)].mean(dim=0) for p in np.unique(patients)]).mean(dim=0)


def network_axis(network: FittedNetwork, modality: str) -> Floats:
    """Return (L',) the axis of what enters the network.

    Raises:
        ConfigError: what enters it is on no axis.
    """
    own = network.inputs.axes[modality]
    if own is None:
        raise ConfigError(
            f"what enters the network of '{modality}' is on no wavenumber axis (after `pca` or a selection): "
            "use `occlusion`, which works on the spectra as they were measured"
        )
    return own


def on_study_axis(network: FittedNetwork, study: Study, modality: str, values: Tensor) -> Floats:
    """Return maps (n, L') of what enters the network on the study's axis (n, L); NaN where the network sees nothing.

    Steps that keep the axis (derivatives, norms, baselines) leave each value at its wavenumber; after `crop` and
    `resample` it is interpolated between the points that enter the network.
    """
    axis, own = study.spectra(modality).axis, network_axis(network, modality)
    found = values.double().numpy()
    if np.array_equal(axis, own):
        return np.asarray(found)
    return np.array([np.interp(axis, own, row, left=np.nan, right=np.nan) for row in found])
