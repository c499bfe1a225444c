"""Export to one self-describing ONNX file, checked against the network that it came from."""

import json
import logging
import warnings
from dataclasses import dataclass, replace
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
from .evidence import EVIDENCE, Evidence
from .evidence_output import NoSplitError, add_evidence
from .network import Network

TEMPERATURE, PROBABILITIES = "temperature", "probabilities"
TOLERANCE = 1e-4
MAX_BYTES = 1_900_000_000  # a protobuf message ends at 2 GiB
BATCH_SIZE = 32


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    `deviation` is the largest one in probabilities from the network's; `no_evidence` says why the
    file has no output `evidence`, and is empty where it has.
    """

    deviation: float
    contract: Contract
    no_evidence: str = ""


@working("exporting to ONNX")
def export_onnx(
    network: Network, contract: Contract, path: Path, images: np.ndarray | None = None
) -> Exported:
    """Write `network` with its contract to `path`, and check the file.

    Input `input` [batch, 3, height, width] float32; outputs `output` (raw logits),
    `probabilities` and, where the logits are an exact sum over cells, `evidence` (see `Evidence`).
    The file is run on random images at two batch sizes and on `images` [N, 3, height, width], and
    must give the network's probabilities within 1e-4, else `UserError` and no file.
    """
    network = network.eval().cpu()
    model, evidence, no_evidence = _with_evidence(_to_onnx(network, contract), contract)
    contract = replace(contract, evidence=evidence)
    write_contract(model, contract)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    drawn = drawn_images(contract)
    checked = [drawn[:1], drawn, *([] if images is None else [images])]
    deviation = max(_deviation(network, data, batch) for batch in checked)
    if not deviation <= TOLERANCE:
        raise UserError(
            f"the exported model deviates by {deviation:.2g} from the checkpoint: expected at "
            f"most {TOLERANCE}; nothing was written"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return Exported(deviation, contract, no_evidence)


def drawn_images(contract: Contract) -> np.ndarray:
    """float32 [2, 3, height, width], always the same.

    An example batch of 2: with 1 some models export with the batch fixed.
    """
    shape = (2, 3, *contract.preprocessing.output_size)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def batches(images: np.ndarray) -> list[np.ndarray]:
    """`images` in parts that fit in memory with what a network makes of them."""
    return [images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE)]


def _to_onnx(network: Network, contract: Contract) -> onnx.ModelProto:
    n_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
    if n_bytes > MAX_BYTES:
        raise UserError(
            f"{contract.model} has {n_bytes / 1e9:.1f} GB of weights: one ONNX file holds at most "
            f"{MAX_BYTES / 1e9:.1f} GB; use the checkpoint itself"
        )
    with warnings.catch_warnings():  # the exporter's notes on its own internals
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            Network(network.classifier, network.reduction, temperature=1.0),
            (torch.from_numpy(drawn_images(contract)),),
            dynamo=True,
            verbose=False,
            input_names=["input"],
            output_names=["output", PROBABILITIES],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        )
    return program.model_proto


def _with_evidence(
    model: onnx.ModelProto, contract: Contract
) -> tuple[onnx.ModelProto, Evidence | None, str]:
    """(the model with the output `evidence`, what it is, ""), or (the model, None, why not)."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    try:
        evidence = add_evidence(changed)
        session = open_session(changed.SerializeToString())
        logits, cells = session.run(["output", EVIDENCE], {"input": drawn_images(contract)})
        error = evidence_error(evidence, logits, cells)
        if not error <= TOLERANCE:
            raise NoSplitError(f"the cells' shares miss its logits by {error:.2g}")
    except NoSplitError as reason:
        return model, None, str(reason)
    return changed, evidence, ""


def evidence_error(evidence: Evidence, logits: np.ndarray, cells: np.ndarray) -> float:
    """The largest distance of cells [N, n_outputs, h, w] and bias from the logits [N, n_outputs].

    In units of 1, or of what was summed where that is more: float32 has 7 digits.
    """
    total = cells.sum(axis=(2, 3), dtype=np.float64) + np.array(evidence.bias)
    size = np.abs(cells).sum(axis=(2, 3), dtype=np.float64) + np.abs(evidence.bias)
    return float((np.abs(total - logits) / np.maximum(size, 1)).max())


def open_session(data: bytes) -> onnxruntime.InferenceSession:
    """A session on the CPU."""
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


@torch.no_grad()
def _deviation(network: Network, data: bytes, images: np.ndarray) -> float:
    """Largest difference in probabilities between the network and its ONNX form."""
    session, worst = open_session(data), 0.0
    for part in batches(images):
        (exported,) = session.run([PROBABILITIES], {"input": part})
        _, probabilities = network(torch.from_numpy(part))
        worst = max(worst, float(np.abs(exported - probabilities.numpy()).max()))
    return worst


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
