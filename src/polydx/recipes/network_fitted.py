"""A network recipe after its fit: predict, cut features, store, rebuild."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from polydx.models.bags import Bags
from polydx.models.network import Network
from polydx.recipes.arrays.common import softmax
from polydx.recipes.inputs import pool_mean
from polydx.recipes.mapping import ClassMapping, two_columns
from polydx.recipes.network_inputs import NetworkInputs
from polydx.recipes.network_plan import Plan, planned_network
from polydx.recipes.protocol import Probabilities, State, tuned_state
from polydx.recipes.provenance import Manifest
from polydx.recipes.scaling import scaled
from polydx.recipes.task_fit import under
from polydx.study import FloatArray, RowIndex, Study
from polydx.training.predict import extract_features, modality_shares, predict_logits
from polydx.training.threads import limited_threads

Pool: TypeAlias = Literal["average", "flat"]


@dataclass
class FittedNetwork:
    """A network recipe after `fit`.

    Attributes:
        inputs: fitted preprocessing and scales.
        network: in evaluation mode.
        plan: keyword arguments of `build_network` that make this architecture.
        threads: for prediction.
        mapping: from the classes of a source network to those of the tasks, where the network was not fitted itself.
        manifest: what its weights have seen.
    """

    inputs: NetworkInputs
    network: Network
    plan: Plan
    threads: int = 1
    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mapping: ClassMapping | None = None
    manifest: Manifest | None = None

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)}.

        Of one modality, a sample with several rows gets the mean of their probabilities. Of several, any that a sample
        has will do.

        Raises:
            StudyError: a sample has none of the modalities.
        """
        tensors, index = self.inputs.tensors(study)
        found = {task: pool_mean(p, index) for task, p in self.instance_probabilities(tensors).items()}
        return scaled({task: p / p.sum(axis=1, keepdims=True) for task, p in found.items()}, self.temperatures)

    def instance_probabilities(self, tensors: Mapping[str, torch.Tensor | Bags]) -> Probabilities:
        """Return {task: (n, K)}, one row an input."""
        with limited_threads(self.threads):
            logits = predict_logits(self.network, tensors)
        found = {task: softmax(two_columns(values)) for task, values in logits.items()}
        return found if self.mapping is None else self.mapping.apply(found)

    def modality_weights(self, study: Study) -> dict[str, NDArray[np.float64]] | None:
        """Return modality -> (N,) its share in a sample's embedding: they sum to 1 over those it has, NaN elsewhere.

        Of `attention` the class token's attention, of `gated` the mean gate, of `dsaf` what the learned weights say,
        which are the same for all samples; None for others. A share tells where the network looked, not what an answer
        rests on.

        Raises:
            StudyError: a sample has none of the modalities.
        """
        tensors, _ = self.inputs.tensors(study)
        with limited_threads(self.threads):
            shares = modality_shares(self.network, tensors)
        if shares is None:
            return None
        there = {n: study.present(n) if n in study.modalities else np.False_ for n in self.network.modalities}
        return {n: np.where(has, shares[:, i], np.nan) for i, (n, has) in enumerate(there.items())}

    def features(self, study: Study, stage: str, pool: Pool = "flat") -> FloatArray:
        """Return (N, D) activations: `<modality>.<stage>` of a backbone, or `embedding`.

        Args:
            study: samples; one with several spectra gets the mean of their activations.
            stage: where to cut.
            pool: the mean over the positions of the map, or all of them side by side.

        Raises:
            ConfigError: no such stage; the message lists those there are.
        """
        tensors, index = self.inputs.tensors(study)
        return self.cut(tensors, index, stage, pool)

    def cut(
        self, tensors: Mapping[str, torch.Tensor | Bags], index: RowIndex, stage: str, pool: Pool = "flat"
    ) -> FloatArray:
        """Return (N, D) activations of inputs as `inputs.tensors` gives them."""
        with limited_threads(self.threads):
            return pool_mean(extract_features(self.network, tensors, stage, pool=pool).astype(np.float64), index)

    def state(self) -> State:
        """Return the fit as data."""
        described, arrays = self.inputs.state()
        config = {
            "kind": "network",
            **described,
            "plan": self.plan,
            **tuned_state(self),
            "mapping": None,
            "manifest": None if self.manifest is None else self.manifest.to_json(),
        }
        found: dict[str, NDArray[Any]] = {f"inputs/{k}": v for k, v in arrays.items()}
        found |= {f"weights/{k}": v.detach().cpu().numpy() for k, v in self.network.state_dict().items()}
        if self.mapping is not None:
            config["mapping"] = self.mapping.source
            found |= {f"mapping/{task}": table for task, table in self.mapping.tables.items()}
        return config, found

    @classmethod
    def from_state(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedNetwork:
        """Rebuild what `state` returned."""
        plan = dict(config["plan"])
        network = planned_network(plan)
        network.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in under(arrays, "weights/").items()})
        network.eval()
        fitted = cls(NetworkInputs.from_state(config, under(arrays, "inputs/")), network, plan)
        fitted.thresholds, fitted.temperatures = config["thresholds"], config["temperatures"]
        if config.get("mapping"):
            fitted.mapping = ClassMapping(config["mapping"], under(arrays, "mapping/"))
        if config.get("manifest"):
            fitted.manifest = Manifest.from_json(config["manifest"])
        return fitted


def needed(stage: str, modalities: Sequence[str]) -> tuple[str, ...]:
    """Return the modalities of which a sample needs one to have features at a stage: its own, or any (`embedding`)."""
    own = stage.partition(".")[0]
    return (own,) if own in modalities else tuple(modalities)
