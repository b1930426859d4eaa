"""The YAML of a study as typed schemas. Schemas only: nothing is built here.

Every key is known; an unknown one is an error with a suggestion and a line number, and all errors of a file
are reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from polydx.errors import ConfigError, Problem, counted
from polydx.params import unknown

SplitName: TypeAlias = Literal[
    "stratified-group-k-fold", "group-k-fold", "leave-one-patient-out", "leave-one-centre-out", "predefined"
]
MetricName: TypeAlias = Literal["auroc", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity", "brier"]


class Strict(BaseModel):
    """A section whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Open(BaseModel):
    """A section with a `name` and options that the named part itself checks when it is built."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Return the keys beside `name`."""
        return dict(self.model_extra or {})


class Step(Strict):
    """One step of a pipeline: in YAML `snv`, or `savitzky_golay: {window: 11}`."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, found: Any) -> Any:
        if isinstance(found, str):
            return {"name": found}
        if isinstance(found, Mapping) and "name" not in found:
            if len(found) != 1:
                raise ValueError("a step is a name, or one name with its options: `- savitzky_golay: {window: 11}`")
            ((name, params),) = found.items()
            return {"name": name, "params": params or {}}
        return found


def _as_named(found: Any) -> Any:
    return {"name": found} if isinstance(found, str) else found


Named: TypeAlias = Annotated[Open, BeforeValidator(_as_named)]
Steps: TypeAlias = dict[str, list[Step]]


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

    @model_validator(mode="after")
    def _one_source(self) -> SpectraConfig:
        if self.column is not None and self.file is not None:
            raise ValueError("give either `column: NAME` (a file a sample) or `file: FILE` (a wide table), not both")
        if self.axis_column is not None and self.column is None:
            raise ValueError("`axis_column` names the axis of the files in `column`; give `column` too")
        return self


class ImagesConfig(Strict):
    """Images: one file a sample, named in a column of the samples table."""

    kind: Literal["images"]
    column: str


class TableConfig(Strict):
    """Typed columns of a table, joined by patient or sample."""

    kind: Literal["table"]
    file: Path | None = None
    by: Literal["patient", "sample"] = "patient"
    columns: dict[str, Literal["number", "category"]] = Field(min_length=1)


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


class StudyConfig(Strict):
    """Either a named dataset, or the user's own samples table with modalities and tasks."""

    dataset: str | None = None
    name: str | None = None
    samples: Path | None = None
    patient_column: str = Field("patient", description="column of the samples table that tells patients apart")
    sample_column: str = Field("sample", description="column with unique ids; files or row numbers if it is not there")
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
        if self.dataset is not None and (self.modalities or self.tasks):
            raise ValueError("a named dataset brings its own modalities and tasks; leave them out")
        if self.dataset is not None and (self.patient_column, self.sample_column) != ("patient", "sample"):
            raise ValueError("a named dataset knows its columns; leave `patient_column` and `sample_column` out")
        if self.samples is not None and self.options:
            raise ValueError("`options` belong to a named dataset")
        return self


class ErrorCosts(Strict):
    """What a wrong answer costs, in any unit."""

    false_negative: float = Field(gt=0)
    false_positive: float = Field(gt=0)


class OperatingPoint(Strict):
    """The rule by which a two-class task's threshold is chosen, on inner folds of the training patients.

    `youden` maximises sensitivity + specificity; `sensitivity` and `specificity` reach `target` and give away as little
    of the other as they can; `cost` minimises what the wrong answers cost.
    """

    rule: Literal["youden", "sensitivity", "specificity", "cost"]
    target: float | None = Field(None, gt=0, le=1)
    cost: ErrorCosts | None = None

    @model_validator(mode="after")
    def _what_the_rule_needs(self) -> OperatingPoint:
        if (self.target is None) == (self.rule in ("sensitivity", "specificity")):
            raise ValueError("`target` belongs to the rules sensitivity and specificity, which need it: `target: 0.9`")
        if (self.cost is None) == (self.rule == "cost"):
            raise ValueError(
                "`cost` belongs to the rule cost, which needs it: `cost: {false_negative: 5, false_positive: 1}`"
            )
        return self


ALL_TASKS = "*"


def _by_task(found: Any) -> Any:
    """Read one rule as the rule of every two-class task."""
    if not isinstance(found, Mapping):
        return found
    one = isinstance(found.get("rule"), str) or not all(isinstance(v, Mapping | OperatingPoint) for v in found.values())
    return {ALL_TASKS: found} if one else found


