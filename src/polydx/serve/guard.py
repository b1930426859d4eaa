"""What stands in front of every request: who may ask, what every answer carries, and one line of log."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polydx.serve.logs import LOG, where
from polydx.serve.options import Options
from polydx.serve.refusals import answer

NOTES = "polydx"
"""Where a route leaves what the log may tell: counts and names of models, nothing of patients."""

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Checks host and key, adds headers, answers what nobody caught, writes the log.

    Args:
        app: what is guarded.
        options: allowed hosts and keys.
    """

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self.app, self.hosts = app, options.hosts
        self.keys = [hashlib.sha256(key.encode()).digest() for key in options.api_keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        notes: dict[str, Any] = {}
        scope[NOTES], started, status, request_id = notes, time.perf_counter(), 0, secrets.token_hex(6)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY | {"x-request-id": request_id})
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await (self._refusal(Headers(scope=scope), scope["path"]) or self.app)(scope, receive, sending)
        except Exception as error:
            notes |= where(error)
            if status:  # the answer had begun: cut it off
                raise
            await answer(500, "internal", f"the server failed; its log says where, under {request_id}")(
                scope, receive, sending
            )
        finally:
            told = {"id": request_id, "method": _method(scope), "route": _route(scope), "status": status}
            LOG.info("request", extra={"fields": told | {"ms": _ms(started)} | notes})

    def _refusal(self, headers: Headers, path: str) -> ASGIApp | None:
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if self.hosts and name.strip("[]") not in self.hosts:
            return answer(400, "unknown-host", "the server is not known by this name; see --allow-host")
        if self.keys and path.startswith("/v1") and not self._knows(headers):
            return answer(401, "no-key", "send the API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`")
        return None

    def _knows(self, headers: Headers) -> bool:
        """Return whether a key is right, in a time that does not tell how nearly."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        sent = headers.get("x-api-key") or (token.strip() if kind.lower() == "bearer" else "")
        digest = hashlib.sha256(sent.encode("utf-8", "surrogateescape")).digest()
        right = [hmac.compare_digest(digest, key) for key in self.keys]  # all of them: no early end to be timed
        return any(right)


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH") else "other"


def _route(scope: Scope) -> str:
    """Return the pattern of the address, for the address itself may hold anything."""
    return str(getattr(scope.get("route"), "path", "none"))


def _ms(started: float) -> float:
    return round(1000 * (time.perf_counter() - started), 1)
