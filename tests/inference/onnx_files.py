"""Small ONNX files of others: one step from the mean of each colour to scores, then a tail."""

import json

import onnx
from onnx import TensorProto, helper

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
# of the colours' means to each class's score
WEIGHTS = {1: [[1.0], [0.0], [0.0]], 2: [[2.0, 0.0], [1.0, 0.5], [0.0, 3.0]]}


def node(operation, inputs, outputs, **attributes):
    return helper.make_node(operation, inputs.split(), outputs.split(), **attributes)


def save(path, nodes, outputs, shape, constants=(), kind=FLOAT, inputs=None):
    """Write a graph with one input `x`, or these `inputs`."""
    given = [helper.make_tensor_value_info("x", kind, shape)] if inputs is None else inputs
    graph = helper.make_graph(nodes, "g", given, outputs, list(constants))
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def scorer(path, tail=(), weights=WEIGHTS[2], shape=("n", 3, 8, 8), kind=FLOAT, last="scores"):
    """A model whose `scores` are the colours' means times `weights`; `tail` goes on from them."""
    axes = [1, 2] if shape[3] == 3 else [2, 3]
    rows = [value for row in weights for value in row]
    table = helper.make_tensor("w", FLOAT, [3, len(weights[0])], rows)
    nodes = [
        node("Cast", "x", "floats", to=FLOAT),
        node("ReduceMean", "floats", "means", axes=axes, keepdims=0),
        node("MatMul", "means w", "scores"),
        *tail,
    ]
    return save(path, nodes, [value(last, None)], list(shape), [table], kind)


def with_contract(path, contract, weights=WEIGHTS[2], height=8, width=8):
    """A model of this software's kind; `contract` is JSON or a `Contract`."""
    axes = {"axes": [2, 3], "keepdims": 0}
    table = helper.make_tensor(
        "w", FLOAT, [3, len(weights[0])], [v for row in weights for v in row]
    )
    nodes = [
        node("ReduceMean", "input", "means", **axes),
        node("MatMul", "means w", "output"),
        node("Softmax", "output", "probabilities", axis=1),
    ]
    outputs = [value("output", None), value("probabilities", None)]
    images = [value("input", ["n", 3, height, width])]
    save(path, nodes, outputs, None, [table], inputs=images)
    model = onnx.load(path)
    content = contract if isinstance(contract, dict) else contract.to_json()
    helper.set_model_props(model, {"melanoma_contract": json.dumps(content)})
    onnx.save(model, path)
    return path
