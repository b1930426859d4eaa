"""A multi-layer perceptron as a classical model: fitted with torch, kept and run as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polydx.recipes.arrays import ArrayEstimator
from polydx.study import IntArray

if TYPE_CHECKING:
    from polydx.models.network import Network
    from polydx.training.tensors import TensorSet

INNER_FOLDS = 5
Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Perceptron:
    """Hidden layers with rectifiers, dropout before the output, balanced weights of the classes.

    Attributes:
        hidden: width of each hidden layer.
        dropout: probability of dropping a value of the last hidden layer.
        epochs: passes over the training rows, at most.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
        batch_size: rows a step.
        patience: epochs without a better loss on inner patients before the fit stops; 0 uses all rows and epochs.
        random_state: of weights, batches, dropout and inner patients.
    """

    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (128, 64, 32, 16)
    dropout: Share = 0.5
    epochs: Annotated[int, Field(ge=1)] = 100
    lr: Annotated[float, Field(gt=0)] = 1e-3
    betas: tuple[Share, Share] = (0.5, 0.999)
    batch_size: Annotated[int, Field(ge=2)] = 32
    patience: Annotated[int, Field(ge=0)] = 10
    random_state: int = 0

    def fit(self, features: NDArray[np.float64], codes: IntArray, patients: IntArray) -> ArrayEstimator:
        """Fit to (N, D) features, (N,) codes 0..k-1 and (N,) patients.

        One mean and standard deviation of all values keeps raw counts within reach.

        Raises:
            ConfigError: training diverged.
        """
        from polydx.models.network import build_network
        from polydx.training.loop import fit
        from polydx.training.losses import CrossEntropy, balanced_class_weights
        from polydx.training.tensors import tensor_set
        from polydx.training.threads import limited_threads

        mean, sd = float(features.mean()), float(features.std()) or 1.0
        classes, width = int(codes.max()) + 1, features.shape[1]
        network = build_network(
            {"input": (1, width)},
            backbones={"input": {"name": "mlp", "hidden": list(self.hidden), "points": width}},
            heads={"task": {"classes": classes, "dropout": self.dropout}},
            seed=self.random_state,
        )
        rows = tensor_set({"input": (features - mean) / sd}, {"task": codes}, patients)
        train, monitor = self._inner(rows, codes, patients)
        weights = balanced_class_weights(train.labels["task"].numpy(), classes, train.patients)
        with limited_threads(1):
            fit(
                network, train, monitor, self._options(), seed=self.random_state, losses={"task": CrossEntropy(weights)}
            )
        layers = _layers(network)
        return ArrayEstimator({"kind": "perceptron", "layers": len(layers) // 2, "mean": mean, "sd": sd}, layers)

    def _inner(self, rows: TensorSet, codes: IntArray, patients: IntArray) -> tuple[TensorSet, TensorSet | None]:
        """Return rows to learn from, and those of inner patients that watch over the epochs, if they can be spared."""
        count = len(np.unique(patients))
        if self.patience == 0 or count < 2:
            return rows, None
        from polydx.splits import stratified_group_k_fold

        fold = stratified_group_k_fold(patients, codes, min(INNER_FOLDS, count), self.random_state)[0]
        if set(codes[fold.train]) != set(codes):
            return rows, None
        return _take(rows, fold.train), _take(rows, fold.test)

    def _options(self) -> Any:
        from polydx.training.options import TrainingOptions

        return TrainingOptions(
            epochs=self.epochs, batch_size=self.batch_size, lr=self.lr, betas=self.betas, patience=self.patience
        )


def _take(rows: TensorSet, positions: IntArray) -> TensorSet:
    import torch

    from polydx.training.tensors import take_rows

    return take_rows(rows, torch.from_numpy(positions))


def _layers(network: Network) -> dict[str, NDArray[Any]]:
    """Return the weight and bias of every linear layer, in the order they run."""
    from torch import nn

    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    arrays: dict[str, NDArray[Any]] = {}
    for number, layer in enumerate(linear):
        arrays[f"weight{number}"] = layer.weight.detach().numpy().copy()
        arrays[f"bias{number}"] = layer.bias.detach().numpy().copy()
    return arrays
