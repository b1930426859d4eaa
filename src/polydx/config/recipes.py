"""Recipes: what is common to all, classical models, and networks with their training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    model_validator,
)

from polydx.config.base import Named, Open, Step, Steps, Strict
from polydx.config.search import SearchConfig
from polydx.config.study import StudyConfig


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


Calibration: TypeAlias = Literal["none", "temperature"]


def _calibration_by_task(found: Any) -> Any:
    """Read one word as that of every task."""
    return {ALL_TASKS: found} if isinstance(found, str) else found


class RecipeBase(Strict):
    """What every kind of recipe may have.

    Attributes:
        search: settings to choose on inner folds.
        calibration: of all tasks, or task -> calibration.
        operating_point: of all two-class tasks, or task -> operating point.
    """

    search: SearchConfig | None = None

    calibration: Annotated[dict[str, Calibration], BeforeValidator(_calibration_by_task)] | None = None
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
    modality_dropout: float = Field(0.0, ge=0, lt=1, description="of a modality of a sample, never its last one")
    layer_lr_decay: float = Field(1.0, gt=0, le=1, description="of the learning rate, from a stage to the one before")
    augmentation_variants: int = Field(0, ge=0, description="variants of a row, which take turns; 0 draws anew")
    cache_gb: float = Field(4.0, ge=0, description="of the user's cache, for what frozen first stages give")

    @model_validator(mode="after")
    def _halves_need_an_accelerator(self) -> TrainingConfig:
        if self.precision == "16-mixed" and self.accelerator == "cpu":
            raise ValueError("precision 16-mixed needs `accelerator: cuda`; on a CPU use bf16-mixed or 32-true")
        return self


IMAGENET = "imagenet"
ADDRESSES = ("http://", "https://", "hf:")


def _place(found: Any) -> Any:
    """Read what is no name, address or id as a path."""
    if isinstance(found, str):
        return found if found == IMAGENET or found.startswith(ADDRESSES) else Path(found)
    if not isinstance(found, Path):
        raise ValueError(f"expected a path, an address, an id hf:ORG/NAME/FILE or `{IMAGENET}`, found {found!r}")
    return found


class InitConfig(Strict):
    """Weights to start from: a run folder, a model folder, a file, an address, an id of a hub, or `imagenet`.

    Files are .safetensors, .ckpt, .pt, .pth or .bin; ids are `hf:ORG/NAME/FILE`; `imagenet` stands for what torchvision
    publishes for the backbone. What comes from an address is held against `sha256`, or its first digits.

    Of a run folder, `recipe`, `seed` and `fold` say whose weights. `modules` names the parts of the network to load;
    `keep_head` loads the heads too. `axis` says what to do where the weights know another axis than the study's.
    `head` names the task of the weights whose classes `head: mapped` maps. `patients: none` declares that weights which
    do not say whom they have seen have seen no patients.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True)

    source: Annotated[Path | str, PlainValidator(_place)] = Field(alias="from")
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{8,64}$")] | None = None
    patients: Literal["unknown", "none"] = "unknown"
    modules: list[str] = Field(default_factory=lambda: ["backbones"], min_length=1)
    keep_head: bool = False
    axis: Literal["refuse", "resample"] = "refuse"
    recipe: str | None = None
    seed: int | None = None
    fold: int | None = None
    head: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, found: Any) -> Any:
        """Read `init: imagenet` as `init: {from: imagenet}`."""
        return {"from": found} if isinstance(found, str | Path) else found

    @model_validator(mode="after")
    def _verified(self) -> InitConfig:
        if self.source == IMAGENET and self.sha256 is not None:
            raise ValueError("the checksums of `imagenet` are known; leave out `sha256`")
        if isinstance(self.source, str) and self.source != IMAGENET and self.sha256 is None:
            raise ValueError("weights from an address need their checksum: `sha256: ...`, all 64 digits or the first 8")
        return self


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

    @property
    def gives_answers(self) -> bool:
        """Whether the pretrained network has heads for the classes of another study."""
        return self.method == "supervised" and self.study is not None

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

    A network of several modalities, or with `bags`, learns from samples, whose rows are pooled; one of a single
    modality without `bags` from rows.

    `freeze` names what keeps its weights: `raman.stem`, or `raman` for the whole backbone. `head: mapped` fits no
    network: the classes that the source network knows, of `init` or of a supervised `pretrain` on another study, are
    mapped to those of the task.
    """

    kind: Literal["network"]
    backbones: dict[str, Named] = Field(min_length=1)
    neck: Named = Open(name="average")
    necks: dict[str, Named] = Field(default_factory=dict, description="modality -> neck, in place of `neck`")
    fusion: Named = Open(name="concat")
    bags: dict[str, Literal["mean", "attention"]] = Field(
        default_factory=dict, description="modality -> how rows are pooled"
    )
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
        if self.head == "mapped" and (self.init is None) == (self.pretrain is None):
            raise ValueError("`head: mapped` uses a network as it is: give either `init: {from: ...}` or `pretrain`")
        if self.head == "mapped" and self.pretrain is not None and not self.pretrain.gives_answers:
            raise ValueError(
                "`head: mapped` needs a network that answers: `pretrain: {method: supervised, dataset: NAME}`"
            )
        return self
