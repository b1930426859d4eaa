"""Refusals as HTTP answers: one shape for all, with the library's own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from polydx.errors import PolydxError, Problem

MOST_PROBLEMS = 20
RETRY_SECONDS = "2"


class RefusedError(Exception):
    """A request that gets no answer.

    Args:
        status: of HTTP.
        code: one word for programs.
        message: one sentence for people.
        problems: the single problems, with the place of each.
    """

    def __init__(self, status: int, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.problems = status, code, message, tuple(problems)


def too_large(message: str) -> RefusedError:
    """Return the refusal of more than the server takes."""
    return RefusedError(413, "too-large", message)


def body(code: str, message: str, problems: Sequence[Problem] = ()) -> dict[str, Any]:
    """Return what a refusal is told as."""
    told = [{"where": p.where, "what": p.what} for p in problems[:MOST_PROBLEMS]]
    return {"error": {"code": code, "message": message, "problems": told}}


def answer(status: int, code: str, message: str, problems: Sequence[Problem] = ()) -> JSONResponse:
    """Return a refusal as a response."""
    headers = {"Retry-After": RETRY_SECONDS} if status == 503 else {}
    headers |= {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse(body(code, message, problems), status, headers)


async def refused(_: Request, error: Exception) -> JSONResponse:
    """Answer what this package refuses."""
    assert isinstance(error, RefusedError)
    return answer(error.status, error.code, error.message, error.problems)


async def bad_input(_: Request, error: Exception) -> JSONResponse:
    """Answer what the library refuses."""
    assert isinstance(error, PolydxError)
    return answer(422, "bad-input", error.message, error.problems)


async def bad_request(_: Request, error: Exception) -> JSONResponse:
    """Answer a parameter that is missing or of another type."""
    assert isinstance(error, RequestValidationError)
    found = [Problem(".".join(map(str, e["loc"])), str(e["msg"])) for e in error.errors()]
    return answer(422, "bad-request", "the request is not what it should be", found)


async def no_such_page(_: Request, error: Exception) -> JSONResponse:
    """Answer an address or a method that is not served."""
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "bad-request")
    response = answer(error.status_code, code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def out_of_memory(_: Request, _error: Exception) -> JSONResponse:
    """Answer what took more memory than there is."""
    return answer(413, "too-large", "the request needs more memory than there is; send less at a time")


HANDLERS: dict[int | type[Exception], Any] = {
    RefusedError: refused,
    PolydxError: bad_input,
    RequestValidationError: bad_request,
    HTTPException: no_such_page,
    MemoryError: out_of_memory,
}
