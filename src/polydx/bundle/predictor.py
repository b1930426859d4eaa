"""A bundle at work: read it once, ask it often. numpy and onnxruntime; no torch, no scikit-learn.

Loading needs neither pandas nor the readers of files: they come with the first question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from polydx.bundle.graphs import GraphReader
from polydx.errors import BundleError, ConfigError, PolydxError, Problem, ReadError, SpectrumError, counted
from polydx.io.parts import Parts
from polydx.io.source import FileBytes, Source
from polydx.progress import Progress, Silent
from polydx.recipes.protocol import Probabilities
from polydx.recipes.store import Model, load_model
from polydx.study import Task

if TYPE_CHECKING:
    import pandas as pd

    from polydx.bundle.batch import Batch

CARD = "card.md"
Inputs: TypeAlias = "Sequence[Any] | pd.DataFrame"


@dataclass(frozen=True)
class Predictor:
    """A model that answers for files, arrays and tables.

    Attributes:
        model: the recipe as it was fitted, rebuilt from data.
        manifest: what the bundle says of itself.
        card: the model card, Markdown.
    """

    model: Model
    manifest: Mapping[str, Any]
    card: str

    @property
    def name(self) -> str:
        """What the bundle calls itself."""
        return str(self.manifest.get("name", "model"))

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The questions it answers."""
        return self.model.tasks

    @property
    def modalities(self) -> dict[str, dict[str, Any]]:
        """What it takes: name -> `kind`, and the axis (cm^-1), the window and size (H, W), or the columns."""
        found: dict[str, dict[str, Any]] = {}
        for name, about in self.model.modalities.items():
            kept: dict[str, set[str]] = {"spectra": set(), "images": {"window", "size"}, "table": {"columns"}}
            found[name] = about.model_dump(include={"kind", *kept[about.kind]})
            if about.kind == "spectra":
                found[name]["axis"] = self.model.axes[name]
        return found

    def predict(self, inputs: Inputs, patients: Sequence[str] | None = None) -> pd.DataFrame:
        """Return one row a sample.

        Args:
            inputs: files (of a model of one modality); or samples, each a mapping from modalities to a path, bytes, an
                array, (values, axis) of spectra, a list of these, or column -> value of a table; or a DataFrame with a
                column for each modality (files) and for each column of the table.
            patients: of each sample; fills the column `patient`.

        Returns:
            `sample`, where it comes from, then for each task `TASK` (the decision at the operating point) and
            `TASK: CLASS` (probability; of a task under a class of another one, given that class), `modalities` (those
            used) and `warnings` (sentences).

        Raises:
            ReadError: something cannot be read, does not fit, or is too large for a probability; everything that is
                wrong is listed.
            SpectrumError, ImageError: the preprocessing cannot work on a measurement, such as a constant spectrum.
        """
        import pandas as pd

        from polydx.bundle.answers import named_patients

        frame = pd.concat([self.answer(batch) for batch in self.batches(inputs)], ignore_index=True)
        return frame if patients is None else named_patients(frame, patients)

    def predict_proba(self, inputs: Inputs) -> Probabilities:
        """Return {task: (N, K)}; arguments and errors as in `predict`."""
        found = [self._probabilities(batch) for batch in self.batches(inputs)]
        return {name: np.concatenate([f[name] for f in found]) for name in self.tasks}

    def stream(self, files: Iterable[Source | str], progress: Progress | None = None) -> Iterator[pd.DataFrame]:
        """Yield the answers to files of any length, a few thousand rows at a time; memory stays bounded."""
        from polydx.bundle.files import batches_of_files

        for batch in batches_of_files(self.model, self._sources(files), progress or Silent()):
            yield self.answer(batch)

    def batches(self, inputs: Inputs) -> Iterable[Batch]:
        """Return what is asked, in batches that fit into memory."""
        import pandas as pd

        from polydx.bundle.files import batches_of_files
        from polydx.bundle.frames import samples_of
        from polydx.bundle.inputs import gathered

        if isinstance(inputs, pd.DataFrame):
            samples, names = samples_of(self.model, inputs)
            return [gathered(self.model, samples, names)]
        if len(inputs) and all(isinstance(one, Mapping) for one in inputs):
            return [gathered(self.model, inputs)]
        return batches_of_files(self.model, self._sources(inputs), Silent())

    def answer(self, batch: Batch) -> pd.DataFrame:
        """Return the answers to one batch, as `predict` has them."""
        from polydx.bundle.answers import answered

        return answered(self.model, batch, self._probabilities(batch))

    def _sources(self, files: Iterable[Any]) -> list[Source]:
        from polydx.bundle.inputs import source_of

        if len(self.model.modalities) != 1 or next(iter(self.model.modalities.values())).kind == "table":
            named = ", ".join(self.model.modalities)
            raise ConfigError(
                f"the model takes {named}; files alone do not say what they are: give samples, or a table of samples"
            )
        found = [source_of(given, f"file {i}") for i, given in enumerate(files)]
        wrong = [i for i, source in enumerate(found) if source is None]
        if wrong:
            raise ConfigError(f"input {wrong[0]} is neither a file nor a sample (a mapping from modalities)")
        return [source for source in found if source is not None]

    def _probabilities(self, batch: Batch) -> Probabilities:
        try:
            found = self.model.fitted.predict_proba(batch.study(self.model))
        except SpectrumError:
            problems = list(self._refusals(batch))
            if not problems:
                raise
            many = counted(len(problems), "sample" if "file" not in batch.origin else "file")
            raise SpectrumError(
                f"{many} with spectra that cannot be predicted; nothing was predicted", problems
            ) from None
        for name, task in self.tasks.items():
            shape = found[name].shape if name in found else None
            if shape != (len(batch), len(task.classes)):
                raise BundleError(f"the model does not answer its task '{name}' with {len(task.classes)} classes")
        _refuse_unanswered(batch, found)
        return found

    def _refusals(self, batch: Batch) -> Iterator[Problem]:
        """Yield what keeps single files or samples from being predicted; rows count from 0 in each."""
        from polydx.bundle.inputs import problems_of

        whole = batch.study(self.model)
        for name, positions in batch.origin.groupby(
            "file" if "file" in batch.origin else "sample", sort=False
        ).indices.items():
            try:
                self.model.fitted.predict_proba(whole.take(np.asarray(positions, dtype=np.int64)))
            except PolydxError as error:
                yield from problems_of(str(name), error)


def _refuse_unanswered(batch: Batch, found: Probabilities) -> None:
    """Refuse samples that the model has no probability for: NaN would be decided like one.

    Raises:
        ReadError: naming them.
    """
    finite = np.all([np.isfinite(p).all(axis=1) for p in found.values()], axis=0)
    if not finite.all():
        names = batch.origin["file" if "file" in batch.origin else "sample"][~finite]
        what = "the model gives no probability: a value in it is too large to compute with"
        problems = [Problem(str(name), what) for name in dict.fromkeys(names)]
        raise ReadError(f"{counted(len(problems), 'sample')} without an answer; nothing was predicted", problems)


def load(path: str | Path | FileBytes) -> Predictor:
    """Return the model of a bundle, ready to predict.

    Args:
        path: a file that `polydx train` wrote, or its bytes.

    Raises:
        BundleError: no bundle, broken, tampered with, or holding what no bundle may hold.
    """
    parts = Parts(Path(path) if isinstance(path, str) else path)
    model = load_model(parts, GraphReader(parts))
    card = parts.text(CARD) if CARD in parts.sizes else ""
    return Predictor(model, parts.manifest, card)
