"""TorchScript and exported programs: the network with its contract, for programs with torch."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..core.errors import UserError
from ..core.files import replacing
from ..core.progress import working
from .contract import CONTRACT_KEY, Contract
from .export import TOLERANCE, batches, drawn_images
from .network import Network


def export_torchscript(
    network: Network, contract: Contract, path: Path, images: np.ndarray | None = None
) -> float:
    """Write a file for `torch.jit.load`; returns the largest deviation in probabilities.

    It gives (logits, probabilities) of any batch; `_extra_files` holds the contract. Checked like
    `export_onnx`.
    """

    def write(temporary: Path) -> Callable:
        traced = torch.jit.trace(network, _example(contract), check_trace=False)
        torch.jit.save(traced, temporary, _extra_files={CONTRACT_KEY: _text(contract)})
        return torch.jit.load(temporary, map_location="cpu")

    return _written(network, contract, path, images, write)


def export_program(
    network: Network, contract: Contract, path: Path, images: np.ndarray | None = None
) -> float:
    """Write a file for `torch.export.load`; returns the largest deviation in probabilities.

    Its module gives (logits, probabilities) of any batch; `extra_files` holds the contract. Checked
    like `export_onnx`.
    """

    def write(temporary: Path) -> Callable:
        shapes = ({0: torch.export.Dim("batch", min=1)},)
        program = torch.export.export(network, (_example(contract),), dynamic_shapes=shapes)
        with temporary.open("wb") as file:
            torch.export.save(program, file, extra_files={CONTRACT_KEY: _text(contract)})
        with temporary.open("rb") as file:
            return torch.export.load(file).module()

    return _written(network, contract, path, images, write)


@working("exporting for torch")
@torch.no_grad()
def _written(
    network: Network,
    contract: Contract,
    path: Path,
    images: np.ndarray | None,
    write: Callable[[Path], Callable],
) -> float:
    drawn, worst = drawn_images(contract), 0.0
    network = network.eval().cpu()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, warnings.catch_warnings():  # notes of deprecation
        warnings.simplefilter("ignore")
        loaded = write(temporary)
        for part in [drawn[:1], drawn, *batches(drawn[:0] if images is None else images)]:
            expected, found = (f(torch.from_numpy(part))[1] for f in (network, loaded))
            worst = max(worst, float((found - expected).abs().max()))
        if not worst <= TOLERANCE:
            raise UserError(
                f"{path}: deviates by {worst:.2g} from the checkpoint: expected at most "
                f"{TOLERANCE}; nothing was written"
            )
    return worst


def _example(contract: Contract) -> torch.Tensor:
    return torch.from_numpy(drawn_images(contract))


def _text(contract: Contract) -> str:
    return json.dumps(contract.to_json())
