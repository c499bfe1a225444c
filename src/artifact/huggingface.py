"""A folder that Hugging Face's `AutoModelForImageClassification` and its image processor load."""

import json
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import save_for_hf
from torch import nn

from ..core.errors import UserError, first_line
from ..core.files import make_folder, write_text
from ..models.backbones import TIMM_NAMES, TORCHVISION_NAMES
from ..preprocess.spec import Preprocessing
from .contract import Contract
from .export import TOLERANCE, drawn_images
from .network import Network

WEIGHTS, CONFIG = "model.safetensors", "config.json"
# of PIL: what OpenCV's area averaging does when an image shrinks
_INTERPOLATION = "box"


class NotLoadableError(Exception):
    """Why transformers cannot hold a model, in words."""


def write_transformers(network: Network, contract: Contract, folder: Path) -> None:
    """Write weights and configuration of a plain head's model into a folder.

    Its logits are divided by the temperature, so that their softmax gives our probabilities; the
    decision rule is not part of it. Raises `NotLoadableError` where the model, its head or its
    preprocessing has no counterpart there: nothing is written.
    """
    data = _data_config(contract.preprocessing)
    model = _as_timm(network, contract)
    make_folder(folder)
    save_for_hf(
        model,
        folder,
        model_config={"label_names": [*contract.classes]},
        safe_serialization=True,
        data_config=data,
    )
    (folder / WEIGHTS).chmod(0o644)  # safetensors lets the owner alone read
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config.get("model_args", {}).pop("num_classes", None)  # transformers gives it as well
    write_text(folder / CONFIG, json.dumps(config, indent=2))


def _data_config(spec: Preprocessing) -> dict:
    """timm's description of a spec. Raises `NotLoadableError` for one with other steps."""
    steps = [step for step in spec.steps if step.name != "scaled_jpeg"]
    names = [step.name for step in steps]
    if names != ["resize", "normalize"]:
        others = [name for name in names if name not in ("resize", "normalize")] or names
        raise NotLoadableError(f"its image processor has no step {' | '.join(others)}")
    constants = steps[1].options
    return {
        "input_size": (3, *spec.output_size),
        "interpolation": _INTERPOLATION,
        "mean": tuple(constants["mean"]),
        "std": tuple(constants["std"]),
        "crop_pct": 1.0,
        "crop_mode": "squash",
    }


@torch.no_grad()
def _as_timm(network: Network, contract: Contract) -> nn.Module:
    """timm's model of the name with the classifier of ours, equal to it on drawn images."""
    if contract.reduction != "softmax" or contract.own_head:
        raise NotLoadableError("its head has outputs for several tone groups")
    if contract.model in TORCHVISION_NAMES:
        raise NotLoadableError(f"{contract.model} is torchvision's, and transformers has timm's")
    head = network.classifier.head
    if not isinstance(head, nn.Linear):
        raise NotLoadableError(f"its head {contract.head} is not one linear layer")
    name = TIMM_NAMES.get(contract.model, contract.model)
    options: dict[str, Any] = {"num_classes": contract.n_outputs}
    if "dinov2" in name:
        options["img_size"] = contract.preprocessing.output_size
    try:
        model = timm.create_model(name.partition(".")[0], pretrained=False, **options).eval()
        model.load_state_dict(network.classifier.backbone.state_dict(), strict=False)
        classifier = model.get_classifier()
        classifier.weight.copy_(head.weight / contract.temperature)
        classifier.bias.copy_(head.bias / contract.temperature)
        images = torch.from_numpy(drawn_images(contract))
        found, expected = model(images).softmax(dim=1), network(images)[1]
    except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
        raise NotLoadableError(f"timm builds it otherwise ({first_line(error)})") from None
    if not float((found - expected).abs().max()) <= TOLERANCE:
        raise NotLoadableError("timm's model of this name gives other probabilities")
    return model


def push(folder: Path, repo: str) -> str:
    """Upload a folder to a private repository of the user; its address.

    With the token of `hf auth login` or of HF_TOKEN. Raises `UserError` where that fails.
    """
    import huggingface_hub

    try:
        api = huggingface_hub.HfApi()
        api.create_repo(repo, private=True, exist_ok=True)
        return str(api.upload_folder(folder_path=str(folder), repo_id=repo))
    except Exception as error:  # the client raises many kinds
        raise UserError(
            f"--push_to_hub {repo}: not uploaded ({first_line(error)}); expected a network and a "
            f"token (hf auth login, or HF_TOKEN). The folder is kept: {folder}"
        ) from None