class RecipeBase(Strict):
    """What every kind of recipe may have: an operating point for all two-class tasks, or task -> operating point."""

    operating_point: Annotated[dict[str, OperatingPoint], BeforeValidator(_by_task)] | None = None


class ClassicalConfig(RecipeBase):
    """Preprocessing and a classical model, one fit a task."""

    kind: Literal["classical"]
    model: str
    preprocessing: Steps = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)


class HeadConfig(Strict):
    """Layers between the embedding and the classes of one task."""

    hidden: list[Annotated[int, Field(gt=0)]] = Field(default_factory=list)
    dropout: float = Field(0.0, ge=0, lt=1)
    batch_norm: bool = False


class TrainingConfig(Strict):
    """How a network is fitted."""

    epochs: int = Field(30, gt=0)
    batch_size: int = Field(32, gt=1)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    schedule: Literal["none", "cosine", "onecycle"] = "none"
    gradient_clip: float | None = Field(None, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    patience: int | None = Field(8, gt=0, description="epochs without gain on inner patients before stopping")
    inner_share: float = Field(0.2, gt=0, lt=0.5, description="share of training patients kept for early stopping")
    class_weights: Literal["none", "balanced"] = "balanced"
    task_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class NetworkConfig(RecipeBase):
    """A backbone a modality, a neck, fusion, and one head a task."""

    kind: Literal["network"]
    backbones: dict[str, Named] = Field(min_length=1)
    neck: Named = Open(name="average")
    heads: dict[str, HeadConfig] = Field(default_factory=dict)
    preprocessing: Steps = Field(default_factory=dict)
    augmentation: Steps = Field(default_factory=dict)
    training: TrainingConfig = TrainingConfig()


class MemberReference(Strict):
    """A member of an ensemble that stands in the `recipes:` section under this name."""

    kind: Literal["recipe"]
    recipe: str


def _as_members(found: Any) -> Any:
    """Read a list of names and recipes as name -> recipe."""
    if not isinstance(found, list | Mapping):
        return found
    if isinstance(found, list):
        names = [item if isinstance(item, str) else f"member-{i}" for i, item in enumerate(found, start=1)]
        if len(set(names)) < len(names):
            raise ValueError("a member stands twice; to average over seeds, name it once and set `repeats`")
        found = dict(zip(names, found, strict=True))
    return {n: {"kind": "recipe", "recipe": item} if isinstance(item, str) else item for n, item in found.items()}


class EnsembleConfig(RecipeBase):
    """Several recipes as one: their mean probability, or a model over their probabilities.

    Attributes:
        members: names of other recipes, recipes written in place, or name -> either.
        method: `average`, or `stacking`: logistic regression on probabilities of inner patients.
        repeats: fits of each member with seeds of their own, averaged.
    """

    kind: Literal["ensemble"]
    members: Annotated[dict[str, MemberConfig], BeforeValidator(_as_members), Field(min_length=1)]
    method: Literal["average", "stacking"] = "average"
    repeats: int = Field(1, ge=1)


RecipeConfig: TypeAlias = Annotated[ClassicalConfig | NetworkConfig | EnsembleConfig, Field(discriminator="kind")]
MemberConfig: TypeAlias = Annotated[
    ClassicalConfig | NetworkConfig | EnsembleConfig | MemberReference, Field(discriminator="kind")
]
EnsembleConfig.model_rebuild()


def with_members(recipes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipes with every named member of an ensemble replaced by the recipe it names.

    Raises:
        ConfigError: a member is no recipe, or an ensemble would be a member of itself; all are listed.
    """
    problems: list[Problem] = []
    whole = {name: _expanded(recipe, recipes, (name,), problems) for name, recipe in recipes.items()}
    problems = list(dict.fromkeys(problems))
    if problems:
        raise ConfigError(f"{counted(len(problems), 'problem')} in the members of ensembles", problems)
    return whole


def _expanded(recipe: Any, recipes: Mapping[str, Any], above: tuple[str, ...], problems: list[Problem]) -> Any:
    if not isinstance(recipe, EnsembleConfig):
        return recipe
    members, where = {}, f"recipes.{above[-1]}.members"
    for name, member in recipe.members.items():
        if not isinstance(member, MemberReference):
            members[name] = _expanded(member, recipes, above, problems)
        elif member.recipe not in recipes:
            problems.append(Problem(where, unknown("recipe", member.recipe, recipes)))
        elif member.recipe in above:
            path = " -> ".join([*above, member.recipe])
            problems.append(Problem(where, f"an ensemble cannot be a member of itself: {path}"))
        else:
            members[name] = _expanded(recipes[member.recipe], recipes, (*above, member.recipe), problems)
    return recipe.model_copy(update={"members": members})


class PrimaryConfig(Strict):
    """The one endpoint declared before the run; the headline of the report."""

    recipe: str
    versus: str | list[str] | None = None
    task: str
    level: Literal["patient", "sample"] = "patient"
    metric: MetricName = "auroc"

    @property
    def opponents(self) -> list[str] | None:
        """Recipes to compare with, or None for all others."""
        return [self.versus] if isinstance(self.versus, str) else self.versus


def _as_list(found: Any) -> Any:
    return [found] if isinstance(found, str) else found


class ValidationConfig(Strict):
    """How the recipes are judged: every recipe on the same folds of whole patients.

    A seed is one repetition: of the fits, and where folds are drawn (the two k-folds) of the folds too.
    """

    split: SplitName = "stratified-group-k-fold"
    folds: int = Field(5, ge=2, description="of the two k-folds")
    stratify: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)] | None = Field(
        None, description="task, or tasks, whose classes the folds balance; the primary endpoint's if not given"
    )
    column: str | None = Field(None, description="column of the samples that names the folds or centres")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(default_factory=lambda: [0], min_length=1)
    repeats: int | None = Field(None, ge=1, description="in place of `seeds`: that many, counted up from one seed")
    bootstrap: int = Field(2000, ge=100)
    threads_per_fit: int = Field(1, ge=1)
    primary: PrimaryConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _repeats_are_seeds(cls, found: Any) -> Any:
        """Write `repeats: 3` as `seeds: [0, 1, 2]`, so that the resolved file says which seeds there were."""
        if not isinstance(found, Mapping) or type(found.get("repeats")) is not int or found["repeats"] < 1:
            return found
        seeds, split = found.get("seeds", [0]), found.get("split", "stratified-group-k-fold")
        if split not in ("stratified-group-k-fold", "group-k-fold"):
            raise ValueError(
                f"`repeats` draws the folds again, and those of '{split}' never change; to repeat fits, list `seeds`"
            )
        if not isinstance(seeds, list) or len(seeds) != 1 or type(seeds[0]) is not int:
            raise ValueError("give `repeats: n` with one seed to count from, or list all `seeds`")
        rest = {key: value for key, value in found.items() if key != "repeats"}
        return {**rest, "seeds": [seeds[0] + i for i in range(found["repeats"])]}

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice; each seed is one repetition")
        return seeds

    @model_validator(mode="after")
    def _options_of_the_split(self) -> ValidationConfig:
        if self.split == "predefined" and self.column is None:
            raise ValueError("`split: predefined` needs `column: NAME`, the column of the samples that names the folds")
        if self.column is not None and self.split not in ("predefined", "leave-one-centre-out"):
            raise ValueError(
                f"`column` is for `predefined` and `leave-one-centre-out`; '{self.split}' draws its own folds"
            )
        if self.stratify is not None and self.split != "stratified-group-k-fold":
            raise ValueError(f"`stratify` is for `stratified-group-k-fold`; '{self.split}' balances no classes")
        if self.stratify is not None and len(set(self.stratify)) < len(self.stratify):
            raise ValueError("a task stands twice in `stratify`")
        return self


class Config(Strict):
    """A whole study.yaml."""

    study: StudyConfig
    recipes: dict[str, RecipeConfig] = Field(default_factory=dict)
    validation: ValidationConfig = ValidationConfig()

    @field_validator("recipes")
    @classmethod
    def _plain_names(cls, recipes: dict[str, Any]) -> dict[str, Any]:
        """Recipe names become folder names."""
        odd = [n for n in recipes if not n.replace("-", "").replace("_", "").isalnum()]
        if odd:
            raise ValueError(f"recipe name {odd[0]!r}: use letters, digits, '-' and '_' (it names folders)")
        return with_members(recipes)

    @model_validator(mode="after")
    def _known_primary(self) -> Config:
        primary = self.validation.primary
        if primary is None or not self.recipes:
            return self
        for name in [primary.recipe, *(primary.opponents or [])]:
            if name not in self.recipes:
                raise ValueError(f"validation.primary names recipe '{name}'; the recipes are {', '.join(self.recipes)}")
        if primary.opponents is not None and primary.recipe in primary.opponents:
            raise ValueError(f"validation.primary compares '{primary.recipe}' with itself")
        return self
