"""Settings chosen on inner folds of the training patients, as part of the fit.

Every fit of a cross-validation searches anew among its own training patients, so that what is reported is the whole
procedure (nested cross-validation). Where the space holds no more settings than trials, all are tried; else optuna's
TPE sampler draws them. What is written in the recipe is always among them, and kept where nothing is better.

References: Cawley & Talbot (2010), JMLR 11, 2079-2107 (why the search must lie inside); Bergstra et al. (2011),
Algorithms for Hyper-Parameter Optimization, NeurIPS 24 (TPE).
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from polydx.config import SearchConfig, Span
from polydx.errors import PolydxError, StudyError
from polydx.recipes.out_of_fold import folds_of_tasks, out_of_fold
from polydx.recipes.places import placed
from polydx.recipes.protocol import Fitted, Recipe
from polydx.recipes.scoring import scores
from polydx.study import Study

if TYPE_CHECKING:
    from optuna import Study as Draws
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial as Draw

SEARCHED = "search of "
"""How the note of a search begins."""
LOWER_IS_BETTER = ("log_loss",)

Settings: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Attributes:
        number: 0 for what is written.
        settings: place -> value; empty for what is written.
        score: mean over the tasks; None where nothing could be told.
        tasks: task -> its own.
        seconds: of the inner fits.
        failure: why there is no score.
    """

    number: int
    settings: Settings
    score: float | None
    tasks: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str | None = None


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        trials: all, in the order in which they were tried.
        metric: they were told by.
    """

    trials: list[Trial]
    metric: str

    @property
    def ranked(self) -> list[Trial]:
        """Those that have a score, the best first; of equally good ones, the one tried first."""
        told = [trial for trial in self.trials if trial.score is not None]
        sign = 1 if self.metric in LOWER_IS_BETTER else -1
        return sorted(told, key=lambda trial: sign * (trial.score or 0.0))

    @property
    def best(self) -> Trial:
        """The best; what is written where none has a score."""
        return next(iter(self.ranked), self.trials[0])

    def note(self) -> str:
        """Say in a sentence what was chosen."""
        best, name = self.best, self.metric.replace("_", " ")
        told = f"{SEARCHED}{len(self.trials)} settings on inner patients"
        if best.score is None:
            return f"{told}: none could be judged; what is written stays"
        if not best.settings:
            return f"{told}: what is written stays ({name} {best.score:.3g})"
        chosen = in_words(best.settings)
        written = self.trials[0].score
        before = "" if written is None else f", {written:.3g} as written"
        return f"{told}: {chosen} ({name} {best.score:.3g}{before})"


@dataclass(frozen=True)
class Searched:
    """A recipe whose settings are searched for inside its fit.

    Attributes:
        name: its key in the YAML.
        written: its section without the search, as data.
        search: the space, and how many settings are tried.
        make: builds a recipe of a section.
    """

    name: str
    written: Mapping[str, Any]
    search: SearchConfig
    make: Callable[[Mapping[str, Any]], Recipe]

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe as it is written."""
        return self.make(self.written)

    @property
    def config(self) -> dict[str, Any]:
        """Its section, resolved."""
        return self.recipe.config | {"search": self.search.model_dump(mode="json")}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities used."""
        return self.recipe.modalities

    def fit(self, study: Study, seed: int, log: Path | None = None) -> Fitted:
        """Search on inner folds of these rows, and fit what was found to all of them."""
        found = self.find(study, seed)
        fitted = self.make(placed(self.written, found.best.settings)).fit(study, seed, log)
        fitted.notes.append(found.note())
        return fitted

    @property
    def count(self) -> int:
        """How many settings are tried, what is written among them."""
        return 1 + (self._grid or self.search.trials)

    @property
    def _grid(self) -> int:
        """How many settings the space holds, if all of them are tried, else 0."""
        lists = [_listed(choice) for choice in self.search.space.values()]
        count = math.prod(len(values) for values in lists if values is not None)
        return 0 if None in lists or count > self.search.trials else count

    def find(
        self,
        study: Study,
        seed: int,
        on_trial: Callable[[Trial], None] | None = None,
        known: Mapping[int, Trial] | None = None,
    ) -> Found:
        """Try settings on inner folds of the study's patients.

        Args:
            study: training rows.
            seed: of folds, fits and draws.
            on_trial: told of each trial.
            known: number -> trial of an earlier search that was stopped, which are not tried again.

        Raises:
            StudyError: no setting can be fitted; it says what the recipe as it is written met with.
        """
        trials = []
        for trial in self._trials(study, seed, known or {}):
            trials.append(trial)
            if on_trial is not None:
                on_trial(trial)
        if all(trial.failure is not None for trial in trials):
            raise StudyError(f"recipe '{self.name}': no setting can be fitted on inner folds: {trials[0].failure}")
        return Found(trials, self.search.metric)

    def _trials(self, study: Study, seed: int, known: Mapping[int, Trial]) -> Iterator[Trial]:
        done: list[Trial] = []

        def tried(number: int, settings: Settings) -> Trial:
            before = known.get(number)
            if before is None or before.settings != settings:
                same = next((trial for trial in done if trial.settings == settings), None)
                drawn_again = None if same is None else replace(same, number=number, seconds=0.0)
                before = drawn_again or self.tried(number, settings, study, seed)
            done.append(before)
            return before

        yield tried(0, {})
        if self._grid:
            lists = [_listed(choice) or () for choice in self.search.space.values()]
            for number, chosen in enumerate(itertools.product(*lists), start=1):
                yield tried(number, dict(zip(self.search.space, chosen, strict=True)))
            return
        draws = _draws(self.search.metric in LOWER_IS_BETTER)
        space = {place: _distribution(choice) for place, choice in self.search.space.items()}
        for number in range(1, self.search.trials + 1):
            draws.sampler = _sampler(seed, number)
            draw = draws.ask(space)
            trial = tried(number, {place: self._value(place, draw) for place in space})
            draws.tell(draw, trial.score, state=_state(trial))
            yield trial

    def _value(self, place: str, draw: Draw) -> Any:
        choice = self.search.space[place]
        return choice[draw.params[place]] if isinstance(choice, list) else draw.params[place]

    def tried(self, number: int, settings: Settings, study: Study, seed: int) -> Trial:
        """Return settings with their score on inner folds."""
        start, tasks = time.perf_counter(), self.search.tasks or list(study.tasks)
        try:
            recipe = self.make(placed(self.written, settings))
            folds = folds_of_tasks(study, sorted(study.tasks), seed)
            told = out_of_fold(recipe.fit, study, folds, seed)
        except PolydxError as error:
            return Trial(number, settings, None, {}, time.perf_counter() - start, str(error))
        by_task = scores(self.search.metric, study, told, tasks)
        known = [score for score in by_task.values() if score is not None]
        mean = float(np.mean(known)) if known else None
        return Trial(number, settings, mean, by_task, time.perf_counter() - start)


def _listed(choice: list[Any] | Span) -> Sequence[Any] | None:
    """Return the values of a list or of a span of whole numbers; None for a span that has no end of them."""
    if isinstance(choice, list):
        return choice
    return range(int(choice.low), int(choice.high) + 1) if choice.whole else None


def in_words(settings: Settings) -> str:
    """Return settings on one line: `params.C = 0.1, ...`."""
    told = {p: f"{v:.4g}" if isinstance(v, float) else str(v) for p, v in settings.items()}
    return ", ".join(f"{place} = {value}" for place, value in told.items())


def _draws(minimise: bool) -> Draws:
    import optuna
    from optuna.study import StudyDirection

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = StudyDirection.MINIMIZE if minimise else StudyDirection.MAXIMIZE
    return optuna.create_study(direction=direction)


def _state(trial: Trial) -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL if trial.score is None else TrialState.COMPLETE


def _sampler(seed: int, number: int) -> Any:
    """Return the sampler of one trial: what it draws hangs on the trials before it and its number alone."""
    from optuna.samplers import TPESampler

    return TPESampler(seed=int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))


def _distribution(choice: Any) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(choice, list):
        return CategoricalDistribution(list(range(len(choice))))
    if choice.whole:
        return IntDistribution(int(choice.low), int(choice.high), log=choice.log)
    return FloatDistribution(float(choice.low), float(choice.high), log=choice.log)
