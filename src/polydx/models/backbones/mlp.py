"""A multi-layer perceptron, for inputs that are already features: components, cut activations, short spectra."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from polydx.errors import ConfigError
from polydx.models.backbones.base import Backbone
from polydx.models.layers import ACTIVATIONS, ADAPTIVE_AVERAGE
from polydx.models.options import known


class Dense(nn.Module):
    """A linear layer over all values of a sample, kept as a map of one position."""

    def __init__(self, before: int, after: int, activation: str, dropout: float, batch_norm: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(before, after)
        self.bn = nn.BatchNorm1d(after) if batch_norm else nn.Identity()
        self.act = ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D, ...) to (B, D', 1)."""
        values: Tensor = self.dropout(self.act(self.bn(self.linear(x.flatten(1)))))
        return values.unsqueeze(-1)


def mlp(
    dims: int,
    channels: int,
    *,
    hidden: Sequence[int] = (128, 64),
    points: int | None = None,
    activation: str = "relu",
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> Backbone:
    """Build linear layers over the input averaged to `points` positions.

    Args:
        dims: 0 for tables, 1 for vectors and spectra, 2 for images.
        channels: channels of the input; of a table, its columns.
        hidden: width of each layer; one stage each.
        points: positions (a side, for images) that the input is averaged to, whatever its length; with the length of
            the input itself nothing is averaged. 256 for spectra, 16 for images where left out.
        activation: relu, gelu or silu.
        dropout: probability of dropping a value after each layer.
        batch_norm: whether each layer has batch norm.

    Raises:
        ConfigError: an unknown activation, no layer, or fewer than one point; or points of a table, which has none.
    """
    known(activation, ACTIVATIONS, "activation")
    if dims == 0 and points is not None:
        raise ConfigError("the mlp takes the columns of a table as they are; leave out `points`")
    points = points if points is not None else (256 if dims == 1 else 16)
    if not hidden or points < 1:
        raise ConfigError(f"the mlp needs at least one hidden layer and one point, but got {list(hidden)} and {points}")
    stages: dict[str, nn.Module] = {"stem": ADAPTIVE_AVERAGE[dims](points) if dims else nn.Identity()}
    widths = {"stem": channels}
    before = channels * points**dims
    for number, after in enumerate(hidden, start=1):
        stages[f"stage{number}"] = Dense(before, after, activation, dropout, batch_norm)
        widths[f"stage{number}"] = before = after
    return Backbone(dims=dims, channels=channels, stages=stages, widths=widths)
