"""What an ONNX graph of a bundle may hold; a stranger's graph is looked over before anything runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from polydx.errors import BundleError, Problem, counted
from polydx.io.parts import REMEDY

MOST_NODES = 20_000
MOST_ELEMENTS = 2**28
"""Of a tensor whose shape stands in the graph."""
SUBGRAPHS = (5, 10)
"""Kinds of attributes that hold graphs: branches and loops."""
ALLOWED = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "ArgMax",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Ceil",
        "Clip",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Conv",
        "Cos",
        "Div",
        "Dropout",
        "Einsum",
        "Equal",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Floor",
        "Gather",
        "GatherND",
        "Gelu",
        "Gemm",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Greater",
        "GreaterOrEqual",
        "GroupNormalization",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "InstanceNormalization",
        "LayerNormalization",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "LogSoftmax",
        "MatMul",
        "Max",
        "MaxPool",
        "Mean",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "PRelu",
        "Pad",
        "Pow",
        "Range",
        "Reciprocal",
        "ReduceL2",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Round",
        "ScatterElements",
        "ScatterND",
        "Selu",
        "Shape",
        "Sigmoid",
        "Sign",
        "Sin",
        "Size",
        "Slice",
        "Softmax",
        "Softplus",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "Swish",
        "Tanh",
        "Tile",
        "Transpose",
        "Trilu",
        "Unsqueeze",
        "Where",
        "Xor",
    }
)


def check_graph(content: bytes, where: str) -> None:
    """Refuse a graph that reads other files, runs operations that are not plain ones, or asks for giant tensors.

    Raises:
        BundleError: listing what is wrong with it.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's refusals share no class with Python's
        raise BundleError(f"{where} is no ONNX graph ({error}): {REMEDY}") from None
    found = dict.fromkeys(_problems(model))
    if found:
        problems = [Problem(place, what) for place, what in found]
        raise BundleError(f"{counted(len(problems), 'problem')} in {where}: {REMEDY}", problems)


def _problems(model: Any) -> Iterator[tuple[str, str]]:
    if len(model.graph.node) > MOST_NODES:
        yield "nodes", f"has {len(model.graph.node)}, over the limit of {MOST_NODES}"
        return
    for function in model.functions:
        yield function.name[:60], "is an operation of its own; only those of ONNX are run"
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in ALLOWED:
            yield f"{node.domain}:{node.op_type}"[:60], "is no operation that networks here need"
        for attribute in node.attribute:
            if attribute.type in SUBGRAPHS:
                yield node.op_type[:60], "holds a graph of its own"
            if attribute.type == 4:
                yield from _tensor(attribute.t, f"{node.op_type}.{attribute.name}"[:60])
    for tensor in model.graph.initializer:
        yield from _tensor(tensor, tensor.name[:60])
    if len(model.graph.sparse_initializer):
        yield "sparse_initializer", "is nothing that networks here need"
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        sides = [d.dim_value for d in value.type.tensor_type.shape.dim if d.HasField("dim_value")]
        if any(side < 0 for side in sides) or float(np.prod(np.array(sides, dtype=float))) > MOST_ELEMENTS:
            yield value.name[:60], f"has the shape {sides}: over the limit of {MOST_ELEMENTS} values"


def _tensor(tensor: Any, name: str) -> Iterator[tuple[str, str]]:
    if tensor.data_location or len(tensor.external_data):
        yield name, "lies in another file; the weights of a bundle lie in its graphs"
        return
    count = float(np.prod(np.array(tensor.dims, dtype=float)))
    if any(side < 0 for side in tensor.dims) or count > MOST_ELEMENTS:
        yield name, f"has the shape {list(tensor.dims)}: over the limit of {MOST_ELEMENTS} values"
    elif tensor.data_type == 7 and count <= 16:
        yield from _sizes(tensor, name)


def _sizes(tensor: Any, name: str) -> Iterator[tuple[str, str]]:
    """Short lists of whole numbers are shapes, counts and places: what they ask for is bounded as other shapes are."""
    import onnx

    try:
        values = onnx.numpy_helper.to_array(tensor).astype(float).ravel()
    except (ValueError, TypeError) as error:
        yield name, f"cannot be read ({error})"
        return
    finite = np.abs(values[(values != 0) & (np.abs(values) < 2**62)])  # 2**63 - 1 means "to the end"
    if float(np.prod(finite)) > MOST_ELEMENTS:
        yield name, f"asks for {[int(v) for v in values]}: over the limit of {MOST_ELEMENTS} values"
