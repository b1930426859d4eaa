"""The columns of a table modality: what each holds, and which cells are no value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, field_validator, model_validator

from polydx.config.base import Strict

ColumnKind: TypeAlias = Literal["number", "category", "ordinal", "date", "several"]

OF_A_KIND: dict[str, tuple[str, ...]] = {
    "unit": ("number", "date"),
    "decimal": ("number",),
    "order": ("ordinal",),
    "since": ("date",),
    "format": ("date",),
    "separator": ("several",),
    "values": ("several",),
    "none": ("several",),
}
"""Keys that mean something for some kinds of column alone."""
NEEDED: dict[str, tuple[str, str]] = {
    "ordinal": ("order", "`order: [LOWEST, ..., HIGHEST]`"),
    "date": ("since", "`since: COLUMN`, the date to count from: a date alone says nothing of a new patient"),
    "several": ("separator", "`separator: TEXT`, what stands between the values of a cell"),
}


def as_words(found: Any) -> Any:
    """Return a list of words as text: YAML reads `[1, 2]` as numbers and `[yes, no]` as truth values."""
    if isinstance(found, list) and any(isinstance(word, bool) for word in found):
        raise ValueError("YAML reads yes/no/on/off as true/false: put quotes around the words")
    return (
        [str(word) if isinstance(word, int | float) else word for word in found] if isinstance(found, list) else found
    )


Words: TypeAlias = Annotated[list[str], BeforeValidator(as_words)]


class ColumnConfig(Strict):
    """One column: in YAML its kind alone, or a section."""

    kind: ColumnKind
    name: str | None = Field(None, description="what the column is called in the study; as in the file if left out")
    missing: Words = Field(default_factory=list, description="cells that are no value, beside those of the table")
    without: Words = Field(default_factory=list, description="text taken out of every cell")
    unit: str | None = None
    decimal: Literal[".", ","] | None = None
    order: Words = Field(default_factory=list)
    since: str | None = None
    format: str | None = None
    separator: str | None = Field(None, min_length=1)
    values: Words = Field(default_factory=list)
    none: Words = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, found: Any) -> Any:
        return {"kind": found} if isinstance(found, str) else found

    @model_validator(mode="after")
    def _fits_its_kind(self) -> ColumnConfig:
        strange = [key for key, kinds in OF_A_KIND.items() if getattr(self, key) and self.kind not in kinds]
        if strange:
            raise ValueError(f"`{strange[0]}` is for {' and '.join(OF_A_KIND[strange[0]])}, not for {self.kind}")
        key, example = NEEDED.get(self.kind, ("kind", ""))
        if not getattr(self, key):
            raise ValueError(f"{self.kind} needs {example}")
        if self.kind == "date" and self.unit not in (None, "days", "years"):
            raise ValueError(f"a difference of dates is in `unit: days` or `unit: years`, found '{self.unit}'")
        if len(set(self.order)) < len(self.order):
            raise ValueError("`order` names a level twice")
        return self


class TableConfig(Strict):
    """Typed columns of a table, joined by patient or sample."""

    kind: Literal["table"]
    file: Path | None = None
    by: Literal["patient", "sample"] = "patient"
    columns: dict[str, ColumnConfig] = Field(min_length=1)
    missing: Words = Field(default_factory=list, description="cells that are no value, in every column")

    @field_validator("columns", mode="before")
    @classmethod
    def _named_by_text(cls, found: Any) -> Any:
        return {str(name): column for name, column in found.items()} if isinstance(found, Mapping) else found
