"""Adds the output `features` to an ONNX model: what its last linear layer reads."""

import onnx
from onnx import TensorProto, helper

from ..core.errors import UserError
from ..trust.features import FEATURES

LOGITS = "output"
_MOST_STEPS = 50


def add_features(model: onnx.ModelProto) -> None:
    """Add the output in place; nothing where it is there.

    Raises `UserError` where the logits do not come from a linear layer.
    """
    graph = model.graph
    if FEATURES in [output.name for output in graph.output]:
        return
    producers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor.dims for tensor in graph.initializer}
    name = LOGITS
    for _ in range(_MOST_STEPS):
        node = producers.get(name)
        if node is None or not node.input:
            break
        name = node.input[0]
        if node.op_type in ("Gemm", "MatMul") and node.input[1] in constants:
            graph.node.append(helper.make_node("Identity", [name], [FEATURES]))
            shape = ["batch", None]
            graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, shape))
            return
    raise UserError("its logits do not come from a linear layer: there are no features to export")
