"""The contract of every backbone: named stages, run in order, cut anywhere."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from polydx.errors import ConfigError
from polydx.models.backbones.published import is_colour_for_grey, state_to_load, with_present_names
from polydx.models.backbones.squeeze import SQUEEZE
from polydx.models.channels_last import flatten_layers, to_flat
from polydx.models.options import known


class Backbone(nn.Module):
    """Named stages that turn spectra (B, C, L) or images (B, C, H, W) into a feature map (B, D, L') or (B, D, H', W').

    Of a table, values (B, C) become a map of tokens (B, D, T).

    The stages are submodules under their own names, so the parameters read `stem.conv.weight`, `stage1.0.bn.bias`.

    Args:
        dims: 0 for a table, 1 for spectra, 2 for images.
        channels: channels of the input; of a table, its columns.
        stages: name -> module, in the order they run; the first is `stem`.
        widths: name -> channels of the map after that stage.
        published: prefix of a key here -> prefix of the key in the published weights, where the two differ.
        older: regular expression of a name in older published files -> what stands in its place now.
        flat: 1D only; run the stages on maps one pixel high (see `polydx.models.channels_last`).
    """

    def __init__(
        self,
        *,
        dims: int,
        channels: int,
        stages: Mapping[str, nn.Module],
        widths: Mapping[str, int],
        published: Mapping[str, str] | None = None,
        older: Mapping[str, str] | None = None,
        flat: bool = False,
    ) -> None:
        super().__init__()
        self.dims = dims
        self.channels = channels
        self.stages = tuple(stages)
        self.widths = dict(widths)
        self.out_width = self.widths[self.stages[-1]]
        self.published = dict(published or {})
        self.older = dict(older or {})
        self.unpublished = tuple(name for name in self.stages if name == SQUEEZE)
        self.flat = flat and dims == 1
        for name, stage in stages.items():
            self.add_module(name, flatten_layers(stage) if self.flat else stage)
        if dims == 2:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature map after the last stage."""
        return self.features(x, self.stages[-1])

    def features(self, x: Tensor, stage: str) -> Tensor:
        """Return the feature map after `stage`; later stages do not run.

        Raises:
            ConfigError: no such stage, or the input has not the dimensions and channels of this backbone.
        """
        known(stage, self.stages, "stage")
        self._check(x)
        return self._run(x, self.stages[: self.stages.index(stage) + 1])

    def resume(self, x: Tensor, stage: str) -> Tensor:
        """Run the stages after `stage` on a feature map that `features(x, stage)` gave.

        Raises:
            ConfigError: no such stage.
        """
        known(stage, self.stages, "stage")
        return self._run(x, self.stages[self.stages.index(stage) + 1 :])

    def until(self, stage: str) -> Backbone:
        """Return a backbone of the stages up to `stage`; it shares them with this one.

        Raises:
            ConfigError: no such stage.
        """
        known(stage, self.stages, "stage")
        stages = {name: self.get_submodule(name) for name in self.stages[: self.stages.index(stage) + 1]}
        return Backbone(dims=self.dims, channels=self.channels, stages=stages, widths=self.widths, flat=self.flat)

    def map_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the feature map, without the batch, for inputs of `shape` (C, L) or (C, H, W).

        Raises:
            ConfigError: the input is too small for this backbone, or has other dimensions or channels.
        """
        training = self.training
        self.eval()
        parameter = next(self.parameters())
        try:
            with torch.inference_mode():
                return tuple(self(torch.zeros(1, *shape, device=parameter.device, dtype=parameter.dtype)).shape[1:])
        except RuntimeError as error:
            size = " x ".join(str(n) for n in shape[1:])
            raise ConfigError(
                f"an input of {size} points is too small for this backbone ({len(self.stages)} stages); "
                "use a longer input or a shallower backbone"
            ) from error
        finally:
            self.train(training)

    def published_key(self, key: str) -> str:
        """Return the published name of one of this backbone's own state-dict keys."""
        for own, theirs in self.published.items():
            if key == own or key.startswith(own + "."):
                return theirs + key[len(own) :]
        return key

    def load_published(self, state: Mapping[str, Tensor]) -> tuple[str, ...]:
        """Load weights saved under their published names; keys of a classifier are left aside.

        Stages that the published network lacks (`unpublished`) stay as they are. Filters for red, green and blue are
        summed where this backbone takes one grey channel.

        Args:
            state: published key -> tensor.

        Returns:
            The keys of `state` that have no place here (the classifier's, normally).

        Raises:
            BundleError: a parameter is missing or has another shape; all are listed.
        """
        state = with_present_names(state, self.older)
        wanted = self._wanted(state)
        self.load_state_dict(state_to_load(self.state_dict(), wanted, state), strict=False)
        return tuple(key for key in state if key not in set(wanted.values()))

    def colours_summed(self, state: Mapping[str, Tensor]) -> tuple[str, ...]:
        """Return the published keys whose filters for red, green and blue `load_published` sums to one for grey."""
        own = self.state_dict()
        return tuple(p for k, p in self._wanted(state).items() if p in state and is_colour_for_grey(state[p], own[k]))

    def _wanted(self, state: Mapping[str, Tensor]) -> dict[str, str]:
        """Return own key -> published key, of all that published weights hold."""
        wanted = {key: self.published_key(key) for key in self.state_dict()}
        # Old checkpoints have no batch counters; they take no part in the result.
        return {
            key: theirs
            for key, theirs in wanted.items()
            if key.partition(".")[0] not in self.unpublished
            and (theirs in state or not key.endswith("num_batches_tracked"))
        }

    def _run(self, x: Tensor, names: tuple[str, ...]) -> Tensor:
        if self.flat and x.ndim == 3:
            x = to_flat(x)  # (B, C, 1, L)
        for name in names:
            x = self.get_submodule(name)(x)
        return x.squeeze(2) if self.flat and x.ndim == 4 else x

    def _check(self, x: Tensor) -> None:
        if x.ndim != self.dims + 2 or x.shape[1] != self.channels:
            sizes = ("", ", L", ", H, W")[self.dims]
            expected = f"(B, {self.channels}{sizes})"
            raise ConfigError(f"this backbone takes input of shape {expected}, but got {tuple(x.shape)}")
