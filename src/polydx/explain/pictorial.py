"""Maps over images: some test patients of each class, each with the image they were seen in.

Images of different patients do not lie on top of each other, so there is no mean map: examples are shown.

Shapes: `H, W` height and width of an image, `h, w` of a stage's map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.errors import ConfigError, StudyError
from polydx.explain.agnostic import log_odds, occlude_patches
from polydx.explain.choice import Target
from polydx.explain.store import Explanation
from polydx.explain.subjects import Subject
from polydx.explain.tabular import with_modality
from polydx.io.decoded import decoded
from polydx.study import Images, Study

Floats: TypeAlias = NDArray[np.float64]
Pixels: TypeAlias = NDArray[Any]
ImageMethod: TypeAlias = Callable[[Subject, Study, str, Target], tuple[Floats, Pixels]]
"""A subject, one sample, a modality and a class -> (H, W) map and the (H, W) or (H, W, 3) image it lies on."""

MOST = 6
"""Patients of a class that are shown."""


@dataclass(frozen=True)
class Example:
    """One image and its map.

    Attributes:
        target: the class explained.
        seed: of the run; None for a model.
        fold: of the run; None for a model.
        sample: id.
        patient: id.
        probability: of the class.
        heat: (H, W), positive where a place speaks for the class.
        picture: (H, W) or (H, W, 3), 0 to 255.
    """

    target: Target
    seed: int | None
    fold: int | None
    sample: str
    patient: str
    probability: float
    heat: Floats
    picture: NDArray[np.uint8]


def explain_images(
    subjects: Iterable[Subject],
    method: ImageMethod,
    modality: str,
    chosen: Sequence[Target],
    *,
    any_class: bool = False,
    most: int = MOST,
    done: Callable[[Subject], None] | None = None,
) -> list[Example]:
    """Return examples of each class: the first image of the first patients, each by the fit that did not see them.

    Args:
        subjects: fits with the samples each tested.
        method: makes the maps.
        modality: of images.
        chosen: classes to explain.
        any_class: explain a sample whatever its label.
        most: patients of a class.
        done: called after each fit.

    Raises:
        StudyError: no sample of a class.
    """
    found: list[Example] = []
    for subject in subjects:
        for target in chosen:
            for position in _first_of_patients(subject.test, modality, target, any_class):
                seen = {e.patient for e in found if e.target == target}
                if len(seen) < most and str(subject.test.patients[position]) not in seen:
                    found.append(_example(subject, position, method, modality, target))
        if done is not None:
            done(subject)
        if all(sum(e.target == target for e in found) >= most for target in chosen):
            break  # weights of further folds would be read in vain
    empty = [t.label for t in chosen if all(e.target != t for e in found)]
    if empty:
        raise StudyError(f"no sample of class {', '.join(empty)} of task '{chosen[0].task}' to explain")
    return found


def occlusion_of_images() -> ImageMethod:
    """Return occlusion of patches, for any recipe, on the image as it was read."""

    def explained(subject: Subject, study: Study, modality: str, target: Target) -> tuple[Floats, Pixels]:
        image = decoded(study.images(modality).take(study.rows[modality][0][:1]))[0]
        with TemporaryDirectory() as folder:

            def score(images: Sequence[Pixels]) -> Floats:
                paths = tuple(_written(Path(folder) / f"{i:04d}", pixels) for i, pixels in enumerate(images))
                asked = with_modality(study, 0, modality, Images(paths))
                told = subject.fitted.predict_proba(asked)[target.task][:, target.code]
                for path in paths:
                    path.unlink()
                return log_odds(told)

            return occlude_patches(score, image), image

    return explained


def _written(path: Path, pixels: Pixels) -> Path:
    """Write an image without loss.

    Raises:
        ConfigError: colours of more than eight bits.
    """
    from PIL import Image

    if pixels.dtype == np.uint8 or (pixels.dtype == np.uint16 and pixels.ndim == 2):
        path = path.with_suffix(".png")
        Image.fromarray(pixels).save(path, compress_level=0)
        return path
    if pixels.ndim == 2:
        path = path.with_suffix(".tiff")
        Image.fromarray(pixels.astype(np.float32)).save(path)
        return path
    raise ConfigError("`occlusion` of images in colour needs eight bits a channel: convert them first")


def _first_of_patients(study: Study, modality: str, target: Target, any_class: bool) -> list[int]:
    wanted = study.present(modality)
    if not any_class:
        wanted = wanted & (study.label_codes(target.task) == target.code)
    places = pd.Series(np.flatnonzero(wanted))
    return [int(i) for i in places.groupby(study.patients[places].astype(str), sort=True).first()]


def _example(subject: Subject, position: int, method: ImageMethod, modality: str, target: Target) -> Example:
    one = subject.test.take(np.array([position]))
    heat, picture = method(subject, one, modality, target)
    told = float(subject.fitted.predict_proba(one)[target.task][0, target.code])
    return Example(
        target, subject.seed, subject.fold, str(one.ids[0]), str(one.patients[0]), told, heat, shown(picture)
    )


def shown(picture: Pixels) -> NDArray[np.uint8]:
    """Return an image as a screen shows it: (H, W) or (H, W, 3), eight bits, other values spread from least to most."""
    if picture.ndim == 3 and picture.shape[2] != 3:
        picture = picture[..., :3] if picture.shape[2] > 3 else picture[..., 0]
    if picture.dtype == np.uint8:
        return picture
    low, high = float(picture.min()), float(picture.max())
    return np.asarray(255 * (picture - low) / max(high - low, 1e-12)).astype(np.uint8)


def of_images(found: Sequence[Example], about: Mapping[str, Any]) -> Explanation:
    """Return examples as a table, with their images and maps."""
    rows = [
        {
            "task": e.target.task, "class": e.target.label, "seed": e.seed, "fold": e.fold, "sample": e.sample,
            "patient": e.patient, "probability": e.probability, "number": number,
        }
        for number, e in enumerate(found)
    ]  # fmt: skip
    arrays: dict[str, NDArray[Any]] = {f"heat-{n}": e.heat.astype(np.float32) for n, e in enumerate(found)}
    arrays |= {f"picture-{n}": e.picture for n, e in enumerate(found)}
    classes = []
    for target in dict.fromkeys(e.target for e in found):
        own = [e for e in found if e.target == target]
        entry = {"class": target.label, "against": "none", "patients": len(own)}
        classes.append({**entry, "fits": len({(e.seed, e.fold) for e in own}), "correlation_of_folds": None})
    told = {
        **about,
        "patients": len({e.patient for e in found}),
        "fits": len({(e.seed, e.fold) for e in found}),
        "classes": classes,
    }
    return Explanation(told, {"examples": pd.DataFrame(rows)}, None, arrays)
