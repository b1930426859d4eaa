"""A bundle as a file: a zip of named parts that lie in it as they are, and a manifest with the hash of each.

A bundle may come from a stranger. Parts are stored without compression, so that nothing unpacks to more than the file
itself holds; names are taken from a fixed pattern, so that none leads anywhere; nothing is ever written to the disk.
The hashes show damage. They are no signature: who forges a part can forge the manifest too.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from polydx.errors import BundleError, Problem, counted
from polydx.io.atomic import replacing
from polydx.io.source import Source, handle

MANIFEST = "manifest.json"
SCHEMA = 1
REMEDY = "train the model again, or ask whoever sent it for a whole copy"
NAMES = re.compile(r"manifest\.json|model\.json|card\.md|(arrays|weights)\.safetensors|graphs/[a-z0-9-]{1,60}\.onnx")
MOST_PARTS = 1000
MOST_BYTES = 4 * 1024**3
MOST_TEXT = 64 * 1024**2
MOST_DEPTH = 60
NEVER = (1980, 1, 1, 0, 0, 0)
"""The time every part bears, so that the same content gives the same bytes."""


class Parts:
    """A bundle that was opened and looked over; parts are read, and held against their hash, when asked for.

    Args:
        path: the file.

    Attributes:
        manifest: what the bundle says of itself.

    Raises:
        BundleError: no bundle, or one that breaks a rule; the message says which.
    """

    def __init__(self, path: Source) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(handle(path)) as archive:
                infos = archive.infolist()
        except FileNotFoundError:
            raise BundleError(
                f"{path} is not there; `polydx train STUDY.yaml --recipe NAME --out {path}` writes one"
            ) from None
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
            raise BundleError(f"{path} is no bundle, or one that was cut off ({error}): {REMEDY}") from None
        self._refuse(infos)
        self.sizes = {info.filename: info.file_size for info in infos}
        self.manifest = self._manifest()

    def _refuse(self, infos: list[zipfile.ZipInfo]) -> None:
        """Refuse what no bundle has, before anything is read."""
        if len(infos) > MOST_PARTS:
            raise BundleError(f"{self.path} holds {len(infos)} parts, over the limit of {MOST_PARTS}")
        found = [Problem(repr(info.filename[:80]), what) for info in infos for what in _wrong(info)]
        names = [info.filename for info in infos]
        found += [
            Problem(repr(name[:80]), "stands more than once") for name in {n for n in names if names.count(n) > 1}
        ]
        total, size = sum(info.file_size for info in infos), self.path.stat().st_size
        if total > min(size, MOST_BYTES):
            found.append(
                Problem("sizes", f"its parts say {total} bytes, the file has {size}, and {MOST_BYTES} is the limit")
            )
        if MANIFEST not in names:
            found.append(Problem(MANIFEST, "is missing"))
        if found:
            self._broken(found)

    def _manifest(self) -> dict[str, Any]:
        found = parsed(self._bytes(MANIFEST), f"{self.path}: {MANIFEST}")
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            told = found.get("schema") if isinstance(found, dict) else None
            raise BundleError(
                f"{self.path} has schema {told!r}, this polydx reads {SCHEMA}; update polydx, or {REMEDY}"
            )
        listed = found.get("parts")
        there = {name: size for name, size in self.sizes.items() if name != MANIFEST}
        told = (
            {n: p.get("bytes") if isinstance(p, dict) else None for n, p in listed.items()}
            if isinstance(listed, dict)
            else {}
        )
        problems = [Problem(n, f"has {there.get(n, 'no')} bytes, the manifest says {told.get(n, 'nothing')}")
                    for n in sorted({*there, *told}) if there.get(n) != told.get(n)]  # fmt: skip
        if problems:
            self._broken(problems)
        return found

    def read(self, name: str) -> bytes:
        """Return a part.

        Raises:
            BundleError: it is not there, or not what the manifest says.
        """
        if name not in self.sizes:
            self._broken([Problem(name, "is missing")])
        content = self._bytes(name)
        if hashlib.sha256(content).hexdigest() != self.manifest["parts"][name].get("sha256"):
            self._broken([Problem(name, "is not what was exported: its SHA-256 differs from the manifest's")])
        return content

    def json(self, name: str) -> Any:
        """Return a part that is JSON."""
        return parsed(self.read(name), f"{self.path}: {name}")

    def text(self, name: str) -> str:
        """Return a part that is text."""
        return self.read(name).decode("utf-8", errors="replace")

    def arrays(self, name: str) -> dict[str, Any]:
        """Return a part that holds arrays by name.

        Raises:
            BundleError: it is not there, broken, or its tensors are not as large as they say.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        content = self.read(name)
        try:
            return dict(load(content))
        except (SafetensorError, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
            raise BundleError(f"{self.path}: {name} is broken ({error}): {REMEDY}") from None

    def _bytes(self, name: str) -> bytes:
        try:
            with zipfile.ZipFile(handle(self.path)) as archive, archive.open(name) as part:
                content = part.read(self.sizes[name] + 1)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
            self._broken([Problem(name, f"cannot be read ({error})")])
        if len(content) != self.sizes[name]:
            self._broken([Problem(name, f"has {len(content)} bytes, the archive says {self.sizes[name]}")])
        return content

    def _broken(self, problems: list[Problem]) -> NoReturn:
        raise BundleError(f"{counted(len(problems), 'problem')} in bundle {self.path}: {REMEDY}", problems)


def _wrong(info: zipfile.ZipInfo) -> list[str]:
    """Return what is wrong with one entry of the archive."""
    found = []
    if not NAMES.fullmatch(info.orig_filename) or info.is_dir():
        found.append("is no part of a bundle")
    if info.flag_bits & 0x1:
        found.append("is encrypted")
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        found.append("is compressed; parts of a bundle are stored as they are")
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        found.append("is no plain file")
    if info.filename.endswith((".json", ".md")) and info.file_size > MOST_TEXT:
        found.append(f"has {info.file_size} bytes, over the limit of {MOST_TEXT} for text")
    return found


def parsed(content: bytes, where: str) -> Any:
    """Return JSON that a stranger may have written.

    Raises:
        BundleError: no JSON, or nested without end.
    """
    depth = deepest = 0
    for byte in content.translate(None, bytes(b for b in range(256) if b not in b"[]{}")):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > MOST_DEPTH:
        raise BundleError(f"{where} is nested deeper than {MOST_DEPTH} levels")
    try:
        return json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where} is broken ({error}): {REMEDY}") from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def write_parts(path: Path, parts: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write a bundle, whole or not at all; arguments as in `zipped`.

    Raises:
        ConfigError: it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(zipped(parts, manifest))


def zipped(parts: Mapping[str, bytes], manifest: Mapping[str, Any]) -> bytes:
    """Return a bundle; the same content gives the same bytes.

    Args:
        parts: name -> content.
        manifest: what the bundle says of itself; schema, sizes and hashes are added.
    """
    listed = {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in sorted(parts.items())}
    described = as_json({"schema": SCHEMA, **manifest, "parts": listed})
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name, content in [(MANIFEST, described), *sorted(parts.items())]:
            info = zipfile.ZipInfo(name, NEVER)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            archive.writestr(info, content)
    return held.getvalue()


def as_json(content: Any) -> bytes:
    """Return JSON as it stands in a bundle."""
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
