"""The YAML of a study as typed schemas. Schemas only: nothing is built here.

Every key is known; an unknown one is an error with a suggestion and a line number, and all errors of a file
are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

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
    init_sd: float | None = Field(None, gt=0, description="linear weights from N(0, init_sd); torch's default if null")


class Channels(Strict):
    """Several pipelines over the same spectra, each a channel of the network's input."""

    channels: list[list[Step]] = Field(min_length=1)


def _steps_or_channels(found: Any) -> str:
    return "channels" if isinstance(found, Mapping | Channels) else "steps"


NetworkSteps: TypeAlias = Annotated[
    Annotated[list[Step], Tag("steps")] | Annotated[Channels, Tag("channels")], Discriminator(_steps_or_channels)
]


class FitConfig(Strict):
    """How weights are fitted; `TrainingOptions` says what each knob does."""

    epochs: int = Field(30, gt=0)
    batch_size: int = Field(32, gt=1)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    schedule: Literal["none", "cosine", "onecycle", "step"] = "none"
    warmup: float = Field(0.0, ge=0, description="epochs of linear growth before the schedule")
    step_every: int = Field(50, gt=0)
    step_factor: float = Field(0.5, gt=0)
    gradient_clip: float | None = Field(None, gt=0)
    oversample: Literal["none", "patient", "class"] = "none"


class TrainingConfig(FitConfig):
    """How a network is fitted."""

    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accelerator: Literal["cpu", "cuda", "mps", "auto"] = "cpu"
    patience: int | None = Field(8, gt=0, description="epochs without gain on inner patients before stopping")
    inner_share: float = Field(0.2, gt=0, lt=0.5, description="share of training patients kept for early stopping")
    loss: Named = Open(name="cross_entropy")
    losses: dict[str, Named] = Field(default_factory=dict, description="task -> loss, in place of `loss`")
    class_weights: Literal["none", "balanced"] | dict[str, list[Annotated[float, Field(ge=0)]]] = "balanced"
    task_weights: Literal["learned"] | dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    mixup: float = Field(0.0, ge=0, le=1, description="largest share of another row with the same labels")
    layer_lr_decay: float = Field(1.0, gt=0, le=1, description="of the learning rate, from a stage to the one before")

    @model_validator(mode="after")
    def _halves_need_an_accelerator(self) -> TrainingConfig:
        if self.precision == "16-mixed" and self.accelerator == "cpu":
            raise ValueError("precision 16-mixed needs `accelerator: cuda`; on a CPU use bf16-mixed or 32-true")
        return self


