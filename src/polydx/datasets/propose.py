"""Propose a study.yaml for a stranger's folder: a start to edit, with every guess marked.

Layouts that are known: a wide table of spectra; a table that names a file a row; a folder a patient with a table of
patients, or without; files named after the patients of a table; a folder a class.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from polydx.datasets.propose_columns import guess_files, guess_patient, guess_sample
from polydx.datasets.propose_files import IMAGES, Found, finder, kind_of, look, vendor_note
from polydx.datasets.propose_folders import from_folders, guess_labels
from polydx.datasets.propose_tasks import guess_tasks, quoted_few
from polydx.datasets.propose_yaml import EDIT, Draft, quoted, render
from polydx.errors import ReadError


@dataclass(frozen=True)
class Proposal:
    """A first study.yaml.

    Attributes:
        yaml: its text.
        samples: the samples table it needs beside it, None if a table of the folder serves.
        samples_file: what that table is called in the YAML.
        notes: what the user should know; they stand in the YAML too.
    """

    yaml: str
    samples: pd.DataFrame | None
    samples_file: str
    notes: tuple[str, ...]


def propose_study(folder: str | Path) -> Proposal:
    """Look at a folder and propose a study; nothing is written.

    Args:
        folder: where the user's files lie; the YAML, and the samples table if there is one, belong right into it.

    Raises:
        ReadError: no such folder, a file instead of one, or nothing in it.
    """
    root = Path(folder).resolve()
    if root.is_file():
        raise ReadError(f"{folder} is a file; give its folder: {root.parent}")
    if not root.is_dir():
        raise ReadError(f"no folder {folder}")
    found = look(root)
    if not found.files:
        raise ReadError(f"{folder} holds no files")
    draft = Draft(root.name, samples=_free_name(root))
    samples = None
    if found.wide:
        _from_wide(found, draft)
    elif (tabled := _file_table(found)) is not None:
        samples = _from_file_table(found, draft, *tabled)
    else:
        samples = from_folders(found, draft)
    if draft.modality is None and (note := vendor_note(found)) is not None:
        draft.notes.insert(0, f"{EDIT}: {note}")
    if samples is not None:
        draft.about = draft.about or "written by polydx: a row a file"
    return Proposal(render(draft), samples, draft.samples, tuple(draft.notes))


def _free_name(root: Path) -> str:
    return next(name for name in ("samples.csv", "polydx-samples.csv") if not (root / name).exists() or name[0] == "p")


def _from_wide(found: Found, draft: Draft) -> None:
    """Use a wide table as it is, or join it to the table that has the labels."""
    name, wide = next(iter(found.wide.items()))
    table, mapping, comment = wide.columns, "{kind: spectra}", f"the columns of {name} that are wavenumbers"
    draft.samples, draft.about = name, "guess: a wide table, a spectrum a row"
    for other, frame in found.tables.items():
        key = next(
            (c for c in frame.columns if c in table and frame[c].is_unique and _overlap(frame[c], table[c])), None
        )
        if key is not None and guess_tasks(frame, None, (key,)) and not guess_tasks(table, None, (key,)):
            by = "sample" if table[key].is_unique and guess_patient(frame) not in (None, key) else "patient"
            draft.samples, draft.about, table = other, "guess: a row a patient or sample", frame
            mapping, comment = f"{{kind: spectra, file: {quoted(name)}, by: {by}}}", f"guess: joined by '{key}'"
            draft.patient_column = key if by == "patient" else guess_patient(frame)
            draft.sample_column = key
            break
    else:
        draft.patient_column = guess_patient(table)
        draft.sample_column = guess_sample(table, (draft.patient_column or "",))
    draft.modality = ("raman", mapping, comment)
    guess_labels(draft, table)


def _overlap(one: pd.Series, other: pd.Series) -> bool:
    return len(set(one.dropna().astype(str)) & set(other.dropna().astype(str))) > 1


def _file_table(found: Found) -> tuple[str, str, dict[int, str]] | None:
    """Return the table at the top that names most files: its name, the column, and row -> path."""
    find = finder(found)
    guesses = [(name, guess_files(table, find)) for name, table in found.tables.items()]
    files = [(name, *guess) for name, guess in guesses if guess is not None]
    return max(files, key=lambda f: len(f[2]), default=None)


def _from_file_table(found: Found, draft: Draft, name: str, column: str, paths: dict[int, str]) -> pd.DataFrame | None:
    table = found.tables[name]
    images = Path(next(iter(paths.values()))).suffix.lower() in IMAGES
    direct = all(str(table[column].iloc[i]) == path for i, path in paths.items()) and len(paths) == len(table)
    others = [(column,)] if direct else [(column,), ()]
    guesses = (guess_patient(table, taken, at_need) for at_need in (False, True) for taken in others)
    draft.patient_column = next((guess for guess in guesses if guess is not None), None)
    draft.sample_column = guess_sample(table, (column, draft.patient_column or ""))
    draft.images = images
    written = None
    if direct:
        draft.samples, draft.about = name, "guess: a row a file"
    else:
        lost = [
            f"row {i + 2}: {cell}"
            for i, cell in enumerate(table[column].astype(object).fillna("empty"))
            if i not in paths
        ]
        column, written = "file", table.assign(file=pd.Series(paths))
        draft.about = f"written by polydx: {name} with the path of each file"
        table = written
        if lost:
            what = f"{len(lost)} of {len(table)} rows of {name} name no file that is there: {quoted_few(lost)}"
            draft.notes.append(what)
    kind, modality = ("images", "image") if images else ("spectra", "raman")
    if not images and (held := kind_of(found.root / next(iter(paths.values())))) != "spectra":
        why = vendor_note(found) or f"it holds {held}"
        draft.notes.append(f"{EDIT}: {next(iter(paths.values()))} could not be read as a spectrum ({why})")
    draft.modality = (modality, f"{{kind: {kind}, column: {quoted(column)}}}", "guess: names a file a row")
    guess_labels(draft, table, (column,))
    return written
