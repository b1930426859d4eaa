"""Groups in place of patients, for images that nobody tells apart by patient: a guess that makes splits less rosy.

Pictures of one patient tend to be numbered one after another, and some are shots of the same field. Splitting at random
puts neighbours on both sides, and flatters every figure. Groups are no patients: how many people stand behind them is
not known, so intervals may still be too narrow, and the study says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from polydx.config import GroupConfig
from polydx.errors import Problem, StudyError, counted
from polydx.io.images import read_patient_id
from polydx.io.perceptual import Hashes, Integers, hash_images, near_pairs
from polydx.study import NO_PATIENTS, Images, Study

LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)")

WORDS = {
    "sequence": "runs of {size} consecutive numbers within a folder",
    "duplicates": "clusters of near duplicates (perceptual hashes within {bits} of 64 bits); all others stand alone",
    "image": "single images (copies together): a random split, which flatters every figure where a patient has several",
}


def regroup(study: Study, wanted: GroupConfig) -> Study:
    """Return the study with groups of its images as patients, and a note that says what they are.

    Raises:
        StudyError: no modality of images, a sample without an image, names without a number, or DICOM files without a
            PatientID; all are listed.
        ReadError: images that cannot be read, where they must be looked at.
    """
    name, first = _first_images(study)
    paths = [study.images(name).paths[row] for row in first]
    if wanted.by == "sequence":
        groups = sequence_groups(paths, wanted.size)
    elif wanted.by == "duplicates":
        groups = duplicate_groups(hash_images(study.images(name).take(first))[0], wanted.bits, paths)
    elif wanted.by == "patient-id":
        groups = _patient_ids(paths)
    else:
        owners = {path: str(i) for path, i in zip(reversed(paths), reversed(study.ids), strict=True)}
        groups = [owners[path] for path in paths]
    if wanted.by != "patient-id":
        images = study.images(name)
        groups = joined_by_content(groups, [hashlib.sha256(images.content(int(row))).hexdigest() for row in first])
    patients = pd.Series([f"{study.name}/{g}" for g in groups], index=study.samples.index, dtype=object)
    words = WORDS.get(wanted.by)
    notes = study.notes
    if words is not None:
        told = words.format(size=wanted.size, bits=wanted.bits)
        what = f"{NO_PATIENTS}: `patient` is a group of images, {told}; figures of patients are figures of groups"
        notes = (*notes, what)
    return replace(study, samples=study.samples.assign(patient=patients), notes=notes)


def sequence_groups(paths: Sequence[Path], size: int) -> list[str]:
    """Return a group each: runs of so many consecutive numbers among the files of a folder, from its lowest number.

    Runs are of numbers, not of files: a number that is missing moves no file to another run.

    Args:
        paths: files whose names hold a number; the last one counts.
        size: numbers a run.

    Raises:
        StudyError: listing the files without a number.
    """
    found = [LAST_NUMBER.search(path.stem) for path in paths]
    without = [Problem(path.name, "has no number in its name") for path, m in zip(paths, found, strict=True) if not m]
    if without:
        raise StudyError("`group: {by: sequence}` needs numbered files; group by duplicates instead", without)
    numbers = np.array([int(m[1]) for m in found if m])
    folders = [str(path.parent) for path in paths]
    lowest = pd.Series(numbers).groupby(folders).min()
    starts = np.array([(n - lowest[f]) // size * size + lowest[f] for n, f in zip(numbers, folders, strict=True)])
    names = _short_names(folders)
    return [f"{names[f]}/{start}-{start + size - 1}" for f, start in zip(folders, starts, strict=True)]


def duplicate_groups(hashes: Hashes, bits: int, paths: Sequence[Path]) -> list[str]:
    """Return a group each: images linked by a chain of near duplicates, and frames of one file, have the same.

    Args:
        hashes: (n,) perceptual hashes.
        bits: in which two near duplicates may differ.
        paths: (n,) their files.
    """
    pairs = list(near_pairs(hashes, bits))
    files, _ = pd.factorize(pd.Series([str(path) for path in paths], dtype=object))
    opener = _first_of_each(files)[files]
    first = np.concatenate([opener, *(a for a, _, _ in pairs)])
    second = np.concatenate([np.arange(len(paths)), *(b for _, b, _ in pairs)])
    digits = len(str(len(hashes)))
    return [f"cluster-{c + 1:0{digits}d}" for c in _linked(first, second, len(hashes))]


def joined_by_content(groups: Sequence[str], contents: Sequence[str]) -> list[str]:
    """Return the groups, those that share a file of the same content as one, under the name that stands first.

    One file under two names must not stand on both sides of a split, whatever the groups are.
    """
    codes, names = pd.factorize(pd.Series(groups, dtype=object))
    same, _ = pd.factorize(pd.Series(contents, dtype=object))
    joined = _linked(codes[_first_of_each(same)[same]], codes, len(names))
    return [str(names[i]) for i in _first_of_each(joined)[joined[codes]]]


def _first_of_each(codes: Integers) -> Integers:
    """Return for each code, counted from 0, the first position where it stands."""
    return np.unique(codes, return_index=True)[1].astype(np.int64)


def _linked(first: Integers, second: Integers, n: int) -> Integers:
    """Return (n,) the number of the connected component that each node is in, given its edges."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(n, n))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def _first_images(study: Study) -> tuple[str, Integers]:
    """Return the study's first modality of images, and the first row of each sample in it."""
    name = next((n for n, m in study.modalities.items() if isinstance(m, Images)), None)
    if name is None:
        raise StudyError(f"`group` groups images, and study '{study.name}' has none; name patients in a column")
    index = study.rows[name]
    without = study.ids[index.counts == 0]
    if len(without):
        what = f"{counted(len(without), 'sample')} without an image cannot be grouped; leave them out"
        raise StudyError(what, [Problem(f"sample '{i}'", f"has no '{name}'") for i in without])
    return name, index.rows[index.starts[:-1]]


def _patient_ids(paths: Sequence[Path]) -> list[str]:
    found = {path: read_patient_id(path) for path in dict.fromkeys(paths)}
    empty = [Problem(path.name, "has an empty PatientID") for path, patient in found.items() if patient is None]
    if empty:
        raise StudyError(
            "`group: {by: patient-id}` needs the PatientID of every file; name patients in a column", empty
        )
    return [str(found[path]) for path in paths]


def _short_names(folders: Sequence[str]) -> dict[str, str]:
    """Return the last part of each folder, or its whole path where two end alike."""
    different = dict.fromkeys(folders)
    last = [Path(f).name for f in different]
    return {f: Path(f).name if last.count(Path(f).name) == 1 else f for f in different}
