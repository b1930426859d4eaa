"""A run as the report looks at it: outcomes of every task at the level that counts, and the recipe that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from polydx.report.words import natural_order, short_names
from polydx.study import IntArray, Task
from polydx.validation.metrics import decide
from polydx.validation.outcomes import Outcomes, leaves, under_parent
from polydx.validation.run_folder import EXTERNAL, Run
from polydx.validation.table import read_outcomes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What one recipe answered for one task, over its seeds.

    Attributes:
        outcomes: labelled units that the recipe answers.
        recipe: its name.
        decisions: (S, N) decided classes, -1 where a seed did not test the unit.
    """

    outcomes: Outcomes
    recipe: str
    decisions: IntArray

    @property
    def mean(self) -> Floats:
        """(N, K) probabilities, mean over the seeds that tested the unit (for drawing only, never for a metric)."""
        return np.asarray(np.nanmean(self.outcomes.probabilities[self.recipe], axis=0))

    @property
    def right_share(self) -> Floats:
        """(N,) share of seeds that answered rightly."""
        tested = self.decisions >= 0
        right = (self.decisions == self.outcomes.labels) & tested
        return np.asarray(right.sum(axis=0) / tested.sum(axis=0))

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return len(self.decisions)


def answers(outcomes: Outcomes, recipe: str) -> Answers:
    """Return the decisions of a recipe on the labelled units it answers, by the rule that the metrics use."""
    outcomes = outcomes.of(recipe)
    probabilities, tested = outcomes.probabilities[recipe], outcomes.tested(recipe)
    decisions = np.full(tested.shape, -1, dtype=np.int64)
    for s, there in enumerate(tested):
        thresholds = outcomes.thresholds[recipe][s, there]
        decisions[s, there] = decide(probabilities[s, there], outcomes.positive, thresholds)
    return Answers(outcomes, recipe, decisions)


@dataclass(frozen=True)
class View:
    """A run and what is derived from it once.

    Attributes:
        run: the run.
    """

    run: Run

    @property
    def simulated(self) -> bool:
        """True where no patient ever had these measurements."""
        return bool(self.run.metrics.get("simulated", self.run.study.get("simulated", False)))

    @property
    def external(self) -> bool:
        """True where a finished model was evaluated, and nothing fitted."""
        return bool(self.run.metrics.get("split") == EXTERNAL)

    @property
    def metrics(self) -> dict[str, Any]:
        """Recipe -> its part of metrics.json."""
        found: dict[str, Any] = self.run.metrics["recipes"]
        return found

    @cached_property
    def tasks(self) -> list[str]:
        """Names of all scored tasks, leaves included, each once."""
        return list(dict.fromkeys(task for found in self.metrics.values() for task in found["tasks"]))

    def level(self, task: str) -> str:
        """Return the level that counts: patients where there are figures of patients, else samples."""
        scored = [found["tasks"][task] for found in self.metrics.values() if task in found["tasks"]]
        return "patient" if any(levels.get("patient") for levels in scored) else "sample"

    def recipes(self, task: str) -> list[str]:
        """Return the recipes that predict a task."""
        return [name for name, found in self.metrics.items() if task in found["tasks"]]

    def figures(self, recipe: str, task: str, level: str) -> dict[str, Any] | None:
        """Return the metrics at a level, or None."""
        found: dict[str, Any] | None = self.metrics[recipe]["tasks"].get(task, {}).get(level)
        return found

    def reason(self, task: str, level: str) -> str:
        """Return why a task has no figures at a level."""
        for found in self.metrics.values():
            reason = found["tasks"].get(task, {}).get(f"{level}_reason")
            if reason:
                return str(reason)
        return "not computed"

    @property
    def primary(self) -> Mapping[str, Any] | None:
        """The endpoint declared before the run."""
        found: Mapping[str, Any] | None = self.run.metrics.get("primary")
        return found

    def shown(self, task: str) -> str:
        """Return the recipe shown in full: the declared one, else the first of the configuration, never the best."""
        able = self.recipes(task)
        declared = self.primary["recipe"] if self.primary else None
        return declared if declared in able else able[0]

    @cached_property
    def raw(self) -> dict[str, Outcomes]:
        """Task -> outcomes of all samples, labelled or not."""
        return read_outcomes(self.run.predictions, self.run.tasks)

    @cached_property
    def scored(self) -> dict[str, Outcomes]:
        """Task -> outcomes of the samples the task is asked of; trees also as `TASK/leaves`."""
        found = {}
        for name, own in self.raw.items():
            above = self.run.tasks[name].parent
            asked = above and under_parent(
                own, self.raw.get(above[0]), self.run.tasks[above[0]].classes.index(above[1])
            )
            found[name] = asked or own
        for name in (task for task in self.tasks if task.endswith("/leaves")):
            tree = leaves(name.removesuffix("/leaves"), self.run.tasks, self.raw)
            if isinstance(tree, Outcomes):
                found[name] = tree
        return found

    def outcomes(self, task: str, level: str) -> Outcomes | None:
        """Return the labelled units of a task at a level, or None if there are none."""
        own = self.scored.get(task)
        if own is None or (level == "patient" and own.level == "sample" and not own.one_unit_a_patient):
            return None
        units = (own.to_patients() if level == "patient" else own).labelled()
        return units if len(units) else None

    def says_the_same(self, task: str) -> bool:
        """Tell whether every patient has one sample, so that both levels say the same of a task."""
        own = self.scored.get(task)
        both = all(
            self.figures(recipe, task, level) for recipe in self.recipes(task) for level in ("patient", "sample")
        )
        return own is not None and own.one_unit_a_patient and both

    def task(self, name: str) -> Task | None:
        """Return the definition of a task; leaves have none."""
        return self.run.tasks.get(name)

    @cached_property
    def short(self) -> dict[str, str]:
        """Patient -> short name for figures."""
        return short_names(sorted({str(p) for p in self.run.predictions["patient"].unique()}))

    def rng(self, *about: str) -> np.random.Generator:
        """Return a stream of its own for each use, the same in every report of this run."""
        return np.random.default_rng([int(self.run.config.validation.seeds[0]), crc32("/".join(about).encode())])

    def groups(self, level: str) -> dict[str, dict[str, str | None]]:
        """Return subgroup columns: column -> unit (patient or sample) -> value."""
        people = self.run.study.get("participants", [])
        columns = list(dict.fromkeys(c for person in people for c in person["groups"]))
        found: dict[str, dict[str, str | None]] = {
            c: {str(person["patient"]): person["groups"].get(c) for person in people} for c in columns
        }
        if level == "patient":
            return found
        owner = self.run.predictions.drop_duplicates("sample").set_index("sample")["patient"]
        spread = {c: {str(s): found[c].get(str(p)) for s, p in owner.items()} for c in columns}
        varying: dict[str, dict[str, str | None]] = self.run.study.get("sample_groups", {})
        return spread | varying


def group_values(values: Mapping[str, str | None]) -> list[str]:
    """Return the distinct values of a subgroup column in reading order."""
    return natural_order(sorted({v for v in values.values() if v is not None}))
