"""How long work tells how far it is: a protocol that the command line draws, and silence for Python callers."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a workflow tells while it works."""

    def begin(self, what: str, total: int) -> None:
        """Start counting `total` steps of `what`."""

    def step(self, what: str) -> None:
        """One step is done."""

    def say(self, text: str) -> None:
        """Tell one line."""


class Silent:
    """Tells nothing."""

    def begin(self, what: str, total: int) -> None:
        """Ignore."""

    def step(self, what: str) -> None:
        """Ignore."""

    def say(self, text: str) -> None:
        """Ignore."""
