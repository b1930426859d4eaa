"""What lies in a stranger's folder: tables, files by patient or by class, and which of them hold spectra."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import pandas as pd

from polydx.errors import PolydxError, counted
from polydx.io.files import VENDORS
from polydx.io.spectra import WideSpectra, read_axis, read_spectra, read_spectra_table
from polydx.io.tables import read_table

Kind: TypeAlias = Literal["spectra", "rows", "axis", "images", "other"]

TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".txt")
SPECTRA = (".txt", ".csv", ".tsv", ".dat", ".asc", ".xy", ".npy", ".h5", ".hdf5", ".xlsx", ".parquet")
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm")
MOST_FILES = 200_000
MOST_TABLES = 50
MOST_PATTERNS = 20


@dataclass(frozen=True)
class Found:
    """A folder, looked at.

    Attributes:
        root: the folder.
        files: all files in it and below, hidden ones left out, sorted.
        tables: tables at its top, by name.
        wide: wide tables of spectra at its top, by name.
    """

    root: Path
    files: tuple[Path, ...]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    wide: dict[str, WideSpectra] = field(default_factory=dict)

    def relative(self, path: Path) -> str:
        """Return a path as the samples table names it."""
        return path.relative_to(self.root).as_posix()

    def folders(self, container: Path) -> dict[Path, list[Path]]:
        """Return the folders right below `container` that hold files, with these files."""
        inside: dict[Path, list[Path]] = {}
        for path in self.files:
            if container in path.parents[1:]:
                top = container / path.relative_to(container).parts[0]
                inside.setdefault(top, []).append(path)
        return inside


@dataclass(frozen=True)
class Measurement:
    """A file of spectra or an image, with the file of its axis where that is apart."""

    path: Path
    kind: Kind
    axis: Path | None = None


def look(root: Path) -> Found:
    """List a folder and read the tables at its top."""
    files: list[Path] = []
    for path in root.rglob("*"):
        hidden = any(part.startswith((".", "~$", "__MACOSX")) for part in path.relative_to(root).parts)
        if not hidden and path.is_file():
            files.append(path)
        if len(files) == MOST_FILES:
            break
    found = Found(root, tuple(sorted(files, key=natural)))
    top = [path for path in found.files if path.parent == root and path.suffix.lower() in TABLES]
    for path in top[:MOST_TABLES]:
        _read_top(found, path)
    return found


def natural(path: Path | str) -> list[tuple[int, str]]:
    """Return a key that sorts 'P2' before 'P10'."""
    text = path if isinstance(path, str) else path.as_posix()
    return [(int(t) if t.isdecimal() else -1, t) for t in re.split(r"(\d+)", text)]


def measurements(folders: dict[Path, list[Path]], base: Path | None = None) -> dict[Path, list[Measurement]]:
    """Return the measurements of each folder.

    Files are told apart by their names, digits and the folder's own name aside; one file of each pattern is read.

    Args:
        folders: folder -> files in it; or what stands for one (see `named_after`).
        base: where the files' paths begin, if not in the folder.
    """
    patterns: dict[str, list[tuple[Path, Path]]] = {}
    for folder, files in folders.items():
        for path in files:
            patterns.setdefault(_pattern(path, folder, base or folder), []).append((folder, path))
    likely = sorted(patterns, key=lambda p: -len(patterns[p]))[:MOST_PATTERNS]
    kinds = {pattern: kind_of(patterns[pattern][0][1]) for pattern in likely}
    axes = {folder: path for p in likely if kinds[p] == "axis" for folder, path in patterns[p]}
    if "spectra" not in kinds.values() and axes:
        for pattern in likely:
            folder, path = patterns[pattern][0]
            if kinds[pattern] == "other" and folder in axes and _fits(path, axes[folder]):
                kinds[pattern] = "rows"
    found: dict[Path, list[Measurement]] = {folder: [] for folder in folders}
    wanted = next((k for k in ("spectra", "rows", "images") if k in kinds.values()), None)
    for pattern in likely:
        if kinds[pattern] == wanted:
            for folder, path in patterns[pattern]:
                axis = axes.get(folder) if wanted == "rows" else None
                found[folder].append(Measurement(path, kinds[pattern], axis))
    return {folder: sorted(kept, key=lambda m: natural(m.path)) for folder, kept in found.items()}


def kind_of(path: Path) -> Kind:
    """Return what a file holds."""
    suffix = path.suffix.lower()
    if suffix in IMAGES:
        return "images"
    if suffix not in SPECTRA:
        return "other"
    try:
        read_spectra(path)
    except PolydxError:
        return "axis" if _is_axis(path) else "other"
    return "spectra"


def prefix(name: str) -> str:
    """Return a name without the number, and what follows it, at its end: 'COV+_365H' -> 'COV+', 'P1_3' -> 'P1'."""
    return re.sub(r"[\s_.-]*\d+[A-Za-z]?$", "", name)


def grouped(names: Sequence[str]) -> list[str] | None:
    """Return the group of each name by its prefix, if that makes at least two groups, fewer than names; else None."""
    groups = [prefix(name) for name in names]
    counts = Counter(groups)
    return groups if all(groups) and 2 <= len(counts) < len(names) else None


def matching_folders(values: Iterable[object], folders: Iterable[Path]) -> dict[str, Path]:
    """Return value -> the folder of that name; case and blanks around it are overlooked where need be."""
    exact = {folder.name: folder for folder in folders}
    loose = {_loose(name.strip()): folder for name, folder in exact.items()}
    found = {str(v): exact.get(str(v)) or loose.get(_loose(str(v).strip())) for v in values}
    return {value: folder for value, folder in found.items() if folder is not None}


def named_after(values: Iterable[object], files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return value -> the files whose names begin with it: 'P1' is the start of 'P1_3.txt', not of 'P10_3.txt'.

    Where two values are, the longer one counts; case is overlooked. Values of a single character are none.
    """
    known = {_loose(text): text for value in values if len(text := str(value).strip()) > 1}
    lengths = sorted({len(key) for key in known}, reverse=True)
    found: dict[str, list[Path]] = {}
    for path in files:
        stem = _loose(path.stem)
        for key in (stem[:n] for n in lengths if len(stem) >= n):
            if key in known and not _goes_on(key, stem[len(key) :]):
                found.setdefault(known[key], []).append(path)
                break
    return found


