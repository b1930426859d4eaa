"""Checksums of the files of named studies, shipped with the package, as sha256sum writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from polydx.errors import Problem

CHUNK = 1 << 20


def read_manifest(name: str) -> dict[str, str] | None:
    """Return path -> SHA-256 of a study's files, None if polydx knows no checksums for it."""
    source = files("polydx.datasets") / "manifests" / f"{name}.sha256"
    if not source.is_file():
        return None
    lines = source.read_text(encoding="utf-8").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_problems(folder: Path, manifest: Mapping[str, str]) -> list[Problem]:
    """Return the files of the manifest that are missing in the folder, or have other content; others do not matter."""
    found = []
    for name, digest in manifest.items():
        path = folder / name
        if not path.is_file():
            found.append(Problem(name, "is missing"))
        elif sha256_of(path) != digest:
            found.append(Problem(name, "has other content than the study's (its SHA-256 differs)"))
    return found
