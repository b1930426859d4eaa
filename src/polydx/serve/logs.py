"""Logs as one JSON object a line. Never in them: names of files and samples, values, keys, addresses of clients."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

LOG = logging.getLogger("polydx.serve")


class JsonLines(logging.Formatter):
    """Writes what a record says of itself: `LOG.info("request", extra={"fields": {...}})`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name == LOG.name else record.name,
        }
        told |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            told |= where(record.exc_info[1])
        return json.dumps(told, ensure_ascii=False)


def where(error: BaseException) -> dict[str, str]:
    """Return the kind and the place of an error; its message is left out, since it may quote what was sent."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "unknown"
    return {"error": type(error).__name__, "at": place}


def start_logging() -> None:
    """Send the server's log to stderr as JSON lines, uvicorn's warnings among them."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name, level in ((LOG.name, logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
