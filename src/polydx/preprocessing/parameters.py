"""Parameters of a step by name, as scikit-learn's protocol asks for them."""

from __future__ import annotations

import inspect
from typing import Any, Self

from polydx.errors import ConfigError


class Parameters:
    """Something whose constructor stores its parameters under their own names."""

    @classmethod
    def parameter_names(cls) -> list[str]:
        """Return the names of the constructor's parameters."""
        return [name for name in inspect.signature(cls).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's parameters (`deep` is there for scikit-learn: a step holds no other estimator)."""
        del deep
        return {name: getattr(self, name) for name in self.parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor parameters by name.

        Raises:
            ConfigError: a name is not one of them.
        """
        names = self.parameter_names()
        strange = [name for name in params if name not in names]
        if strange:
            listed = ", ".join(map(repr, strange))
            raise ConfigError(f"{type(self).__name__} has no parameter {listed}; it has: {', '.join(names)}")
        for name, value in params.items():
            setattr(self, name, value)
        return self