def _goes_on(start: str, rest: str) -> bool:
    """Return whether a word or number does not end where `start` does."""
    return bool(rest) and ((start[-1].isdigit() and rest[0].isdigit()) or (start[-1].isalpha() and rest[0].isalpha()))


def finder(found: Found) -> Callable[[str], str | None]:
    """Return a function from what a cell says to the path of the one file it names; None where that is not sure.

    A cell may be a path, a name, or a name without its ending. How accents are stored, and case, are overlooked where
    no file has the very name.
    """
    indexes: list[dict[str, list[str]]] = []
    for form in (str, _composed, _loose):
        whole: dict[str, list[str]] = {}
        names: dict[str, list[str]] = {}
        for path in found.files:
            relative = found.relative(path)
            whole.setdefault(form(relative), []).append(relative)
            for name in {form(path.name), form(path.stem)}:
                names.setdefault(name, []).append(relative)
        indexes += [whole, names]

    def find(cell: str) -> str | None:
        plain = cell.strip().replace("\\", "/").removeprefix("./")
        forms = (plain, plain, *[_composed(plain)] * 2, *[_loose(plain)] * 2)
        for key, index in zip(forms, indexes, strict=True):
            named = index.get(key, [])
            if len(named) > 1:  # an instrument's file often lies beside its export
                named = [n for n in named if Path(n).suffix.lower() in (*SPECTRA, *IMAGES)]
            if len(named) == 1 and (index is indexes[0] or named[0] not in found.tables):
                return named[0]
        return None

    return find


def vendor_note(found: Found) -> str | None:
    """Return what to do with files in instruments' own formats, None if there are none."""
    kinds = Counter(path.suffix.lower() for path in found.files if path.suffix.lower() in VENDORS)
    if not kinds:
        return None
    told = ", ".join(f"{counted(n, f'{suffix} file')} ({VENDORS[suffix]})" for suffix, n in kinds.items())
    return f"{told}: an instrument's own format; export them there as text (wavenumber, intensity), then run init again"


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _loose(name: str) -> str:
    return _composed(name).casefold()


def _pattern(path: Path, folder: Path, base: Path) -> str:
    return re.sub(r"\d+", "#", path.relative_to(base).as_posix().replace(folder.name, "@"))


def _read_top(found: Found, path: Path) -> None:
    try:
        wide = read_spectra_table(path)
        if len(wide.columns.columns):
            found.wide[path.name] = wide
            return
    except PolydxError:
        pass
    try:
        table = read_table(path)
    except PolydxError:
        return
    numbers_alone = all(re.fullmatch(r"[-+.\deE]+|column \d+", str(name)) for name in table.columns)
    if len(table.columns) > 1 and not numbers_alone:
        found.tables[path.name] = table


def _is_axis(path: Path) -> bool:
    try:
        read_axis(path)
    except PolydxError:
        return False
    return True


def _fits(path: Path, axis: Path) -> bool:
    try:
        read_spectra(path, axis=axis)
    except PolydxError:
        return False
    return True
