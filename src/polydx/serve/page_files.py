"""The files of the web page: part of the package, read once, served from memory."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class PageFiles:
    """Answers with the files in `page/`, and with nothing else."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, str, str]] = {}
        for entry in files("polydx.serve").joinpath("page").iterdir():
            kind = TYPES.get(entry.name.rpartition(".")[2])
            if kind is not None:
                data = entry.read_bytes()
                tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
                self.files[entry.name] = (data, f"{kind}; charset=utf-8", tag)

    def answer(self, request: Request, name: str) -> Response | None:
        """Return a file, or that the browser's copy is good; None if there is none of that name."""
        if name not in self.files:
            return None
        data, kind, tag = self.files[name]
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=kind, headers=headers)
