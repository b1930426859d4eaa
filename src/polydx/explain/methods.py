"""Every method by its name: what it explains in, and how it is carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from polydx.errors import ConfigError
from polydx.explain.asked import Asked
from polydx.explain.choice import NONE, Target, chosen_modality
from polydx.explain.shares import explain_shares, of_shares
from polydx.explain.spectral import Method, SpectralMap, explain_spectra, occlusion
from polydx.explain.store import Explanation
from polydx.explain.subjects import Subject
from polydx.explain.summary import of_spectra
from polydx.progress import Progress
from polydx.study import Images, Spectra, Table

MethodName: TypeAlias = Literal["occlusion", "integrated_gradients", "grad_cam", "shapley", "permutation", "modalities"]
MAPS: tuple[MethodName, ...] = ("occlusion", "integrated_gradients", "grad_cam")
ALL_CLASSES = "all classes"


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


def explain_by(asked: Asked, chosen: Sequence[Target], options: Options, progress: Progress) -> Explanation:
    """Return what a method finds.

    Args:
        asked: fits and their study.
        chosen: classes of one task.
        options: the method, and how.
        progress: told how far it is.

    Raises:
        ConfigError: the method does not go with the recipe or the options.
    """
    progress.begin("fits explained", asked.fits)

    def done(subject: Subject) -> None:
        progress.step("model" if subject.fold is None else f"seed {subject.seed}, fold {subject.fold}")

    if options.method in MAPS:
        return _maps(asked, chosen, options, progress, done)
    if options.sanity:
        raise ConfigError(f"--sanity compares maps, and `{options.method}` makes none: leave it out")
    return _shares(asked, chosen, options, done)


def _maps(
    asked: Asked, chosen: Sequence[Target], options: Options, progress: Progress, done: Callable[[Subject], None]
) -> Explanation:
    if _in_images(asked, options):
        return _images(asked, chosen, options, progress, done)
    modality = chosen_modality(asked.study, asked.modalities, options.modality, Spectra)
    method, one = _method(options), asked.sample is not None
    subjects: list[Subject] = []
    maps = explain_spectra(_kept(asked, options, subjects), method, modality, chosen, any_class=one, done=done)
    told = of_spectra(maps, {**_about(asked, chosen, options), "modality": modality, "kind": Spectra.kind})
    if options.sanity:
        for entry, found in zip(told.about["classes"], maps, strict=True):
            progress.say(f"sanity check of {found.target.label}")
            entry["sanity"] = _sanity(subjects, found, method, modality, one)
    return told


def _in_images(asked: Asked, options: Options) -> bool:
    """Tell whether the map is one of images: those asked for, or all that the recipe could be mapped in."""
    kinds = {name: asked.study.modalities[name].kind for name in asked.modalities}
    if options.modality in kinds:
        return kinds[options.modality] == Images.kind
    return Spectra.kind not in kinds.values() and Images.kind in kinds.values()


def _images(
    asked: Asked, chosen: Sequence[Target], options: Options, progress: Progress, done: Callable[[Subject], None]
) -> Explanation:
    from polydx.explain.pictorial import explain_images, occlusion_of_images, of_images

    modality = chosen_modality(asked.study, asked.modalities, options.modality, Images)
    if options.method == "integrated_gradients":
        raise ConfigError(f"`{options.method}` is for maps of spectra, and '{modality}' holds images: use grad_cam")
    if options.method == "grad_cam":
        from polydx.explain.gradients import grad_cam_of_images

        method = grad_cam_of_images(options.stage)
    else:
        method = occlusion_of_images()
    one, subjects = asked.sample is not None, list[Subject]()
    found = explain_images(_kept(asked, options, subjects), method, modality, chosen, any_class=one, done=done)
    about = _about(asked, chosen, options)
    used = {k: v for k, v in about["options"].items() if k != "window"}
    told = of_images(found, {**about, "options": used, "modality": modality, "kind": Images.kind})
    if options.sanity:
        from polydx.explain.sanity import sanity_of_images

        for entry, target in zip(told.about["classes"], dict.fromkeys(e.target for e in found), strict=True):
            progress.say(f"sanity check of {target.label}")
            first = next(e for e in found if e.target == target)
            own = _of_fit(subjects, first.seed, first.fold)
            entry["sanity"] = sanity_of_images(own, method, modality, target, any_class=one).to_json()
    return told


def _sanity(
    subjects: Sequence[Subject], found: SpectralMap, method: Method, modality: str, one: bool
) -> dict[str, object]:
    """Return the check of the first fit that explained the class."""
    from polydx.explain.sanity import sanity_of_spectra

    first = _of_fit(subjects, found.folds[0].seed, found.folds[0].fold)
    return sanity_of_spectra(first, method, modality, found.target, any_class=one).to_json()


def _kept(asked: Asked, options: Options, kept: list[Subject]) -> Iterator[Subject]:
    """Yield the fits; where there is to be a sanity check, keep them, and refuse what it cannot check at the start."""
    for subject in asked.subjects:
        if options.sanity:
            from polydx.explain.sanity import require_checkable

            require_checkable(subject)
            kept.append(subject)
        yield subject


def _of_fit(subjects: Sequence[Subject], seed: int | None, fold: int | None) -> Subject:
    return next(s for s in subjects if (s.seed, s.fold) == (seed, fold))


def _method(options: Options) -> Method:
    if options.method == "occlusion":
        return occlusion(options.window)
    from polydx.explain.gradients import grad_cam, integrated_gradients

    return integrated_gradients() if options.method == "integrated_gradients" else grad_cam(options.stage)


def _shares(asked: Asked, chosen: Sequence[Target], options: Options, done: Callable[[Subject], None]) -> Explanation:
    about = _about(asked, chosen, options)
    if options.method == "modalities":
        return _of_modalities(asked, chosen, about, done)
    from polydx.explain.tabular import shapley, table_of

    modality = chosen_modality(asked.study, asked.modalities, options.modality, Table)
    columns, about = [str(c) for c in table_of(asked.study, modality).frame.columns], {**about, "modality": modality}
    if options.method == "permutation":
        return _permutation(asked, chosen, modality, columns, {**about, "kind": Table.kind}, done)
    found = explain_shares(
        asked.subjects,
        shapley(modality),
        chosen,
        lambda study: study.present(modality),
        any_class=asked.sample is not None,
        done=done,
    )
    return of_shares(found, columns, {**about, "kind": Table.kind})


def _permutation(
    asked: Asked,
    chosen: Sequence[Target],
    modality: str,
    columns: Sequence[str],
    about: dict[str, Any],
    done: Callable[[Subject], None],
) -> Explanation:
    """Return the loss in nats of all classes together, and that of the AUROC of each chosen class."""
    from polydx.explain.permuted import REPEATS, auroc_drops, permute_columns

    task = chosen[0].task
    found = permute_columns(asked.subjects, modality, task, done=done)
    everyone = Target(task, -1, ALL_CLASSES, (), NONE)
    told = of_shares({everyone: [fold.losses() for fold in found]}, columns, {**about, "repeats": REPEATS})
    table, each = auroc_drops(found, asked.study.tasks[task], chosen, columns)
    return replace(told, about={**told.about, "auroc": each}, tables={**told.tables, "auroc": table})


def _of_modalities(
    asked: Asked, chosen: Sequence[Target], about: dict[str, Any], done: Callable[[Subject], None]
) -> Explanation:
    from polydx.explain.fused import shares_of_modalities

    names = asked.modalities
    found = explain_shares(
        asked.subjects,
        shares_of_modalities(names),
        chosen,
        lambda study: study.has_any(names),
        any_class=asked.sample is not None,
        done=done,
    )
    return of_shares(found, names, {**about, "modality": None, "kind": "modalities"})


def _about(asked: Asked, chosen: Sequence[Target], options: Options) -> dict[str, Any]:
    """Return what every explanation says of itself; of the options, those that the method has."""
    used = {"occlusion": {"window": options.window}, "grad_cam": {"stage": options.stage}}
    return {
        "recipe": asked.recipe, "method": options.method, "task": chosen[0].task, "study": asked.study.name,
        "simulated": asked.study.simulated, "sample": asked.sample, "of": "model" if asked.run is None else "run",
        "options": used.get(options.method, {}),
    }  # fmt: skip