class InitConfig(Strict):
    """Weights to start from: a run folder, a model folder, or a file (.safetensors, .ckpt, .pt, .pth, .bin).

    Of a run folder, `recipe`, `seed` and `fold` say whose weights. `modules` names the parts of the network to load;
    `keep_head` loads the heads too. `axis` says what to do where the weights know another axis than the study's.
    `head` names the task of the weights whose classes `head: mapped` maps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True)

    source: Path = Field(alias="from")
    modules: list[str] = Field(default_factory=lambda: ["backbones"], min_length=1)
    keep_head: bool = False
    axis: Literal["refuse", "resample"] = "refuse"
    recipe: str | None = None
    seed: int | None = None
    fold: int | None = None
    head: str | None = None


class PretrainConfig(FitConfig):
    """A first fit of backbones and necks: on the training rows of each fold, or on another study in full."""

    epochs: int = Field(50, gt=0)
    batch_size: int = Field(64, gt=1)
    weight_decay: float = Field(1e-6, ge=0)
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    method: Literal["simclr", "supcon", "supervised"]
    study: StudyConfig | None = None
    task: str | None = Field(None, description="of supcon, and of supervised where not all tasks are meant")
    temperature: float = Field(0.5, gt=0)
    projection: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] = (512, 128)
    augmentation: Steps | None = Field(None, description="what makes two views; the recipe's own if left out")
    seed: int = Field(0, ge=0, description="of a pretraining on another study, which is the same in every fold")

    @model_validator(mode="before")
    @classmethod
    def _named_study(cls, found: Any) -> Any:
        """Read `dataset: NAME` as `study: {dataset: NAME}`."""
        if isinstance(found, Mapping) and "dataset" in found:
            if found.get("study") is not None:
                raise ValueError("give either `dataset: NAME` or `study: {...}`, not both")
            found = {**found, "study": {"dataset": found["dataset"]}}
            del found["dataset"]
        return found


class Unfreeze(Strict):
    """Gradual unfreezing: one more stage of the backbones learns every so many epochs, the last stage first."""

    every: int = Field(gt=0)


class NetworkConfig(RecipeBase):
    """A backbone a modality, a neck, fusion, and one head a task.

    `freeze` names what keeps its weights: `raman.stem`, or `raman` for the whole backbone. `head: mapped` fits no
    network: the classes that the source network of `init` knows are mapped to those of the task.
    """

    kind: Literal["network"]
    backbones: dict[str, Named] = Field(min_length=1)
    neck: Named = Open(name="average")
    necks: dict[str, Named] = Field(default_factory=dict, description="modality -> neck, in place of `neck`")
    fusion: str = "concat"
    heads: dict[str, HeadConfig] = Field(default_factory=dict)
    head: Literal["trained", "mapped"] = "trained"
    preprocessing: dict[str, NetworkSteps] = Field(default_factory=dict)
    augmentation: Steps = Field(default_factory=dict)
    init: InitConfig | None = None
    pretrain: PretrainConfig | None = None
    freeze: list[str] = Field(default_factory=list)
    unfreeze: Unfreeze | None = None
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _one_source(self) -> NetworkConfig:
        if self.head == "mapped" and (self.init is None or self.pretrain is not None):
            raise ValueError("`head: mapped` uses a network as it is: give `init: {from: ...}`, and no `pretrain`")
        return self


class CutConfig(Strict):
    """Where features are cut: a stage of a network, named in `recipes:` or written in place.

    Attributes:
        source: in YAML `from`: the name of a network recipe, or a network.
        network: the network of `source`.
        stage: `<modality>.<stage>` or `embedding`.
        pool: mean over the positions of the map, or all of them side by side.
        steps: preprocessing of the features.
        train: whether the network is fitted on the training rows first; else `init` and `pretrain` make its weights.
        copies: augmented copies of each training row that the classical model learns from, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True)

    source: str | None = Field(None, alias="from")
    network: NetworkConfig | None = None
    stage: str
    pool: Literal["average", "flat"] = "average"
    steps: list[Step] = Field(default_factory=list)
    train: bool = True
    copies: int = Field(0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _in_place(cls, found: Any) -> Any:
        """Read `from: {backbones: ...}` as a network written in place."""
        if not isinstance(found, Mapping) or not isinstance(found.get("from"), Mapping):
            return found
        return {**{k: v for k, v in found.items() if k != "from"}, "network": {"kind": "network", **found["from"]}}

    @model_validator(mode="after")
    def _some_network(self) -> CutConfig:
        if self.source is None and self.network is None:
            raise ValueError("`from` is missing: the name of a network recipe, or a network")
        return self


class FeatureConfig(RecipeBase):
    """A classical model on the features of a network, all fitted in the fold."""

    kind: Literal["features"]
    features: CutConfig
    model: str
    params: dict[str, Any] = Field(default_factory=dict)


class MemberReference(Strict):
    """A member of an ensemble that stands in the `recipes:` section under this name."""

    kind: Literal["recipe"]
    recipe: str


def _refuse_odd_names(names: Iterable[str]) -> None:
    odd = [name for name in names if not name.replace("-", "").replace("_", "").isalnum()]
    if odd:
        raise ValueError(f"recipe name {odd[0]!r}: use letters, digits, '-' and '_' (it names folders)")


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

    @field_validator("members")
    @classmethod
    def _plain_names(cls, members: dict[str, Any]) -> dict[str, Any]:
        _refuse_odd_names(members)
        return members


RecipeConfig: TypeAlias = Annotated[
    ClassicalConfig | NetworkConfig | FeatureConfig | EnsembleConfig, Field(discriminator="kind")
]
MemberConfig: TypeAlias = Annotated[
    ClassicalConfig | NetworkConfig | FeatureConfig | EnsembleConfig | MemberReference, Field(discriminator="kind")
]
EnsembleConfig.model_rebuild()


def with_members(recipes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipes with every named member of an ensemble, and network of features, replaced by what it names.

    Raises:
        ConfigError: a member is no recipe, a network none, or an ensemble would be a member of itself; all are listed.
    """
    problems: list[Problem] = []
    whole = {name: _expanded(recipe, recipes, (name,), problems) for name, recipe in recipes.items()}
    problems = list(dict.fromkeys(problems))
    if problems:
        raise ConfigError(f"{counted(len(problems), 'problem')} in recipes made of others", problems)
    return whole


def _expanded(recipe: Any, recipes: Mapping[str, Any], above: tuple[str, ...], problems: list[Problem]) -> Any:
    if isinstance(recipe, FeatureConfig):
        return _with_network(recipe, recipes, f"recipes.{above[-1]}.features.from", problems)
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


def _with_network(
    recipe: FeatureConfig, recipes: Mapping[str, Any], where: str, problems: list[Problem]
) -> FeatureConfig:
    """Put the network in the place of its name."""
    name = recipe.features.source
    if recipe.features.network is not None or name is None:
        return recipe
    networks = [n for n, found in recipes.items() if isinstance(found, NetworkConfig)]
    if name not in networks:
        problems.append(Problem(where, unknown("network recipe", name, networks)))
        return recipe
    return recipe.model_copy(update={"features": recipe.features.model_copy(update={"network": recipes[name]})})


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
        _refuse_odd_names(recipes)
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
