"""From the bytes of a request to cases: JSON with numbers or files in base64, or a form with files."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from polydx.errors import PolydxError, Problem, ReadError, counted
from polydx.io.source import FileBytes
from polydx.serve.bodies import Share
from polydx.serve.cases import Case, Rows, Values, split_rows
from polydx.serve.decode import MOST_ROWS, looks_like_image, read_image_file, read_spectra_file, spectra_of_numbers
from polydx.serve.multipart import parse_form
from polydx.serve.options import Options
from polydx.serve.refusals import RefusedError, too_large
from polydx.serve.schemas import Cell, FileContent, PredictIn, SampleIn, SpectraNumbers
from polydx.serve.served import Served

ANY = "files"
"""The field of a form whose files go where their content fits."""
EXPECTED = {"spectra": "axis and values, or a file", "images": "a file", "table": "columns and values"}
FORMS = re.compile(r"SpectraNumbers|FileContent|(dict|list)\[.*\]|float|bool|constrained-str")
"""What pydantic calls the forms that a measurement or a cell may have."""
Told: TypeAlias = tuple[tuple[int | str, ...], str]
CELLS: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Cell])


class Parser:
    """Turns one request into cases.

    Args:
        served: the model that is asked.
        options: the limits.
        share: told what is unpacked.
        together: all files of a form belong to one patient; else each file is one.
    """

    def __init__(self, served: Served, options: Options, share: Share, together: bool = False) -> None:
        self.served, self.options, self.share, self.together = served, options, share, together
        self.left = options.max_files
        self.end = time.monotonic() + options.timeout

    def cases(self, content_type: str, body: bytes) -> list[Case]:
        """Return what a request asks about.

        Raises:
            RefusedError: neither JSON nor a form, too large, too many, or nothing that the model takes.
            PolydxError: what a reader says of a file; all files that cannot be read are listed.
        """
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "application/json":
            found = self._from_json(body)
        elif kind == "multipart/form-data":
            found = self._from_form(parse_form(content_type, body, self.options.max_files))
        else:
            what = f"the content type is {kind or 'not given'}; send application/json or multipart/form-data"
            raise RefusedError(415, "unsupported-media-type", what)
        if len(found) > MOST_ROWS:
            raise too_large(f"{len(found)} samples, over {MOST_ROWS}; send less at a time, or use `polydx predict`")
        return found

    def _from_json(self, body: bytes) -> list[Case]:
        try:
            asked = PredictIn.model_validate_json(body)
        except ValidationError as error:
            raise _not_valid(error) from error
        return [self._case(i, sample) for i, sample in enumerate(asked.samples)]

    def _case(self, i: int, sample: SampleIn) -> Case:
        case = Case(sample.name or f"sample {i + 1}")
        for modality, found in sample.inputs.items():
            where = f"samples.{i}.inputs.{modality}"
            kind = self._kind(modality, where)
            if isinstance(found, FileContent) and kind != "table":
                case.rows[modality] = [self._read(modality, _decoded(found, where))]
            elif isinstance(found, SpectraNumbers) and kind == "spectra":
                case.rows[modality] = [spectra_of_numbers(where, found.axis, found.values)]
            elif isinstance(found, dict) and kind == "table":
                case.values[modality] = found
            else:
                what = {"spectra": "axis and values, or a file", "images": "a file", "table": "columns and values"}[
                    kind
                ]
                raise _bad_input(where, f"is a modality of kind {kind}; expected {what}")
        return case

    def _from_form(self, fields: Sequence[tuple[str, str | FileBytes]]) -> list[Case]:
        rows: dict[str, list[tuple[str, Rows]]] = {}
        values: dict[str, Values] = {}
        problems: list[Problem] = []
        for name, content in fields:
            if isinstance(content, str):
                values[name] = self._columns(name, content)
                continue
            try:
                modality = self._place(content) if name == ANY else name
                self._kind(modality, f"field '{name}'")
                rows.setdefault(modality, []).append((content.name, self._read(modality, content)))
            except PolydxError as error:
                problems += error.problems or [Problem(content.name, error.message)]
        if problems:
            raise ReadError(f"{counted(len(problems), 'problem')} in the files; nothing was predicted", problems)
        if not rows and not values:
            raise RefusedError(422, "bad-input", "the form holds no file and no values")
        return self._joined(rows, values)

    def _joined(self, rows: Mapping[str, list[tuple[str, Rows]]], values: dict[str, Values]) -> list[Case]:
        """Return a case a spectrum or frame, a case a file, or one of all: as the model has it."""
        if len(self.served.kinds) == 1 and rows and not values:
            ((modality, found),) = rows.items()
            if self.served.unit == "sample":
                return split_rows(modality, found)
            if not self.together:
                return [Case(file, {modality: [read]}) for file, read in found]
        first = next((found[0][0] for found in rows.values()), "values")
        return [Case(first, {m: [read for _, read in found] for m, found in rows.items()}, values)]

    def _kind(self, modality: str, where: str) -> str:
        kind = self.served.kinds.get(modality)
        if kind is None:
            known = ", ".join(self.served.kinds)
            raise _bad_input(where, f"the model has no modality '{modality[:80]}'; it takes: {known}")
        return str(kind)

    def _place(self, file: FileBytes) -> str:
        """Return the modality a file belongs to by its content.

        Raises:
            ReadError: none is of that kind, or several are.
        """
        kind = "images" if looks_like_image(file) else "spectra"
        fitting = self.served.of_kind(kind)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            what = f"may be any of {', '.join(fitting)}; send it in the field of that name"
        elif kind == "images":
            what = f"is an image; the model takes {self._wanted()}"
        elif self.served.of_kind("images"):
            what = "is no image that can be read; the model takes JPEG, PNG, TIFF, BMP, DICOM, GIF, WebP or JPEG 2000"
        else:
            what = f"is not what the model takes: {self._wanted()}"
        raise ReadError("a file does not fit the model", [Problem(file.name, what)])

    def _wanted(self) -> str:
        return ", ".join(f"{kind} ({name})" for name, kind in self.served.kinds.items())

    def _read(self, modality: str, file: FileBytes) -> Rows:
        if time.monotonic() > self.end:  # nobody waits for the rest any more
            raise RefusedError(503, "too-long", "the files took too long to read; send fewer or smaller ones")
        if self.served.kinds[modality] == "spectra":
            self.left -= 1
            self._check_left()
            return read_spectra_file(file, self.share)
        if self.served.kinds[modality] == "table":
            raise _bad_input(file.name, f"'{modality}' takes columns and values as JSON, not a file")
        found = read_image_file(file, self.served.about[modality].get("window"), self.share, self.left)
        self.left -= len(found)
        self._check_left()
        return found

    def _check_left(self) -> None:
        if self.left < 0:
            raise too_large(f"more than {self.options.max_files} files or frames; send less at a time")

    def _columns(self, name: str, text: str) -> Values:
        """Return the columns of a table, sent as JSON in a field of its name."""
        if self._kind(name, f"field '{name[:80]}'") != "table":
            raise _bad_input(f"field '{name}'", "is text; send a file")
        try:
            return CELLS.validate_json(text)
        except ValidationError as error:
            raise _not_valid(error, name) from error


def _decoded(content: FileContent, where: str) -> FileBytes:
    try:
        data = base64.b64decode(content.base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_input(where, "its base64 cannot be decoded") from error
    return FileBytes(content.name or where.rpartition(".")[2], data)


def _not_valid(error: ValidationError, place: str = "") -> RefusedError:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(e["type"] == "json_invalid" for e in found):
        return RefusedError(400, "bad-json", f"not readable as JSON: {found[0]['msg']}")
    told = _likeliest([(e["loc"], e["msg"]) for e in found])
    problems = [Problem(".".join(map(str, (place, *loc) if place else loc)), what) for loc, what in told]
    return RefusedError(422, "bad-input", f"{counted(len(problems), 'problem')} in the request", problems)


def _bad_input(where: str, what: str) -> RefusedError:
    return RefusedError(422, "bad-input", "the request does not fit the model", [Problem(where, what)])


def _likeliest(found: Sequence[Told], depth: int = 0) -> list[Told]:
    """Return what is wrong with the form that was probably meant: a value that is none of several forms fails in each.

    Args:
        found: place and words; a form that was tried is a part of the place.
        depth: of the part to look at.

    Returns:
        Those of the form with fewest troubles, without its name.
    """
    parts: dict[Any, list[Told]] = {}
    for loc, what in found:
        parts.setdefault(loc[depth] if len(loc) > depth else None, []).append((loc, what))
    if len(parts) > 1 and all(isinstance(part, str) and FORMS.fullmatch(part) for part in parts):
        tried = [[(loc[:depth] + loc[depth + 1 :], what) for loc, what in listed] for listed in parts.values()]
        return min((_likeliest(listed, depth) for listed in tried), key=len)
    alone = parts.pop(None, [])
    return [*alone, *(one for listed in parts.values() for one in _likeliest(listed, depth + 1))]
