"""Take known files out of a ZIP archive from the network, trusting nothing in it."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from polydx.errors import Problem, ReadError, counted

CHUNK = 1 << 16
MOST_UNPACKED = 1 << 30


def extract(
    archive: Path, inside: str, target: Path, manifest: Mapping[str, str], most_bytes: int = MOST_UNPACKED
) -> None:
    """Write the files of a manifest from one folder of an archive, each checked against its SHA-256.

    Args:
        archive: a ZIP file whose content lies in one top folder, as GitHub packs a commit.
        inside: the folder under it that holds the study.
        target: where the files go; nothing else of the archive is written.
        manifest: path within the study -> SHA-256.
        most_bytes: of all files together, unpacked.

    Raises:
        ReadError: no ZIP file or a broken one, names that lead out of a folder, too much content, or files that are
            missing or differ from the manifest (all are listed).
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = _members(packed, inside, archive)
            _check_size([members[name] for name in manifest if name in members], archive, most_bytes)
            problems = []
            for name, digest in manifest.items():
                if name not in members:
                    problems.append(Problem(name, "is not in the archive"))
                    continue
                if _write(packed, members[name], target / name) != digest:
                    problems.append(Problem(name, "has other content than the study's (its SHA-256 differs)"))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ReadError(f"{archive} is no whole ZIP archive ({error})") from error
    if problems:
        raise ReadError(f"{counted(len(problems), 'file')} of the archive not as expected", problems)


def _members(packed: zipfile.ZipFile, inside: str, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """Return path within the study -> member; one bad name condemns the archive."""
    found = {}
    for info in packed.infolist():
        parts = PurePosixPath(info.filename).parts
        if info.filename.startswith("/") or "\\" in info.filename or ".." in parts or ":" in "".join(parts[:1]):
            raise ReadError(f"{archive} holds a name that leads out of its folder: {info.filename!r}; refused")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ReadError(f"{archive} holds a link: {info.filename!r}; refused")
        below = PurePosixPath(*parts[1:])
        if not info.is_dir() and below.is_relative_to(inside):
            found[str(below.relative_to(inside))] = info
    return found


def _check_size(members: list[zipfile.ZipInfo], archive: Path, most_bytes: int) -> None:
    declared = sum(info.file_size for info in members)
    if declared > most_bytes:
        raise ReadError(f"{archive} would unpack to {declared / 1e6:.0f} MB, over {most_bytes / 1e6:.0f} MB; refused")


def _write(packed: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> str:
    """Write one member and return its SHA-256; `zipfile` stops at the size it declares, and checks the rest by CRC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with packed.open(info) as source, path.open("wb") as file:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
