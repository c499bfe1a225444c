"""Adds to an ONNX model what its last linear layer reads: as an output, and under dropout."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..core.errors import UserError
from ..trust.features import FEATURES, MASK

LOGITS = "output"
_MOST_STEPS = 50


def add_features(model: onnx.ModelProto) -> None:
    """Add the output `features` [N, width] and the optional input `dropout_mask` [1, width].

    The mask multiplies the features on their way into the layer; left out it is 1, and the model
    predicts as before. Changes `model` in place, and nothing where both are there. Raises
    `UserError` where the logits do not come from a linear layer.
    """
    graph = model.graph
    if FEATURES in [output.name for output in graph.output]:
        return
    node, width = _last_linear(graph)
    features = node.input[0]
    masked = f"{FEATURES}_masked"
    graph.initializer.append(numpy_helper.from_array(np.ones((1, width), np.float32), MASK))
    graph.input.append(helper.make_tensor_value_info(MASK, TensorProto.FLOAT, [1, width]))
    place = list(graph.node).index(node)
    graph.node.insert(place, helper.make_node("Mul", [features, MASK], [masked]))
    graph.node.insert(place, helper.make_node("Identity", [features], [FEATURES]))
    node.input[0] = masked
    value = helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["batch", width])
    graph.output.append(value)


def _last_linear(graph: onnx.GraphProto) -> tuple[onnx.NodeProto, int]:
    """The last linear layer before the logits, and how many numbers it reads of an image."""
    producers = {name: node for node in graph.node for name in node.output}
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    name = LOGITS
    for _ in range(_MOST_STEPS):
        node = producers.get(name)
        if node is None or not node.input:
            break
        name = node.input[0]
        if node.op_type in ("Gemm", "MatMul") and len(shapes.get(node.input[1], ())) == 2:
            given = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            return node, int(shapes[node.input[1]][1 if given.get("transB") else 0])
    raise UserError("its logits do not come from a linear layer: there are no features to export")
