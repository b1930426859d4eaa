"""Requests and answers as JSON: what stands in the OpenAPI document, and what is checked against it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_POINTS = 100_000
MOST_NAME = 200

Number = Annotated[float, Field(allow_inf_nan=False)]
Row = Annotated[list[Number], Field(min_length=1, max_length=MOST_POINTS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class SpectraNumbers(_Strict):
    """Spectra as numbers: intensities, one or several rows, on one axis."""

    axis: Row = Field(description="Raman shift in cm^-1, rising or falling.")
    values: Row | Annotated[list[Row], Field(min_length=1)] = Field(description="One spectrum, or a list of them.")


class FileContent(_Strict):
    """A file of spectra (text, CSV, XLSX) or an image (JPEG, PNG, TIFF, DICOM ...), whole."""

    name: str = Field("", max_length=MOST_NAME, description="Its name; the extension counts.")
    base64: str = Field(min_length=1, description="Its bytes in base64.", json_schema_extra={"format": "byte"})


Cell = Number | bool | Annotated[str, Field(max_length=MOST_NAME)] | None
Inputs = SpectraNumbers | FileContent | dict[str, Cell]


class SampleIn(_Strict):
    """One sample: what is known of it, by modality. A modality that is left out is missing."""

    name: str = Field("", max_length=MOST_NAME, description="Comes back in the answer; never logged.")
    inputs: dict[str, Inputs] = Field(min_length=1, description="Modality -> measurement, file, or columns of a table.")


class PredictIn(_Strict):
    """Samples to be answered."""

    samples: list[SampleIn] = Field(min_length=1)


class TaskAnswer(BaseModel):
    """What the model says of one task of one sample."""

    decision: str | None = Field(description="At the model's operating point.")
    probabilities: dict[str, float | None]
    set: list[str] | None = Field(
        None, description="The classes that cannot be ruled out at the coverage of the model."
    )


class View(BaseModel):
    """A measurement as it was read, made small enough to be shown."""

    kind: Literal["spectra", "images", "table"]
    axis: list[float] | None = None
    values: list[list[float]] | None = None
    image: str | None = Field(None, description="PNG as a data URL.")
    width: int | None = None
    height: int | None = None
    columns: dict[str, Any] | None = None


class Answer(BaseModel):
    """The answer to one sample."""

    sample: str
    tasks: dict[str, TaskAnswer]
    modalities: list[str] = Field(description="Those that were used.")
    warnings: list[str]
    views: dict[str, View] | None = None


class PredictOut(BaseModel):
    """The answers, in the order of the samples."""

    model: str
    note: str = "Research use only. Not a medical device."
    answers: list[Answer]


class Band(BaseModel):
    """How much the probability falls if this part of the measurement is hidden; below 0 it rises."""

    low: float
    high: float
    importance: float


class Part(BaseModel):
    """Where in one modality an answer comes from."""

    kind: Literal["spectra", "images", "table"]
    bands: list[Band] | None = Field(None, description="Of spectra, in cm^-1.")
    grid: list[list[float]] | None = Field(None, description="Of an image, row by row from its upper left.")
    columns: dict[str, float] | None = Field(None, description="Of a table.")


class ExplainOut(BaseModel):
    """What an answer rests on: the fall of the probability where a part is hidden (occlusion)."""

    model: str
    sample: str
    task: str
    label: str
    probability: float
    without: dict[str, float] | None = Field(None, description="The probability if a whole modality is left out.")
    parts: dict[str, Part]
    views: dict[str, View]


class ModelOut(BaseModel):
    """What a model asks for, and what it answers."""

    name: str
    unit: Literal["sample", "patient"]
    tasks: dict[str, dict[str, Any]]
    modalities: dict[str, dict[str, Any]]
    card: str = Field("", description="The model card, in Markdown.")


class ModelsOut(BaseModel):
    """The models that are served."""

    note: str = "Research use only. Not a medical device."
    models: list[ModelOut]


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str
    models: int


class Trouble(BaseModel):
    """One thing that is wrong, and where."""

    where: str
    what: str


class ErrorBody(BaseModel):
    """Why there is no answer."""

    code: str
    message: str
    problems: list[Trouble]


class ErrorOut(BaseModel):
    """A refusal."""

    error: ErrorBody


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorOut, "description": "Not readable as JSON or as a form."},
    401: {"model": ErrorOut, "description": "No API key, or another one than the server's."},
    404: {"model": ErrorOut, "description": "No such model."},
    408: {"model": ErrorOut, "description": "The request came too slowly."},
    413: {"model": ErrorOut, "description": "Too large, or too much once it is unpacked."},
    415: {"model": ErrorOut, "description": "Neither JSON nor a form."},
    422: {"model": ErrorOut, "description": "Read, but not what the model takes."},
    503: {"model": ErrorOut, "description": "Too busy; try again."},
}

READING: dict[int | str, dict[str, Any]] = {status: REFUSALS[status] for status in (401, 404, 422)}
