"""Recipes made of other recipes: a classical model on features of a network, and ensembles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from polydx.config.base import Step, Steps, Strict
from polydx.config.recipes import (
    ClassicalConfig,
    NetworkConfig,
    RecipeBase,
)
from polydx.errors import ConfigError, Problem, counted
from polydx.params import unknown


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


FEATURES = "features"
"""Name of a cut that stands alone."""


def _as_cuts(found: Any) -> Any:
    """Read one cut as a cut named `features`."""
    one = isinstance(found, CutConfig) or (isinstance(found, Mapping) and {"from", "network", "stage"} & set(found))
    return {FEATURES: found} if one else found


class FeatureConfig(RecipeBase):
    """A classical model on features of networks, and on other modalities beside them, all fitted in the fold."""

    kind: Literal["features"]
    features: Annotated[dict[str, CutConfig], BeforeValidator(_as_cuts), Field(min_length=1)]
    preprocessing: Steps = Field(default_factory=dict, description="modality that is taken as it is -> steps")
    model: str
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names(self) -> FeatureConfig:
        _refuse_odd_names(self.features, "cut")
        both = [name for name in self.features if name in self.preprocessing]
        if both:
            raise ValueError(f"`{both[0]}` names a cut and a modality of `preprocessing`; name the cut otherwise")
        return self


class MemberReference(Strict):
    """A member of an ensemble that stands in the `recipes:` section under this name."""

    kind: Literal["recipe"]
    recipe: str


def _refuse_odd_names(names: Iterable[str], what: str = "recipe") -> None:
    odd = [name for name in names if not name.replace("-", "").replace("_", "").isalnum()]
    if odd:
        raise ValueError(f"{what} name {odd[0]!r}: use letters, digits, '-' and '_' (it names folders)")


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
        return _with_networks(recipe, recipes, f"recipes.{above[-1]}.features.from", problems)
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


def _with_networks(
    recipe: FeatureConfig, recipes: Mapping[str, Any], where: str, problems: list[Problem]
) -> FeatureConfig:
    """Put networks in the place of their names."""
    networks = [n for n, found in recipes.items() if isinstance(found, NetworkConfig)]
    cuts = dict(recipe.features)
    for name, cut in recipe.features.items():
        if cut.network is not None or cut.source is None:
            continue
        if cut.source not in networks:
            problems.append(Problem(where, unknown("network recipe", cut.source, networks)))
        else:
            cuts[name] = cut.model_copy(update={"network": recipes[cut.source]})
    return recipe.model_copy(update={"features": cuts})
