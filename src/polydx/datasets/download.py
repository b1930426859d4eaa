"""Download one file over HTTP: resumed where it broke off, bounded, and never taken for something it is not."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any, TypeAlias
from urllib.parse import urlsplit

from polydx import __version__
from polydx.errors import ReadError
from polydx.io.atomic import write_json

Progress: TypeAlias = Callable[[int, int | None], None]

CHUNK = 1 << 16
TIMEOUT = 30.0  # seconds without a byte
MOST_BYTES = 1 << 30
MOST_REDIRECTS = 5
SCHEMES = ("http", "https")


@dataclass(frozen=True)
class _Begun:
    """What is known of a download that was begun: from where, and which version of the file."""

    url: str
    validator: str


def download(
    url: str,
    part: Path,
    progress: Progress | None = None,
    *,
    most_bytes: int = MOST_BYTES,
    timeout: float = TIMEOUT,
) -> Path:
    """Download a file to `part`, going on where an earlier call was interrupted.

    An earlier part is continued only if the server vouches, by `If-Range`, that the file has not changed since;
    else the download starts again.

    Args:
        url: http or https; redirects are followed, at most five, never to another scheme or from https to http.
        part: where the bytes go; stays after an interruption, with its `.json` beside it.
        progress: called with the bytes so far and in all (None if the server does not say).
        most_bytes: refuse more than this.
        timeout: seconds without a byte after which the connection counts as lost.

    Returns:
        `part`, whole as far as the server's length tells.

    Raises:
        ReadError: no connection, an interruption (calling again resumes), an HTTP error, too large, or a web page in
            place of a file.
    """
    _check_scheme(url)
    part.parent.mkdir(parents=True, exist_ok=True)
    have, validator = _earlier(url, part)
    request = urllib.request.Request(
        url, headers={"User-Agent": f"polydx/{__version__}", "Accept-Encoding": "identity"}
    )
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator)
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=timeout) as answer:
            return _receive(answer, url, part, have, progress, most_bytes)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            forget(part)
            return download(url, part, progress, most_bytes=most_bytes, timeout=timeout)
        raise ReadError(f"{url}: the server answers {error.code} {error.reason}; nothing was downloaded") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _interrupted(url, part, None, f"{type(error).__name__}: {reason}") from error


def forget(part: Path) -> None:
    """Remove a part and what is known of it, so that the next download starts anew."""
    part.unlink(missing_ok=True)
    _about(part).unlink(missing_ok=True)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow a few redirects, to web addresses only."""

    max_redirections = MOST_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse other schemes, and a step down from https, before anything is asked there."""
        _check_scheme(newurl)
        if req.type == "https" and urlsplit(newurl).scheme == "http":
            raise ReadError(f"{req.full_url} leads on to {newurl}, which is not encrypted; refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES:
        raise ReadError(f"{url} is no web address; expected http:// or https://")


def _about(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _earlier(url: str, part: Path) -> tuple[int, str]:
    """Return how many bytes of this very address are here, and the validator they came with; (0, '') if none."""
    try:
        begun = _Begun(**json.loads(_about(part).read_text(encoding="utf-8")))
        have = part.stat().st_size
    except (OSError, ValueError, TypeError):
        return 0, ""
    return (have, begun.validator) if begun.url == url and begun.validator else (0, "")


def _receive(answer: Any, url: str, part: Path, have: int, progress: Progress | None, most_bytes: int) -> Path:
    """Write the body behind what is there (206), or in its place (200)."""
    if answer.headers.get_content_type() == "text/html":
        raise ReadError(
            f"{url}: the server sent a web page, not a file; is the address still right, or a login wanted?"
        )
    start = have if answer.status == http.client.PARTIAL_CONTENT else 0
    if start and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
        forget(part)
        raise ReadError(f"{url}: the server sent other bytes than were asked for; run the same again to start anew")
    length = answer.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else None
    if total is not None and total > most_bytes:
        raise ReadError(f"{url} holds {total / 1e6:.0f} MB, more than the {most_bytes / 1e6:.0f} MB expected; refused")
    write_json(_about(part), asdict(_Begun(url, _validator(answer.headers))))
    done = start
    with part.open("ab" if start else "wb") as file:
        while chunk := answer.read(CHUNK):
            done += len(chunk)
            if done > most_bytes:
                break
            file.write(chunk)
            if progress is not None:
                progress(done, total)
    if done > most_bytes:
        forget(part)
        raise ReadError(f"{url} goes on beyond the {most_bytes / 1e6:.0f} MB expected; refused")
    if total is not None and done < total:
        raise _interrupted(url, part, total, "the connection was closed")
    return part


def _validator(headers: Message) -> str:
    """Return what `If-Range` may name: a strong entity tag, else the date, else nothing."""
    tag = headers.get("ETag") or ""
    return tag if tag.startswith('"') else headers.get("Last-Modified") or ""


def _interrupted(url: str, part: Path, total: int | None, why: str) -> ReadError:
    have = part.stat().st_size if part.is_file() else 0
    of = f" of {total / 1e6:.1f}" if total else ""
    what = f"{url}: interrupted after {have / 1e6:.1f}{of} MB ({why})"
    return ReadError(f"{what}; run the same again to resume" if have else f"{what}; is there a connection?")
