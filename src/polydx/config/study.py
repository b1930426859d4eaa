"""The `study:` section: where samples, modalities and tasks come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from polydx.config.base import Strict
from polydx.config.tables import TableConfig


class SpectraConfig(Strict):
    """Spectra: one file a sample, or the rows of a wide table with the axis in its header.

    With `column`, the samples table names a file a row (and in `axis_column`, where the files hold intensities alone,
    the file with their axis). With `file`, a wide table whose rows are joined by sample or patient. With neither,
    the samples table is itself the wide table. Several spectra of a sample are pooled, or with `rows: samples` become
    a sample each.
    """

    kind: Literal["spectra"]
    column: str | None = None
    axis_column: str | None = None
    file: Path | None = None
    by: Literal["patient", "sample"] = "sample"
    rows: Literal["pooled", "samples"] = "pooled"
    axis: Literal["overlap", "refuse"] = "overlap"
    copy_of: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> SpectraConfig:
        if self.column is not None and self.file is not None:
            raise ValueError("give either `column: NAME` (a file a sample) or `file: FILE` (a wide table), not both")
        if self.axis_column is not None and self.column is None:
            raise ValueError("`axis_column` names the axis of the files in `column`; give `column` too")
        return self


class ImagesConfig(Strict):
    """Images: one file a row, named in a column of the samples table.

    A file of several frames has a row of the modality a frame; they are pooled, or with `rows: samples` become a sample
    each. `window` is for DICOM: (centre, width) in the units of the modality, or `file` for what the header says.
    """

    kind: Literal["images"]
    column: str
    rows: Literal["pooled", "samples"] = "pooled"
    window: Literal["file"] | tuple[float, float] | None = None
    copy_of: str | None = None

    @field_validator("window")
    @classmethod
    def _has_width(cls, found: Any) -> Any:
        if isinstance(found, tuple) and not found[1] >= 1:
            raise ValueError("a window is [centre, width] with a width of at least 1, such as [40, 400]")
        return found


ModalityConfig: TypeAlias = Annotated[SpectraConfig | ImagesConfig | TableConfig, Field(discriminator="kind")]


class TaskConfig(Strict):
    """One question: the column that answers it and its classes, in order."""

    column: str
    classes: list[str] = Field(min_length=2)
    level: Literal["patient", "sample"] = "patient"
    parent: tuple[str, str] | None = None
    ordinal: bool = False
    positive: str | None = None

    @field_validator("classes", mode="before")
    @classmethod
    def _as_text(cls, found: Any) -> Any:
        """YAML reads `[0, 1]` as numbers and `[yes, no]` as truth values; class names are text."""
        if isinstance(found, list) and any(isinstance(c, bool) for c in found):
            raise ValueError("YAML reads yes/no/on/off as true/false: put quotes around the class names")
        return [str(c) if isinstance(c, int | float) else c for c in found] if isinstance(found, list) else found


class GroupConfig(Strict):
    """What keeps images together where no column tells patients apart.

    Groups are no patients: they keep images that are likely to be one patient's on one side of a split.
    """

    by: Literal["sequence", "duplicates", "image", "patient-id"]
    size: int = Field(20, ge=1, description="of a run, with `by: sequence`")
    bits: int = Field(4, ge=0, le=20, description="of 64, in which near duplicates may differ")


class StudyConfig(Strict):
    """Either a named dataset, or the user's own samples table with modalities and tasks."""

    dataset: str | None = None
    name: str | None = None
    samples: Path | None = None
    patient_column: str = Field("patient", description="column of the samples table that tells patients apart")
    sample_column: str = Field("sample", description="column with unique ids; files or row numbers if it is not there")
    group: GroupConfig | None = None
    unit: Literal["sample", "patient"] = "sample"
    modalities: dict[str, ModalityConfig] = Field(default_factory=dict)
    tasks: dict[str, TaskConfig] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> StudyConfig:
        if (self.dataset is None) == (self.samples is None):
            raise ValueError("give either `dataset: NAME` (a named study) or `samples: FILE` (your own table)")
        if self.samples is not None and not (self.modalities and self.tasks):
            raise ValueError("your own samples need `modalities:` and `tasks:`")
        for name, modality in self.modalities.items():
            original = getattr(modality, "copy_of", None)
            if original is not None and (
                original == name or getattr(self.modalities.get(original), "kind", None) != modality.kind
            ):
                raise ValueError(f"`copy_of` of '{name}' names another modality of {modality.kind}, found '{original}'")
        if self.dataset is not None and (self.modalities or self.tasks):
            raise ValueError("a named dataset brings its own modalities and tasks; leave them out")
        if self.dataset is not None and (self.patient_column, self.sample_column) != ("patient", "sample"):
            raise ValueError("a named dataset knows its columns; leave `patient_column` and `sample_column` out")
        if self.group is not None and (self.unit == "patient" or self.patient_column != "patient"):
            raise ValueError("`group` stands in for patients that are not known: leave `patient_column` and `unit` out")
        if self.samples is not None and self.options:
            raise ValueError("`options` belong to a named dataset")
        return self
