"""What a check found, and what stops a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from polydx.errors import LeakageError, Problem, StudyError, counted

Severity: TypeAlias = Literal["error", "warning", "note"]

LEAKS = frozenset({"patient-on-both-sides", "copies", "pretraining"})
MOST_LISTED = 20


@dataclass(frozen=True)
class Finding:
    """One thing a check has to say about a study.

    Attributes:
        severity: `error` stops a run, `warning` may change what the figures mean, `note` is good to know.
        check: name of the check.
        where: sample, patient, column or task it is about.
        message: what was found, and what to do.
        details: the numbers behind it, ready for JSON.
    """

    severity: Severity
    check: str
    where: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)


def findings_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return the findings as checks.json holds them."""
    return [asdict(finding) for finding in findings]


def refuse(findings: Iterable[Finding]) -> None:
    """Stop if there is an error among the findings.

    Raises:
        LeakageError: test patients would be known in training; lists every error.
        StudyError: there are errors of another kind only.
    """
    errors = [f for f in findings if f.severity == "error"]
    if not errors:
        return
    kind = LeakageError if any(f.check in LEAKS for f in errors) else StudyError
    message = f"{counted(len(errors), 'problem')} found before training; nothing was fitted"
    raise kind(message, [Problem(f.where, f.message) for f in errors])


def listed(names: Sequence[Any], most: int = 3) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"'{name}'" for name in names[:most]) + more
