"""Every error polydx raises on purpose: what is wrong, where, and what to do.

An error may carry a list of problems, so that a user mends all of them in one go::

    StudyError: 2 problems in study 'als-saliva'
      spectra/59_AD.txt  line 412: expected two numbers, found '1199.4 n/a'
      samples.csv row 18 patient is empty; every sample needs a patient
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LISTED = 20


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `where` (file, row, key) and `what` (found, expected, remedy)."""

    where: str
    what: str


class PolydxError(Exception):
    """Base of all errors a user can cause and mend.

    Args:
        message: one sentence that says what, where and what to do.
        problems: the single problems behind it, all listed under the message.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, tuple(problems))
        self.message = message
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """Return the message, with one indented line a problem."""
        width = min(40, max((len(p.where) for p in self.problems), default=0))
        lines = [self.message]
        lines += [f"  {p.where:<{width}}  {p.what}" for p in self.problems[:MOST_LISTED]]
        if len(self.problems) > MOST_LISTED:
            lines.append(f"  ... and {len(self.problems) - MOST_LISTED} more")
        return "\n".join(lines)


class ConfigError(PolydxError):
    """The YAML or an option is wrong: unknown key, wrong type, impossible combination."""


class StudyError(PolydxError):
    """Samples, modalities, tasks and labels do not fit together."""


class ReadError(PolydxError):
    """A file cannot be read as what it should hold."""


class SpectrumError(PolydxError):
    """Intensities that no spectrum can have, or that a step cannot work on."""


class ImageError(PolydxError):
    """Pixels that a step cannot work on, or images that do not fit together."""


class AxisError(PolydxError):
    """A wavenumber axis that is not one, or that does not fit another."""


class LeakageError(PolydxError):
    """Something of the test patients would be known in training."""


class BundleError(PolydxError):
    """A model folder or bundle that is broken, tampered with or does not fit the input."""


def counted(number: int, noun: str) -> str:
    """Return `number` and `noun` in its right form: '1 problem', '3 problems'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
