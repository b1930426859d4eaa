"""The networks of a fitted recipe as ONNX graphs. Needs torch; what it writes does not."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polydx.bundle.graphs import EMBEDDING, graph_name
from polydx.models.network import Network
from polydx.models.pooling import AttentionPool
from polydx.recipes.kinds import rebuild
from polydx.recipes.network_fitted import FittedNetwork

Arrays = Mapping[str, NDArray[Any]]


def graphs_of(described: dict[str, Any], arrays: Arrays) -> dict[str, bytes]:
    """Return the graphs of all networks in a description, which gains a section `graphs` for each.

    Args:
        described: the recipe's state; changed.
        arrays: of the state.
    """
    found: dict[str, bytes] = {}
    numbers = iter(range(10_000))

    def one(config: Any, own: Arrays) -> FittedNetwork:
        fitted = FittedNetwork.from_state(config, own)
        config["graphs"], graphs = _exported(fitted, config.pop("cut", None), next(numbers))
        found.update(graphs)
        return fitted

    _mark(described)
    rebuild(described, arrays, one)
    return found


def _mark(config: Any) -> None:
    """Tell the networks of `features` recipes where their features are cut."""
    if isinstance(config, dict):
        if config.get("kind") == "features":
            for cut in config["cuts"].values():
                cut["network"]["cut"] = {"stage": cut["stage"], "pool": cut["pool"]}
        for part in config.values():
            _mark(part)
    elif isinstance(config, list):
        for part in config:
            _mark(part)


def _exported(fitted: FittedNetwork, cut: Any, number: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    known, shapes = fitted.network.eval().cpu(), fitted.plan["shapes"]
    network, plain = _plainly_named(known)
    examples = {plain[name]: torch.zeros(2, *shapes[name]) for name in known.modalities}
    stage = None if cut is None or cut["stage"] == EMBEDDING else str(cut["stage"])
    about: dict[str, Any] = {
        "number": number, "modalities": list(known.modalities), "tasks": list(known.tasks), "pools": [],
        "shapes": {}, "answers": stage is None, "cut": stage,
    }  # fmt: skip
    graphs: dict[str, bytes] = {}
    if stage is not None:
        name, dot, rest = stage.partition(".")
        module = _Cut(network, plain[name] + dot + rest, cut["pool"])
        graphs["cut"] = _graph(module, (examples[plain[name]],), ["x"], ["features"])
        return about, {graph_name(number, what): content for what, content in graphs.items()}
    vectors = []
    for i, (told, name) in enumerate(zip(known.modalities, network.modalities, strict=True)):
        graphs[f"encode-{i}"] = _graph(_Encode(network, name), (examples[name],), ["x"], ["vector"])
        with torch.inference_mode():
            vectors.append(network.encode(name, examples[name]).clone())
        about["shapes"][told] = list(vectors[-1].shape[1:])
        pool = dict(network.pools.items()).get(name)
        if isinstance(pool, AttentionPool):
            graphs[f"pool-{i}"] = _graph(_Score(pool), (vectors[-1],), ["x"], ["score"])
            about["pools"].append(told)
    present = torch.ones(2, len(vectors), dtype=torch.bool)
    names = [*(f"v{i}" for i in range(len(vectors))), "present"]
    outputs = [EMBEDDING, *(f"logits{i}" for i in range(len(network.tasks)))]
    graphs["answer"] = _graph(_Answer(network), (*vectors, present), names, outputs)
    return about, {graph_name(number, what): content for what, content in graphs.items()}


def _plainly_named(network: Network) -> tuple[Network, dict[str, str]]:
    """Return the network under names that torch can write into code: a task may be called 'class', or 'T stage'.

    Returns:
        A copy, its modalities m0, m1 ... and its tasks t0, t1 ...; and what each modality is called in it.
    """
    copied = copy.deepcopy(network)
    modalities = {name: f"m{i}" for i, name in enumerate(network.modalities)}
    tasks = {name: f"t{i}" for i, name in enumerate(network.tasks)}
    by_modality = [part for part in copied.fusion.children() if isinstance(part, nn.ModuleDict)]
    for part in (copied.backbones, copied.necks, copied.pools, *by_modality):
        _rename(part, modalities)
    _rename(copied.heads, tasks)
    copied.fusion.widths = {modalities[name]: width for name, width in copied.fusion.widths.items()}
    copied.fusion.order = tuple(modalities[name] for name in copied.fusion.order)
    return copied, modalities


def _rename(parts: nn.ModuleDict, names: Mapping[str, str]) -> None:
    held = list(parts.items())
    parts.clear()
    parts.update({names[name]: module for name, module in held})


class _Encode(nn.Module):
    def __init__(self, network: Network, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, x: Tensor) -> Tensor:
        return self.network.encode(self.name, x)


class _Score(nn.Module):
    """The score of each row of a bag, before the softmax over the bag's rows."""

    def __init__(self, pool: AttentionPool) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return self.pool.scores(x)


class _Answer(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        names = self.network.modalities
        vectors, told = dict(zip(names, given, strict=False)), given[-1]
        embedding = self.network.fuse(vectors, {name: told[:, i] for i, name in enumerate(names)})
        return embedding, *(head(embedding) for head in self.network.heads.values())


class _Cut(nn.Module):
    def __init__(self, network: Network, stage: str, pool: str) -> None:
        super().__init__()
        self.network, self.stage, self.average = network, stage, pool == "average"

    def forward(self, x: Tensor) -> Tensor:
        found = self.network.features({self.stage.partition(".")[0]: x}, self.stage)
        return found.flatten(2).mean(dim=2) if self.average and found.ndim > 2 else found.flatten(1)


def _graph(module: nn.Module, args: tuple[Tensor, ...], names: list[str], outputs: list[str]) -> bytes:
    """Return a graph for any number of rows; the same module gives the same bytes."""
    import logging
    import warnings

    rows = torch.export.Dim("rows")
    shapes: Any = tuple({0: rows} for _ in args)
    if isinstance(module, _Answer):
        shapes = (shapes,)  # of the variadic argument
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(), args, dynamo=True, dynamic_shapes=shapes, external_data=False, input_names=names,
                output_names=outputs, verbose=False,
            )  # fmt: skip
    finally:
        quiet.setLevel(level)
    if program is None:
        raise RuntimeError("torch exported nothing")
    return _bare(program.model_proto)


def _bare(model: Any) -> bytes:
    """Return the graph without notes on where it was made: paths, lines of code."""
    del model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    for thing in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info,
                  *model.graph.input, *model.graph.output):  # fmt: skip
        thing.doc_string = ""
        del thing.metadata_props[:]
    content: bytes = model.SerializeToString(deterministic=True)
    return content
