"""Weights by address: downloaded once, verified, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from polydx.datasets.cache import cache_folder
from polydx.datasets.download import MOST_BYTES, download, forget
from polydx.errors import ConfigError, PolydxError, ReadError

HUB = "https://huggingface.co/"
HUB_ID = re.compile(r"hf:([\w.-]+)/([\w.-]+)/((?:[\w.-]+/)*[\w.-]+)(?:@([\w.-]+))?")


def hub_address(name: str) -> str:
    """Return the address of `hf:ORG/NAME/FILE`, or of `hf:ORG/NAME/FILE@REVISION`; the branch `main` if left out.

    Raises:
        ConfigError: the id has another form.
    """
    found = HUB_ID.fullmatch(name)
    if found is None:
        raise ConfigError(f"{name!r} is no id of a hub: expected hf:ORG/NAME/FILE, or hf:ORG/NAME/FILE@REVISION")
    owner, repository, file, revision = found.groups()
    return f"{HUB}{owner}/{repository}/resolve/{revision or 'main'}/{file}"


def fetch_weights(address: str, sha256: str) -> Path:
    """Return the file at an address, from the cache if it is there; verified either way, whole or not there at all.

    Args:
        address: http or https.
        sha256: its checksum in hexadecimal digits, or the first of them.

    Raises:
        ReadError: it cannot be downloaded (the message says where a copy may be put by hand), or it is another file.
    """
    target = cache_folder() / "weights" / _name_in_cache(address, sha256)
    if target.is_file():
        check_sha256(target, sha256)
        return target
    part = target.with_name(target.name + ".part")
    try:
        download(address, part, most_bytes=4 * MOST_BYTES)
    except (PolydxError, OSError) as error:
        raise ReadError(f"{error}; a copy got elsewhere may be put at {target}") from error
    try:
        check_sha256(part, sha256)
        os.replace(part, target)
    except OSError as error:
        raise ReadError(f"{target} cannot be written: {error}") from error
    finally:
        # Whole or of no use: bytes with another checksum would only be met again.
        forget(part)
    return target


def check_sha256(path: Path, sha256: str) -> None:
    """Refuse a file that is not the one meant.

    Raises:
        ReadError: no such file, or another checksum.
    """
    if not path.is_file():
        raise ReadError(f"{path}: no such file of weights")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256.lower()):
        what = f"its SHA-256 is {found}, expected {sha256}"
        raise ReadError(f"{path} is not the file meant: {what}; get it again, or mend `sha256`")


def _name_in_cache(address: str, sha256: str) -> str:
    """Return the file's own name where it tells the checksum, as those of torchvision do, else one that does."""
    name = Path(urlsplit(address).path).name or "weights"
    start = sha256[:8].lower()
    return name if start in name else f"{start}-{name}"
