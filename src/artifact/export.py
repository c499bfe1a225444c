"""Export to one self-describing ONNX file, checked against the network that it came from."""

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from ..core.errors import UserError
from ..core.files import replacing
from ..core.progress import working
from ..evaluation.calibration import LEAST_PROBABILITY
from .contract import CONTRACT_KEY, Contract
from .network import Network

TEMPERATURE, PROBABILITIES = "temperature", "probabilities"
TOLERANCE = 1e-4
MAX_BYTES = 1_900_000_000  # a protobuf message ends at 2 GiB


@working("exporting to ONNX")
def export_onnx(network: Network, contract: Contract, path: Path) -> float:
    """Write `network` with its contract to `path`; returns the largest deviation found.

    Input `input` [batch, 3, height, width] float32; outputs `output` (raw logits) and
    `probabilities`. The file is run on random images at two batch sizes and must give the
    network's probabilities within 1e-4, else `UserError` and no file.
    """
    height, width = contract.preprocessing.output_size
    network = network.eval().cpu()
    n_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
    if n_bytes > MAX_BYTES:
        raise UserError(
            f"{contract.model} has {n_bytes / 1e9:.1f} GB of weights: one ONNX file holds at most "
            f"{MAX_BYTES / 1e9:.1f} GB; use the checkpoint itself"
        )
    # an example batch of 2: with 1 some models export with the batch fixed
    images = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():  # the exporter's notes on its own internals
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            Network(network.classifier, network.reduction, temperature=1.0),
            (images,),
            dynamo=True,
            verbose=False,
            input_names=["input"],
            output_names=["output", PROBABILITIES],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        )
    model = program.model_proto
    write_contract(model, contract)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    deviation = max(_deviation(network, data, images[:n]) for n in (1, 2))
    if not deviation <= TOLERANCE:
        raise UserError(
            f"the exported model deviates by {deviation:.2g} from the checkpoint: expected at "
            f"most {TOLERANCE}; nothing was written"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return deviation


@torch.no_grad()
def _deviation(network: Network, data: bytes, images: torch.Tensor) -> float:
    """Largest difference in probabilities between the network and its ONNX form."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    _, exported = session.run(["output", PROBABILITIES], {"input": images.numpy()})
    return float(np.abs(exported - network(images)[1].numpy()).max())


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
