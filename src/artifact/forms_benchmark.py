"""How far the forms of one network are from each other, on real images."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForImageClassification

from ..models.melanoma_classifier import MelanomaClassifier
from ..objectives.catalog import OBJECTIVES, Objective
from ..preprocess.spec import parse_preprocessing
from .contract import CONTRACT_KEY, Contract
from .decisions import usual_rule
from .export import PROBABILITIES, batches, open_session
from .forms import Exporter
from .huggingface import CONFIG
from .network import make_network, save_checkpoint

CLASSES, GROUPS = ("benign", "malignant"), ("light", "medium", "dark")
FORMS = ("onnx", "torchscript", "exported_program", "huggingface")
Function = Callable[[torch.Tensor], torch.Tensor]  # of images to probabilities


def deviations(
    model: str,
    head: str,
    objective: str,
    input_size: int,
    images: Path,
    n_images: int,
    folder: Path,
) -> dict[str, float | None]:
    """The largest difference in a probability from the checkpoint's, by form; None where the form
    cannot hold the network.

    The network is untrained, with a drawn head and a temperature; all files go into `folder`.
    """
    checkpoint = folder / "drawn.pth"
    _save_drawn(model, head, objective, input_size, checkpoint)
    exporter = Exporter(checkpoint, folder, images, n_images)
    exporter.onnx()
    exporter.torch_file("torchscript", ".torchscript")
    exporter.torch_file("exported_program", ".pt2")
    exporter.huggingface()
    expected = _found(lambda part: exporter.network(part)[1], exporter.sample.images)
    functions = _opened(exporter)
    return {
        form: float(np.abs(_found(functions[form], exporter.sample.images) - expected).max())
        if form in functions
        else None
        for form in FORMS
    }


def _save_drawn(model: str, head: str, objective: str, input_size: int, path: Path) -> None:
    counts = torch.tensor([[60, 9], [40, 7], [20, 5]])
    made: Objective = OBJECTIVES.build(
        objective,
        num_classes=len(CLASSES),
        num_groups=len(GROUPS),
        label_counts=counts.sum(dim=0),
        weight=None,
    )
    n_groups = made.n_outputs // len(CLASSES)
    priors = (counts / counts.sum()).tolist() if n_groups > 1 else [[0.8, 0.2]]
    contract = Contract(
        model,
        made.n_outputs,
        CLASSES,
        1,
        GROUPS,
        made.reduction,
        parse_preprocessing("scaled_jpeg | resize || normalize(stats='imagenet')", input_size),
        usual_rule(len(CLASSES)),
        head=head,
        own_head=made.own_head,
        priors=tuple(map(tuple, priors)),
        temperature=1.5,
    )
    torch.manual_seed(0)
    classifier = MelanomaClassifier(model, made.n_outputs, input_size, head)
    *_, last = (layer for layer in classifier.head.modules() if isinstance(layer, torch.nn.Linear))
    torch.nn.init.normal_(last.weight)
    network = make_network(contract, classifier)
    content = {"contract": contract.to_json(), "model_state_dict": network.classifier.state_dict()}
    save_checkpoint(path, content)


def _opened(exporter: Exporter) -> dict[str, Function]:
    """What each file computes, read from it as its users read it."""
    session = open_session(exporter.path.read_bytes())
    script = torch.jit.load(exporter.path.with_suffix(".torchscript"), {CONTRACT_KEY: ""})
    program = torch.export.load(exporter.path.with_suffix(".pt2")).module()
    functions: dict[str, Function] = {
        "onnx": lambda part: torch.from_numpy(
            session.run([PROBABILITIES], {"input": part.numpy()})[0]
        ),
        "torchscript": lambda part: script(part)[1],
        "exported_program": lambda part: program(part)[1],
    }
    folder = exporter.folder / "huggingface"
    if (folder / CONFIG).is_file():
        logging.getLogger("transformers").setLevel(logging.ERROR)
        loaded = AutoModelForImageClassification.from_pretrained(folder).eval()
        functions["huggingface"] = lambda part: loaded(pixel_values=part).logits.softmax(dim=1)
    return functions


@torch.no_grad()
def _found(function: Function, images: np.ndarray) -> np.ndarray:
    parts = [function(torch.from_numpy(part)).numpy() for part in batches(images)]
    return np.concatenate(parts)
