"""Bring a named study into the data folder: downloaded and verified, or registered from a local copy."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from polydx.datasets.archive import extract
from polydx.datasets.cache import cache_folder
from polydx.datasets.catalogue import Archive, Dataset, dataset_named
from polydx.datasets.download import Progress, download, forget
from polydx.datasets.manifest import manifest_problems, read_manifest
from polydx.errors import ConfigError, Problem, ReadError, counted


def fetch(
    name: str,
    *,
    from_dir: str | Path | None = None,
    data: str | Path | None = None,
    progress: Progress | None = None,
    url: str | None = None,
) -> Path:
    """Return the folder of a named study, after bringing it there if need be.

    The folder appears whole or not at all. Where polydx knows the checksums of a study, every file is verified,
    whichever way it came; what is there already is verified and left alone.

    Args:
        name: a key of `DATASETS`.
        from_dir: a local copy; its files are copied.
        data: where folders of studies lie; else `POLYDX_DATA`, else the user's cache.
        progress: called with the bytes downloaded so far and in all (None if unknown).
        url: another address of the same archive, such as a mirror.

    Raises:
        ConfigError: no such study, or one that is simulated and needs no files.
        ReadError: a download that failed (a second call resumes an interrupted one), files that are missing or
            differ, or a study that must be got by hand; the message says where, and under which terms.
    """
    dataset = dataset_named(name)
    if not dataset.local:
        raise ConfigError(f"'{name}' is {dataset.source}; use it by its name")
    target = data_folder(data) / name
    manifest = read_manifest(name)
    if target.exists():
        _check_present(target, dataset, manifest)
        return target
    try:
        if from_dir is not None:
            return _register(name, dataset, manifest, Path(from_dir), target)
        if dataset.archive is None or manifest is None:
            raise ReadError(f"'{name}' must be got by hand: polydx may not download it", by_hand(name, dataset))
        return _download(name, dataset.archive, manifest, target, progress, url or dataset.archive.url)
    except OSError as error:
        raise ReadError(f"cannot bring '{name}' to {target}: {error}") from error


def data_folder(data: str | Path | None = None) -> Path:
    """Return the folder that holds a folder a study: as given, else `POLYDX_DATA`, else the user's cache."""
    return Path(data or os.environ.get("POLYDX_DATA") or cache_folder())


def by_hand(name: str, dataset: Dataset) -> list[Problem]:
    """Return how a user gets a study without polydx: where, under which terms, and what to do then."""
    return [
        Problem("where", dataset.source),
        Problem("terms", dataset.terms),
        Problem("layout", f"a folder that holds {', '.join(dataset.layout)}"),
        Problem("then", f"polydx data fetch {name} --from FOLDER"),
    ]


def _check_present(target: Path, dataset: Dataset, manifest: Mapping[str, str] | None) -> None:
    problems = _folder_problems(target, dataset, manifest)
    if problems:
        raise ReadError(
            f"{target} is there, with {counted(len(problems), 'problem')}: move it away and fetch again", problems
        )


def _folder_problems(folder: Path, dataset: Dataset, manifest: Mapping[str, str] | None) -> list[Problem]:
    if manifest is not None:
        return manifest_problems(folder, manifest)
    return [Problem(pattern, "no such file there") for pattern in dataset.layout if not any(folder.glob(pattern))]


def _register(name: str, dataset: Dataset, manifest: Mapping[str, str] | None, source: Path, target: Path) -> Path:
    if not source.is_dir():
        raise ReadError(f"no folder {source}; give the folder that holds {', '.join(dataset.layout)}")
    if dataset.archive is not None and (source / dataset.archive.folder).is_dir():
        source = source / dataset.archive.folder
    problems = _folder_problems(source, dataset, manifest)
    if problems:
        raise ReadError(f"{source} is not '{name}' as it should be", [*problems, *by_hand(name, dataset)[:1]])
    names = manifest if manifest is not None else _matching(source, dataset.layout)
    with _whole(target) as folder:
        for relative in names:
            copy = folder / relative
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / relative, copy)
    return target


def _matching(source: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted({path.relative_to(source) for pattern in patterns for path in source.glob(pattern) if path.is_file()})


def _download(
    name: str, archive: Archive, manifest: Mapping[str, str], target: Path, progress: Progress | None, url: str
) -> Path:
    part = target.with_name(f".{name}.zip.part")
    download(url, part, progress)
    try:
        with _whole(target) as folder:
            extract(part, archive.folder, folder, manifest)
    finally:
        # Whole or of no use: a part that cannot be unpacked would only be met again.
        forget(part)
    return target


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Give an empty folder beside `target`; on leaving without error it becomes `target`, else it is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        folder = Path(temporary) / target.name
        folder.mkdir()
        yield folder
        os.rename(folder, target)
