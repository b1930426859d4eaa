"""A chain of steps from a table of typed columns to a matrix of numbers, fitted on training rows, stored as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from polydx.errors import BundleError, ConfigError, Problem, StudyError, counted
from polydx.params import check_params, unknown
from polydx.preprocessing.named import Described, name_and_params, plain_params
from polydx.preprocessing.spectra.base import raise_not_fitted
from polydx.preprocessing.tables import STEPS, SelectColumns, TableStep
from polydx.preprocessing.tables.base import Column, ColumnType, Kind, Learned, typed_columns, types_of

if TYPE_CHECKING:
    import pandas as pd

STATE_VERSION = 1
KIND = "table"
DEFAULT = ("impute", "one_hot", "standardise")
NEEDED = ("impute", "one_hot")
"""Steps without which gaps and text would reach the model; put in where a list leaves them out."""


@dataclass(frozen=True)
class Field:
    """Which columns of the matrix stand for a column of the table: its value or categories, and what was missing.

    Attributes:
        name: of the table's column.
        kind: `number`, `ordinal` or `category`.
        start: first column of the matrix.
        stop: one after the last.
    """

    name: str
    kind: Kind
    start: int
    stop: int


class TablePipeline:
    """Steps applied one after the other.

    Args:
        steps: (name, step) in order; names are those of `STEPS`.

    Attributes:
        columns: the table's columns as training rows had them, sorted by name; None before `fit`.
        learned: what each step learned, as JSON holds it.
        fields: which columns of the matrix stand for which column of the table.
        notes: sentences on columns that are left out.
    """

    def __init__(self, steps: Sequence[tuple[str, TableStep]]) -> None:
        self.steps = steps
        self.columns: tuple[ColumnType, ...] | None = None
        self.learned: list[Learned] = []
        self.fields: tuple[Field, ...] = ()
        self.notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return self.fields[-1].stop if self.fields else 0

    def fit(self, frame: pd.DataFrame) -> Self:
        """Learn from training rows; their order, and that of the columns, changes nothing.

        Args:
            frame: one row a measurement; columns of numbers, ordered categoricals or text.

        Raises:
            StudyError: no row, a column that is none of these, an infinite number, or no column with any value.
            ConfigError: a step names a column that is not there.
        """
        if len(frame) == 0:
            raise StudyError("a table without rows teaches no preprocessing: leave the modality out")
        types = self._used(types_of(frame))
        columns = typed_columns(frame, types)
        self.learned = []
        for _, step in self.steps:
            self.learned.append(step.learn(columns))
            columns = step.apply(columns, self.learned[-1])
        if not columns:
            raise StudyError("no column of the table holds a value in training rows: leave the modality out")
        kept = {column.name for column in columns}
        self.columns = tuple(about for about in types if about.name in kept)
        self.fields = _fields(columns)
        self.notes = tuple(f"column '{t.name}' has no value in training: left out" for t in types if t.name not in kept)
        return self

    def _used(self, types: Sequence[ColumnType]) -> list[ColumnType]:
        """Return the types of the columns that the steps choose: the others need not be there later."""
        names = [about.name for about in types]
        problems = self.problems(names)
        if problems:
            raise ConfigError(f"{counted(len(problems), 'problem')} in the preprocessing of a table", problems)
        empty = [Column(name, "number", np.empty(0)) for name in names]
        for name, step in self.steps:
            empty = step.apply(empty, {}) if name in ("select", "drop") else empty
        chosen = {column.name for column in empty}
        return [about for about in types if about.name in chosen]

    def problems(self, names: Sequence[str]) -> list[Problem]:
        """Return what keeps the steps from working on a table of these columns."""
        found: list[Problem] = []
        left = list(names)
        for _, step in self.steps:
            found += step.problems(left)
            left = [name for name in left if not isinstance(step, SelectColumns) or name in step.columns]
        return found

    def transform(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Return (n, D) finite numbers. Columns beside those of training are not looked at.

        Raises:
            StudyError: a column is lacking, of another type than in training, or holds an infinite number.
        """
        columns = typed_columns(frame, self._fitted())
        for (_, step), learned in zip(self.steps, self.learned, strict=True):
            columns = step.apply(columns, learned)
        return np.hstack([column.numbers() for column in columns])

    def fit_transform(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Fit on the rows and return their matrix."""
        return self.fit(frame).transform(frame)

    def unseen(self, frame: pd.DataFrame) -> dict[str, tuple[str, ...]]:
        """Return column -> its categories that training rows do not know, and that are taken as missing."""
        found = {}
        for about in self._fitted():
            if about.kind == "category" and about.name in frame.columns:
                strange = set(frame[about.name].dropna().astype(str)) - set(about.levels)
                found[about.name] = tuple(sorted(strange))
        return {name: values for name, values in found.items() if values}

    def _fitted(self) -> tuple[ColumnType, ...]:
        if self.columns is None:
            raise_not_fitted("TablePipeline", "tables")
        return self.columns

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fitted pipeline as what JSON can hold (the arrays, as other pipelines have them, are none).

        Raises:
            NotFittedError: it is not fitted.
        """
        columns = [asdict(about) for about in self._fitted()]
        described = [
            {"name": name, "params": plain_params(step.get_params()), "learned": learned}
            for (name, step), learned in zip(self.steps, self.learned, strict=True)
        ]
        fields = [asdict(field) for field in self.fields]
        return {"kind": KIND, "version": STATE_VERSION, "columns": columns, "steps": described, "fields": fields}, {}

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> TablePipeline:
        """Return the fitted pipeline that `to_state` described.

        Raises:
            BundleError: another version, a missing part, or steps that do not exist.
        """
        del arrays
        if config.get("version") != STATE_VERSION:
            raise BundleError(
                f"the preprocessing has state version {config.get('version')!r}, this polydx reads {STATE_VERSION}"
            )
        try:
            pipeline = build_table_pipeline([(str(s["name"]), dict(s["params"])) for s in config["steps"]])
            pipeline.learned = [dict(step["learned"]) for step in config["steps"]]
            pipeline.columns = tuple(ColumnType(c["name"], c["kind"], tuple(c["levels"])) for c in config["columns"])
            pipeline.fields = tuple(Field(**field) for field in config["fields"])
        except KeyError as error:
            raise BundleError(
                f"the stored preprocessing lacks {error}: the file is incomplete, export it again"
            ) from error
        except ConfigError as error:
            raise BundleError(f"the stored preprocessing is broken: {error.message}", error.problems) from error
        return pipeline

    def __repr__(self) -> str:
        """Return the names of the steps."""
        return f"TablePipeline({', '.join(name for name, _ in self.steps)})"


def build_table_pipeline(steps: Sequence[Described] = ()) -> TablePipeline:
    """Return an unfitted pipeline, after a check of all names and parameters.

    Args:
        steps: each a name, a (name, params) pair, or an object with `name` and `params`; none stands for `impute`,
            `one_hot` and `standardise`. `impute` and `one_hot` are put in where they are left out: no model takes gaps
            or text.

    Raises:
        ConfigError: lists every unknown step, unknown parameter, wrong value and step in the wrong place.
    """
    named = [name_and_params(step) for step in (steps or DEFAULT)]
    problems = [problem for name, params in named for problem in _step_problems(name, params)]
    order = list(STEPS)
    if not problems:
        problems = [
            Problem(late, f"stands after {early}: the order is {', '.join(order)}, each once")
            for (early, _), (late, _) in pairwise(named)
            if order.index(late) <= order.index(early)
        ]
    if problems:
        raise ConfigError(f"{counted(len(problems), 'problem')} in the preprocessing of a table", problems)
    given = dict(named)
    whole = [name for name in order if name in given or name in NEEDED]
    return TablePipeline([(name, STEPS[name](**given.get(name, {}))) for name in whole])


def _step_problems(name: str, params: Mapping[str, Any]) -> list[Problem]:
    if name not in STEPS:
        return [Problem(name, unknown("step", name, STEPS))]
    return check_params(STEPS[name], params, name)


def _fields(columns: Sequence[Column]) -> tuple[Field, ...]:
    stops = np.cumsum([column.numbers().shape[1] for column in columns]).tolist()
    starts = [0, *stops[:-1]]
    return tuple(Field(c.name, c.kind, a, b) for c, a, b in zip(columns, starts, stops, strict=True))
