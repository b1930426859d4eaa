"""What every section of the YAML is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)


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
