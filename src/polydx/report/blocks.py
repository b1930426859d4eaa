"""What a section is made of; the template knows these and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Heading:
    """A heading below a section's."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Notice:
    """A paragraph that must not be overlooked; `severity` is error, warning, note, simulated or headline."""

    kind: ClassVar[str] = "notice"
    severity: str
    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Text to be copied as it is."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Flow:
    """Boxes with arrows between them: (what, how many)."""

    kind: ClassVar[str] = "flow"
    steps: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """A cell: its text, a second and third line in small print, and whether it is in bold type."""

    text: str
    small: str = ""
    strong: bool = False
    extra: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first column names the row.

    Attributes:
        caption: what stands in it.
        head: names of the columns.
        rows: cells; plain strings are cells too.
        notes: below it, such as reasons for dashes.
        numbers: columns from this one on are set as numbers.
    """

    kind: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    notes: Sequence[str] = ()
    numbers: int = 1


@dataclass(frozen=True)
class Picture:
    """A figure, drawn.

    Attributes:
        name: of its files in figures/.
        svg: the file's text.
        caption: what it shows: n, unit, interval method.
        alt: what a reader sees in it, for those who cannot.
        data: the numbers behind it, written beside it as CSV.
        number: in the report, given when the page is put together.
        inline: the element, given with the number.
    """

    kind: ClassVar[str] = "picture"
    name: str
    svg: str
    caption: str
    alt: str
    data: pd.DataFrame | None = None
    number: int = 0
    inline: Markup | None = None


@dataclass(frozen=True)
class Details:
    """Blocks that open on a click."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: Sequence[Block]


Block: TypeAlias = Text | Heading | Notice | Bullets | Code | Flow | Table | Picture | Details


@dataclass(frozen=True)
class Section:
    """One of the five questions."""

    key: str
    title: str
    blocks: Sequence[Block] = field(default_factory=list)
