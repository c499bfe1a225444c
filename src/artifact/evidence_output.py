"""Adds the output `evidence` to an ONNX model whose logits are linear in pooled cells."""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .evidence import EVIDENCE, POOLED_LINEAR, POOLED_NORM_LINEAR, Evidence

LOGITS = "output"
_KEEPS_ORDER = ("Identity", "Dropout", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze")
_MOST_STEPS = 50
# what stands between cells and logits in words, where the name of the operation says too little
_IN_WORDS = {"Gather": "a class token", "Slice": "a part of the tokens", "LSTM": "a recurrent head"}


class NoSplitError(Exception):
    """Why logits cannot be split exactly over the cells of a feature map, in words."""


@dataclass
class _Tail:
    """logits = `weight` [n_outputs, C] @ u + `bias`, for values u on the way back to the cells.

    Behind a `norm` u is centred and divided by the norm's own scale, after which no bias can be
    constant.
    """

    weight: np.ndarray
    bias: np.ndarray
    norm: onnx.NodeProto | None = None

    def after_linear(self, weight: np.ndarray, bias: np.ndarray | float = 0.0) -> None:
        """Take in u = `weight` @ v + `bias`."""
        if self.norm is not None:
            raise NoSplitError("a linear layer stands between the pooling and its norm")
        if weight.ndim != 2 or weight.shape[0] != self.weight.shape[1]:
            raise NoSplitError("the head reads more than pooled cells")
        self.bias = self.bias + self.weight @ np.broadcast_to(bias, len(weight))
        self.weight = self.weight @ weight


@dataclass
class _Graph:
    model: onnx.ModelProto
    producers: dict[str, onnx.NodeProto] = field(init=False)
    constants: dict[str, onnx.TensorProto] = field(init=False)

    def __post_init__(self):
        graph = self.model.graph
        self.producers = {name: node for node in graph.node for name in node.output}
        self.constants = {tensor.name: tensor for tensor in graph.initializer}

    def shape(self, name: str) -> list[int]:
        """The stated sides of a value, 0 for those that are open; empty where none are stated."""
        for value in (*self.model.graph.value_info, *self.model.graph.input):
            if value.name == name:
                return [side.dim_value for side in value.type.tensor_type.shape.dim]
        return []

    def constant(self, name: str) -> np.ndarray:
        """float64 values of an initializer."""
        if name not in self.constants:
            raise NoSplitError("the head's weights depend on the image")
        return numpy_helper.to_array(self.constants[name]).astype(np.float64)


def add_evidence(model: onnx.ModelProto) -> Evidence:
    """What the new output of `model`, which is changed in place, is.

    The logits are followed back through linear layers and at most one layer norm to a mean over the
    cells of a feature map. Raises `NoSplitError` where there is anything else on this way.
    """
    graph = _Graph(model)
    tail, pool = _tail(graph, LOGITS)
    cells, axes = pool.input[0], _axes(graph, pool)
    shape = graph.shape(cells)
    places = [axis % len(shape) for axis in axes] if shape else []
    if len(shape) != 4 or sorted(places) not in ([1, 2], [2, 3]):
        raise NoSplitError("its mean is not over the cells of a feature map")
    grid = (shape[min(places)], shape[max(places)])
    is_last = sorted(places) == [1, 2]
    if shape[3 if is_last else 1] != tail.weight.shape[1]:
        raise NoSplitError("the head reads more than pooled cells")
    weight = (tail.weight / np.prod(grid)).astype(np.float32)[:, :, None, None]
    method = POOLED_LINEAR if tail.norm is None else POOLED_NORM_LINEAR
    _append(model.graph, cells, is_last, weight, tail.norm)
    value = helper.make_tensor_value_info(
        EVIDENCE, TensorProto.FLOAT, ["batch", len(weight), *grid]
    )
    model.graph.output.append(value)
    return Evidence(method, grid, tuple(map(float, tail.bias)))


def _tail(graph: _Graph, name: str) -> tuple[_Tail, onnx.NodeProto]:
    """What follows the pooling, and the pooling."""
    tail = None
    for _ in range(_MOST_STEPS):
        node = graph.producers.get(name)
        if node is None:
            break
        kind = node.op_type
        if kind in ("ReduceMean", "GlobalAveragePool"):
            if tail is None:
                break
            return tail, node
        if kind in ("Gemm", "MatMul"):
            weight, bias = _gemm(graph, node)
            tail = tail or _Tail(np.eye(len(weight)), np.zeros(len(weight)))
            tail.after_linear(weight, bias)
        elif kind == "LayerNormalization" and tail and tail.norm is None:
            _take_norm(graph, node, tail)
        elif kind not in _KEEPS_ORDER and not (tail and _keeps_channels(graph, node)):
            found = _IN_WORDS.get(kind, kind)
            raise NoSplitError(f"its logits are not linear in pooled cells ({found} is in between)")
        name = node.input[0]
    raise NoSplitError("its logits do not come from a linear layer over pooled cells")


def _keeps_channels(graph: _Graph, node: onnx.NodeProto) -> bool:
    """Whether pooled values keep their order: torch's `as_strided` gathers them from a flat list.

    Whatever else looks alike shows when the cells are summed.
    """
    flat = graph.producers.get(node.input[0])
    is_strided = node.op_type == "Gather" and flat is not None and flat.op_type == "Reshape"
    return node.op_type == "Transpose" or is_strided


def _gemm(graph: _Graph, node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray]:
    """(weight [outputs, inputs], bias) of a fully connected layer, or of a product alone."""
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if given.get("transA", 0):
        raise NoSplitError("its head mixes images of a batch")
    weight = graph.constant(node.input[1]) * given.get("alpha", 1.0)
    weight = weight if given.get("transB", 0) else weight.T
    has_bias = len(node.input) > 2 and node.input[2]
    bias = graph.constant(node.input[2]) if has_bias else np.zeros(len(weight))
    return weight, bias * given.get("beta", 1.0)


def _take_norm(graph: _Graph, node: onnx.NodeProto, tail: _Tail) -> None:
    """The head of (v - mean) / scale * gain + shift as one of v / scale, its weights centred."""
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    gain = graph.constant(node.input[1])
    shift = graph.constant(node.input[2]) if len(node.input) > 2 else np.zeros(len(gain))
    if given.get("axis", -1) != -1 or gain.shape != (tail.weight.shape[1],):
        raise NoSplitError("its norm is not over the channels alone")
    tail.after_linear(np.diag(gain), shift)
    tail.weight = tail.weight - tail.weight.mean(axis=1, keepdims=True)
    tail.norm = node


def _axes(graph: _Graph, pool: onnx.NodeProto) -> list[int]:
    if pool.op_type == "GlobalAveragePool":
        return [2, 3]
    written = [list(a.ints) for a in pool.attribute if a.name == "axes"]
    if written or len(pool.input) < 2:
        return written[0] if written else []
    return graph.constant(pool.input[1]).astype(int).tolist()


def _append(
    graph: onnx.GraphProto,
    cells: str,
    is_last: bool,
    weight: np.ndarray,
    norm: onnx.NodeProto | None,
) -> None:
    """The nodes that weigh every cell as the head weighs the pooled ones."""
    graph.initializer.append(numpy_helper.from_array(weight, "evidence_weight"))
    nodes = []
    if is_last:
        nodes.append(helper.make_node("Transpose", [cells], ["evidence_cells"], perm=[0, 3, 1, 2]))
        cells = "evidence_cells"
    weighted = EVIDENCE if norm is None else "evidence_before_norm"
    nodes.append(helper.make_node("Conv", [cells, "evidence_weight"], [weighted]))
    if norm is not None:
        norm.output[:] = [norm.output[0], "evidence_mean", "evidence_inverse_scale"]
        shape = numpy_helper.from_array(np.array([-1, 1, 1, 1]), "evidence_scale_shape")
        graph.initializer.append(shape)
        scale = ["evidence_inverse_scale", shape.name]
        nodes.append(helper.make_node("Reshape", scale, ["evidence_scale"]))
        nodes.append(helper.make_node("Mul", [weighted, "evidence_scale"], [EVIDENCE]))
    for node in nodes:
        node.name = f"{EVIDENCE}_{node.op_type}"
    graph.node.extend(nodes)
