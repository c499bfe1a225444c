"""What this software writes into an ONNX model beside the exported network; needs no torch."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..core.errors import UserError
from ..evaluation.calibration import LEAST_PROBABILITY
from .contract import CONTRACT_KEY, Contract

TEMPERATURE, PROBABILITIES = "temperature", "probabilities"


def write_contract(model: onnx.ModelProto, contract: Contract) -> None:
    """Put the contract into a model's metadata and its temperature into the graph.

    Both replace those that are there. The graph's probabilities become softmax(log p / temperature)
    of those the reduction gives, in float64 like the evaluator's.
    """
    kept = [entry for entry in model.metadata_props if entry.key != CONTRACT_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    entry = model.metadata_props.add()
    entry.key, entry.value = CONTRACT_KEY, json.dumps(contract.to_json())
    value = numpy_helper.from_array(np.array(contract.temperature, np.float64), TEMPERATURE)
    for tensor in model.graph.initializer:
        if tensor.name == TEMPERATURE:
            tensor.CopyFrom(value)
            return
    if contract.temperature != 1:
        _append_temperature(model.graph, value)


def _append_temperature(graph: onnx.GraphProto, value: onnx.TensorProto) -> None:
    raw = f"{PROBABILITIES}_at_1"
    if PROBABILITIES not in {name for node in graph.node for name in node.output}:
        raise UserError(f"the ONNX model has no output '{PROBABILITIES}': export it again")
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [raw if name == PROBABILITIES else name for name in names]
    least = numpy_helper.from_array(np.array(LEAST_PROBABILITY, np.float64), "least_probability")
    graph.initializer.extend([value, least])
    graph.node.extend(
        [
            helper.make_node("Cast", [raw], ["p"], to=TensorProto.DOUBLE),
            helper.make_node("Max", ["p", least.name], ["bounded_p"]),
            helper.make_node("Log", ["bounded_p"], ["log_p"]),
            helper.make_node("Div", ["log_p", TEMPERATURE], ["scaled_log_p"]),
            helper.make_node("Softmax", ["scaled_log_p"], ["scaled_p"], axis=1),
            helper.make_node("Cast", ["scaled_p"], [PROBABILITIES], to=TensorProto.FLOAT),
        ]
    )
