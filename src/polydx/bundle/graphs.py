"""Networks of a bundle as ONNX graphs, run by onnxruntime; preprocessing, bags and softmax in numpy.

A network is one graph a modality from a row to its vector, one that fuses the vectors of a sample and answers, one
for the scores of a bag's rows where they are pooled by attention, and one that cuts features where a recipe asks so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polydx.bundle.sessions import Graph, open_graph
from polydx.errors import BundleError, ConfigError, StudyError, counted
from polydx.io.parts import Parts
from polydx.recipes.arrays.common import softmax
from polydx.recipes.inputs import pool_mean
from polydx.recipes.mapping import ClassMapping, two_columns
from polydx.recipes.network_inputs import NetworkInputs
from polydx.recipes.protocol import Probabilities, State
from polydx.recipes.scaling import scaled
from polydx.recipes.task_fit import under
from polydx.study import FloatArray, RowIndex, Study

Float = NDArray[np.float32]
EMBEDDING = "embedding"


@dataclass
class GraphNetwork:
    """A network recipe after its fit, without torch.

    Attributes:
        inputs: fitted preprocessing and scales.
        encode: modality -> from its rows to their vectors.
        pools: modality -> from vectors to scores, where rows are pooled by attention.
        answer: from the vectors of all modalities to the embedding and each task's logits.
        cut: from the rows of a modality to features, and where they are cut; for recipes of kind `features`.
        shapes: modality -> shape of a row's vector.
        mapping: from the classes of a source network to those of the tasks.
    """

    inputs: NetworkInputs
    encode: Mapping[str, Graph]
    pools: Mapping[str, Graph]
    answer: Graph | None
    cut: tuple[str, Graph] | None
    shapes: Mapping[str, Sequence[int]]
    tasks: Sequence[str]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mapping: ClassMapping | None = None

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)}, as `FittedNetwork.predict_proba` has it.

        Raises:
            StudyError: a sample has none of the modalities.
        """
        found, index = self._answers(study)
        told = {n: softmax(two_columns(found[n].astype(np.float64))) for n in self.tasks}
        told = told if self.mapping is None else self.mapping.apply(told)
        pooled = {task: pool_mean(p, index) for task, p in told.items()}
        return scaled({task: p / p.sum(axis=1, keepdims=True) for task, p in pooled.items()}, self.temperatures)

    def features(self, study: Study, stage: str, pool: Literal["average", "flat"] = "flat") -> FloatArray:
        """Return (N, D) activations at the one stage that was exported, or the embedding.

        Raises:
            ConfigError: another stage.
        """
        if stage == EMBEDDING:
            found, index = self._answers(study)
            return pool_mean(found[EMBEDDING].astype(np.float64), index)
        if self.cut is None or self.cut[0] != stage:
            raise ConfigError(
                f"the bundle has no graph that ends at '{stage}': use `polydx extract`, which needs torch"
            )
        name, arrays = stage.partition(".")[0], self.inputs.arrays(study)
        lacking = int((study.rows[name].counts == 0).sum()) if name in study.rows else len(study)
        if lacking:
            raise StudyError(f"{counted(lacking, 'sample')} without {name!r}: features at {stage!r} need it")
        starts = study.rows[name].starts
        index = RowIndex(starts, np.arange(starts[-1]))
        return pool_mean(self.cut[1]({"x": arrays[name]})[0].astype(np.float64), index)

    def state(self) -> State:
        """Refuse: a bundle is made of a fit, not of a bundle.

        Raises:
            BundleError: always.
        """
        raise BundleError("graphs are no network that could be stored again: read the bundle with torch")

    def _answers(self, study: Study) -> tuple[dict[str, Float], RowIndex]:
        """Return the embedding and each task's logits, one row a sample or, of one modality, one row a row."""
        if self.answer is None:
            raise ConfigError("the bundle has only the features of its network")
        arrays = self.inputs.arrays(study)
        vectors: dict[str, Float] = {}
        if self.inputs.by_sample:
            count, index = len(study), RowIndex.one_each(len(study))
            present = [study.present(n) if n in arrays else np.zeros(count, dtype=bool) for n in self.encode]
            for name, graph in self.encode.items():
                vectors[name] = np.zeros((count, *self.shapes[name]), dtype=np.float32)
                if name in arrays:
                    vectors[name] = self._pooled(name, graph({"x": arrays[name]})[0], study.rows[name])
        else:
            name, graph = next(iter(self.encode.items()))
            starts = study.rows[name].starts
            count, index = int(starts[-1]), RowIndex(starts, np.arange(starts[-1]))
            vectors[name], present = graph({"x": arrays[name]})[0], [np.ones(count, dtype=bool)]
        given: dict[str, NDArray[Any]] = {f"v{i}": vectors[name] for i, name in enumerate(self.encode)}
        found = self.answer({**given, "present": np.column_stack(present)})
        return dict(zip([EMBEDDING, *self.tasks], found, strict=True)), index

    def _pooled(self, name: str, encoded: Float, index: RowIndex) -> Float:
        """Return (N, ...), one for the rows (n, ...) of each sample; zeros for a sample without rows."""
        counts = np.diff(index.starts)
        if (counts == 1).all():
            return encoded
        there, first = counts > 0, index.starts[:-1]
        weights = 1.0 / np.maximum(counts, 1)[index.sample_of_row]
        if name in self.pools:
            scores = self.pools[name]({"x": encoded})[0].astype(np.float64)
            highest = np.maximum.reduceat(scores, first[there])
            shares = np.exp(scores - np.repeat(highest, counts[there]))
            weights = shares / np.repeat(np.add.reduceat(shares, first[there]), counts[there])
        pooled = np.zeros((len(counts), *encoded.shape[1:]), dtype=np.float32)
        weighted = encoded * weights.reshape(-1, *(1,) * (encoded.ndim - 1))
        pooled[there] = np.add.reduceat(weighted, first[there], axis=0)
        return pooled


@dataclass(frozen=True)
class GraphReader:
    """Makes the networks of a bundle from its graphs.

    Attributes:
        parts: the bundle.
    """

    parts: Parts

    def __call__(self, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> GraphNetwork:
        """Return the network of a description; its weights are in the graphs.

        Raises:
            BundleError: a graph is missing, or is none that a bundle may hold.
        """
        about = config["graphs"]
        names = list(about["modalities"])
        encode = {n: self._graph(about, f"encode-{i}") for i, n in enumerate(names)} if about["answers"] else {}
        pools = {n: self._graph(about, f"pool-{names.index(n)}") for n in about["pools"]}
        inputs = NetworkInputs.from_state(config, under(arrays, "inputs/"))
        found = GraphNetwork(
            inputs,
            encode,
            pools,
            self._graph(about, "answer") if about["answers"] else None,
            (str(about["cut"]), self._graph(about, "cut")) if about["cut"] else None,
            {n: tuple(int(side) for side in about["shapes"][n]) for n in encode},
            [str(task) for task in about["tasks"]],
            config["thresholds"],
            config["temperatures"],
        )
        if config.get("mapping"):
            found.mapping = ClassMapping(config["mapping"], under(arrays, "mapping/"))
        return found

    def _graph(self, about: Mapping[str, Any], what: str) -> Graph:
        return open_graph(self.parts, graph_name(int(about["number"]), what))


def graph_name(number: int, what: str) -> str:
    """Return the part that holds a graph of a network, by the order in which a description names them."""
    return f"graphs/{number}-{what}.onnx"
