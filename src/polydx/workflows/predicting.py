"""Ask a bundle: files or a table of samples in, answers out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from polydx.errors import ConfigError, Problem, ReadError, counted
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
            Of any model, one table of samples: columns named for the modalities hold files (of a model of one modality,
            the column may be `file`), those of its tables values.
        patients: who each answer is of: `folder` for the folder a file lies in, or a column of the table of samples.
            A model of patients then answers once a patient, from all files and rows of theirs.
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
    beside = target.with_name(f"{target.stem}.patients{target.suffix}")
    _refuse_overwriting((target, beside), (model, *files))
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
    with writing(beside) as write:
        write(by_patient(predictor.model, pd.concat(kept, ignore_index=True)))
    return count, [target, beside]


def _refuse_overwriting(written: Sequence[Path], read: Sequence[str | Path]) -> None:
    given = {Path(path).resolve() for path in read}
    for path in written:
        if path.resolve() in given:
            raise ConfigError(f"{path} is what is read: answers would be written over it; give --out another name")


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
    folders = [Problem(str(f), f"is a folder; give the files in it: {f / '*'}") for f in files if f.is_dir()]
    if folders:
        raise ReadError("folders in place of files; nothing was predicted", folders)
    if not _takes_files(predictor, files):
        yield from _of_table(predictor, files, patients, progress)
    elif patients not in (None, FOLDER):
        raise ConfigError(
            f"`--patients {patients}` names a column of a table of samples; of files, only `{FOLDER}`. Give one table "
            f"with the columns '{patients}' and '{next(iter(predictor.modalities))}' (the files)"
        )
    elif patients is not None and predictor.model.unit == "patient":
        yield from _of_folders(predictor, files, progress)
    else:
        owners = _owners(files, progress) if patients is not None else {}
        for frame in predictor.stream(files, progress):
            yield frame if patients is None else _named(frame, [owners[Path(f)] for f in frame["file"]])


def _takes_files(predictor: Predictor, files: Sequence[Path]) -> bool:
    """Return whether the files are measurements, not the one table of samples that names them."""
    from polydx.bundle.frames import is_sample_table

    kinds = [about["kind"] for about in predictor.modalities.values()]
    if len(kinds) > 1 or kinds[0] == "table":
        return False
    return len(files) != 1 or not is_sample_table(predictor.model, files[0])


def _owners(files: Sequence[Path], progress: Progress) -> dict[Path, str]:
    """Return whose each file is: the folder it lies in, by as much of its path as tells folders of one name apart."""
    folders = {path: path.resolve().parent for path in files}
    distinct = set(folders.values())
    if len(distinct) == 1 and len(files) > 1:
        (only,) = distinct
        progress.say(f"all {len(files)} files lie in the folder '{only.name}': they are taken as one patient's")
    deepest = max(len(folder.parts) for folder in distinct)
    for depth in range(1, deepest + 1):
        names = {folder: "/".join(folder.parts[-depth:]) for folder in distinct}
        if len(set(names.values())) == len(distinct):
            break
    return {path: names[folder] for path, folder in folders.items()}


def _of_folders(predictor: Predictor, files: Sequence[Path], progress: Progress) -> Iterator[pd.DataFrame]:
    """Yield one answer a folder, from all files in it: what a model of patients was validated on."""
    owners = _owners(files, progress)
    table = pd.DataFrame({"patient": owners.values(), next(iter(predictor.modalities)): map(str, owners)})
    yield from _of_samples(predictor, table, "patient", progress)


def _of_table(
    predictor: Predictor, files: Sequence[Path], patients: str | None, progress: Progress
) -> Iterator[pd.DataFrame]:
    from polydx.bundle.frames import absent_columns, read_samples

    if len(files) != 1:
        named = ", ".join(predictor.modalities)
        raise ConfigError(f"the model takes {named}: give one table with a row a sample and columns of these names")
    table = read_samples(predictor.model, files[0])
    if patients is not None and patients not in table:
        raise ConfigError(f"{files[0]} has no column '{patients}'; it has {', '.join(map(str, table.columns))}")
    if absent := absent_columns(predictor.model, table):
        progress.say(f"{files[0].name} has no column {', '.join(absent)}: missing for every sample")
    yield from _of_samples(predictor, table, patients, progress)


def _of_samples(
    predictor: Predictor, table: pd.DataFrame, patients: str | None, progress: Progress
) -> Iterator[pd.DataFrame]:
    """Yield the answers to the rows of a table, or to its patients where the model answers for patients."""
    from polydx.bundle.frames import a_row_a_patient, refuse_unowned

    if patients is not None:
        refuse_unowned(table, patients)
        if predictor.model.unit == "patient":
            table = a_row_a_patient(predictor.model, table, patients)
    progress.begin("samples", len(table))
    for start in range(0, len(table), TOGETHER):
        part = table.iloc[start : start + TOGETHER]
        frame = predictor.predict(part)
        for name in frame["sample"]:
            progress.step(str(name))
        yield frame if patients is None else _named(frame, part[patients].tolist())


def _named(frame: pd.DataFrame, patients: Sequence[str]) -> pd.DataFrame:
    from polydx.bundle.answers import named_patients

    return named_patients(frame, patients)
