"""Weights and contract together: the network that predicts, and the files that hold it."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.cells import visible
from ..core.errors import UserError, first_line, is_out_of_memory
from ..core.files import replacing
from ..evaluation.calibration import LEAST_PROBABILITY
from ..models.melanoma_classifier import MelanomaClassifier
from ..models.weights import load_tensors, mismatch, plain_names
from ..objectives.catalog import make_reduction
from .contract import Contract, contract_from_json


class Network(nn.Module):
    """`network(images)` is (raw logits [N, n_outputs], probabilities [N, num_classes]).

    The probabilities p of the reduction are calibrated to softmax(log p / `temperature`).
    """

    def __init__(self, classifier: MelanomaClassifier, reduction: nn.Module, temperature: float):
        super().__init__()
        self.classifier, self.reduction, self.temperature = classifier, reduction, temperature

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.classifier(images)
        probabilities = self.reduction(logits)
        if self.temperature != 1:
            # Apple's GPUs have no float64
            wide = torch.float32 if probabilities.device.type == "mps" else torch.float64
            logs = probabilities.to(wide).clamp_min(LEAST_PROBABILITY).log()
            probabilities = (logs / self.temperature).softmax(dim=1).to(probabilities.dtype)
        return logits, probabilities


def make_network(contract: Contract, classifier: MelanomaClassifier) -> Network:
    """The network that a contract describes, around its classifier."""
    priors = torch.tensor(contract.equal_or_given_priors(), dtype=torch.float32)
    reduction = make_reduction(contract.reduction, priors)
    return Network(classifier, reduction, contract.temperature)


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and JSON types so that a kill leaves the old file or the new one, whole.

    Raises `UserError` where it cannot be written: the old one is kept.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            torch.save(content, temporary)
    except (OSError, RuntimeError) as error:  # of a full disk torch tells as a RuntimeError
        if is_out_of_memory(error):
            raise
        raise UserError(f"{path}: cannot be written ({first_line(error)})") from None


def load_checkpoint(path: str | Path, **options: Any) -> dict[str, Any]:
    """The content of a checkpoint of this software. Raises `UserError` for any other file.

    `options` are those of `torch.load`.
    """
    content = load_tensors(path, "checkpoint", **options)
    if not isinstance(content, dict) or not {"contract", "model_state_dict"} <= content.keys():
        raise UserError(
            f"{path}: no contract in it; expected a checkpoint that melanoma_train.py wrote "
            "(weights of other origin are taken by --weights)"
        )
    return content


def load_contract(path: str | Path) -> Contract:
    """The contract in a checkpoint file, of which the weights are not read."""
    return contract_from_json(load_checkpoint(path, mmap=True)["contract"], str(path))


def load_network(path: str | Path) -> tuple[Network, Contract]:
    """(network in evaluation mode on the CPU, its contract) from a checkpoint file."""
    content = load_checkpoint(path)
    contract = contract_from_json(content["contract"], str(path))
    return with_weights(contract, content["model_state_dict"], str(path)), contract


def with_weights(contract: Contract, weights: dict[str, torch.Tensor], source: str) -> Network:
    """The network that a contract describes with its weights, in evaluation mode on the CPU.

    Their names may carry the prefixes of wrappers. Raises `UserError` for weights of another model.
    """
    size = contract.preprocessing.output_size
    misfit = f"{source}: its weights do not fit its model {visible(contract.model, 80)}"
    try:
        classifier = MelanomaClassifier(contract.model, contract.n_outputs, size, contract.head)
        wanted = classifier.state_dict()
        given, prefix = plain_names(weights, wanted, source)
        if given.keys() != wanted.keys():
            raise UserError(f"{misfit} ({mismatch(given, wanted, prefix)})")
        classifier.load_state_dict(given)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UserError(f"{misfit} ({first_line(error)})") from None
    return make_network(contract, classifier).eval()
