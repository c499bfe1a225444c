"""Export to one self-describing ONNX file, checked against the network that it came from."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from ..core.errors import UserError
from ..core.files import replacing
from .contract import Contract
from .network import Network
from .onnx_file import write_contract

TOLERANCE = 1e-4
MAX_BYTES = 1_900_000_000  # a protobuf message ends at 2 GiB


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
            output_names=["output", "probabilities"],
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
    _, exported = session.run(["output", "probabilities"], {"input": images.numpy()})
    return float(np.abs(exported - network(images)[1].numpy()).max())
