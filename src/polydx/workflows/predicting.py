"""Ask a bundle: files or a table of samples in, answers out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from polydx.errors import ConfigError, counted
from polydx.progress import Progress, Silent

if TYPE_CHECKING:
    from polydx.bundle import Predictor

FOLDER = "folder"
TOGETHER = 256
"""Rows of a table of samples at a time."""


def predict(
    model: str | Path,
    files: Sequence[str | Path],
    *,
    patients: str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Predict with a bundle.

    Args:
        model: file that `train` wrote.
        files: spectra or images, in any format that can be read, of a model of one modality; a file may hold several.
            Of any model, one table of samples: columns named for the modalities hold files, those of its tables values.
        patients: who each answer is of: `folder` for the folder a file lies in, or a column of the table of samples.
        progress: told how far it is.

    Returns:
        One row a sample, as `polydx.bundle.Predictor.predict` has it.

    Raises:
        BundleError: no bundle, or a broken one.
        ReadError: a file cannot be read or does not fit the model; all are listed.
        SpectrumError, ImageError: the preprocessing cannot work on a measurement; all files are listed.
    """
    from polydx.bundle import load

    told = progress or Silent()
    found = pd.concat(answers(load(model), [Path(f) for f in files], patients, told), ignore_index=True)
    _tell_warnings(told, warned(found), len(found))
    return found


def predict_into(
    model: str | Path,
    files: Sequence[str | Path],
    out: str | Path,
    *,
    patients: str | None = None,
    progress: Progress | None = None,
) -> tuple[int, list[Path]]:
    """Predict with a bundle, and write the answers while they come: memory does not grow with their number.

    Args:
        model: as in `predict`.
        files: as in `predict`.
        out: .csv, .parquet or .json; with `patients`, `<name>.patients.<ending>` beside it has one row a patient.
        patients: as in `predict`.
        progress: told how far it is.

    Returns:
        How many samples were answered, and the files.

    Raises:
        As `predict`; ConfigError too, if `out` cannot be written.
    """
    from polydx.bundle import load
    from polydx.bundle.answers import by_patient
    from polydx.bundle.writing import writing

    target, count, with_warnings, kept = Path(out), 0, 0, []
    predictor, told = load(model), progress or Silent()
    with writing(target) as write:
        for frame in answers(predictor, [Path(f) for f in files], patients, told):
            write(frame)
            count += len(frame)
            with_warnings += warned(frame)
            if patients is not None:
                kept.append(frame.drop(columns=["sample", "file", "row"], errors="ignore"))
    _tell_warnings(told, with_warnings, count)
    if patients is None:
        return count, [target]
    beside = target.with_name(f"{target.stem}.patients{target.suffix}")
    with writing(beside) as write:
        write(by_patient(predictor.model, pd.concat(kept, ignore_index=True)))
    return count, [target, beside]


def warned(frame: pd.DataFrame) -> int:
    """Return how many answers should be read with a warning."""
    return int(frame["warnings"].map(len).astype(bool).sum())


def _tell_warnings(progress: Progress, with_warnings: int, count: int) -> None:
    if with_warnings:
        progress.say(f"{with_warnings} of {counted(count, 'answer')} with warnings: see the column `warnings`")


def answers(
    predictor: Predictor, files: Sequence[Path], patients: str | None, progress: Progress
) -> Iterator[pd.DataFrame]:
    """Yield the answers to files, or to the samples of a table, a piece at a time."""
    kinds = [about["kind"] for about in predictor.modalities.values()]
    if len(kinds) == 1 and kinds[0] != "table":
        if patients not in (None, FOLDER):
            raise ConfigError(
                f"`--patients {patients}` names a column of a table of samples; of files, only `{FOLDER}`"
            )
        for frame in predictor.stream(files, progress):
            yield frame if patients is None else _named(frame, [Path(f).resolve().parent.name for f in frame["file"]])
        return
    yield from _of_table(predictor, files, patients, progress)


def _of_table(
    predictor: Predictor, files: Sequence[Path], patients: str | None, progress: Progress
) -> Iterator[pd.DataFrame]:
    from polydx.bundle.frames import located
    from polydx.io.tables import read_table

    if len(files) != 1:
        named = ", ".join(predictor.modalities)
        raise ConfigError(f"the model takes {named}: give one table with a row a sample and columns of these names")
    table = read_table(files[0])
    if patients is not None and patients not in table:
        raise ConfigError(f"{files[0]} has no column '{patients}'; it has {', '.join(map(str, table.columns))}")
    whole = located(predictor.model, table, files[0].parent)
    progress.begin("samples", len(whole))
    for start in range(0, len(whole), TOGETHER):
        part = whole.iloc[start : start + TOGETHER]
        frame = predictor.predict(part)
        for name in frame["sample"]:
            progress.step(str(name))
        yield frame if patients is None else _named(frame, table[patients].iloc[start : start + TOGETHER].tolist())


def _named(frame: pd.DataFrame, patients: Sequence[str]) -> pd.DataFrame:
    from polydx.bundle.answers import named_patients

    return named_patients(frame, patients)
