"""The YAML of a study as typed schemas. Schemas only: nothing is built here.

Every key is known; an unknown one is an error with a suggestion and a line number, and all errors of a file
are reported at once.
"""

from polydx.config.base import Named, Open, Step, Steps, Strict
from polydx.config.composed import (
    CutConfig,
    EnsembleConfig,
    FeatureConfig,
    MemberConfig,
    MemberReference,
    RecipeConfig,
    with_members,
)
from polydx.config.recipes import (
    ALL_TASKS,
    IMAGENET,
    Channels,
    ClassicalConfig,
    ErrorCosts,
    FitConfig,
    HeadConfig,
    InitConfig,
    NetworkConfig,
    NetworkSteps,
    OperatingPoint,
    PretrainConfig,
    RecipeBase,
    TrainingConfig,
    Unfreeze,
)
from polydx.config.search import SearchConfig, Span
from polydx.config.study import (
    GroupConfig,
    ImagesConfig,
    ModalityConfig,
    SpectraConfig,
    StudyConfig,
    TaskConfig,
)
from polydx.config.tables import ColumnConfig, TableConfig
from polydx.config.validation import MetricName, MissingConfig, PrimaryConfig, SplitName, ValidationConfig
from polydx.config.variants import merge_patch
from polydx.config.whole import Config, VariantConfig

__all__ = [
    "ALL_TASKS",
    "IMAGENET",
    "Channels",
    "ClassicalConfig",
    "ColumnConfig",
    "Config",
    "CutConfig",
    "EnsembleConfig",
    "ErrorCosts",
    "FeatureConfig",
    "FitConfig",
    "GroupConfig",
    "HeadConfig",
    "ImagesConfig",
    "InitConfig",
    "MemberConfig",
    "MemberReference",
    "MetricName",
    "MissingConfig",
    "ModalityConfig",
    "Named",
    "NetworkConfig",
    "NetworkSteps",
    "Open",
    "OperatingPoint",
    "PretrainConfig",
    "PrimaryConfig",
    "RecipeBase",
    "RecipeConfig",
    "SearchConfig",
    "Span",
    "SpectraConfig",
    "SplitName",
    "Step",
    "Steps",
    "Strict",
    "StudyConfig",
    "TableConfig",
    "TaskConfig",
    "TrainingConfig",
    "Unfreeze",
    "ValidationConfig",
    "VariantConfig",
    "merge_patch",
    "with_members",
]
