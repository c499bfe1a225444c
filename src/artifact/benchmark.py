"""How far exported forms are from the checkpoint, and what the evidence output is and costs."""

import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from timm.layers import LayerNorm2d
from torch import nn

from ..models.melanoma_classifier import MelanomaClassifier
from ..objectives.catalog import OBJECTIVES, Objective
from ..preprocess.spec import parse_preprocessing
from .contract import Contract
from .decisions import usual_rule
from .evidence import EVIDENCE
from .export import PROBABILITIES, batches, drawn_images, evidence_error, export_onnx, open_session
from .forms import Exporter
from .huggingface import CONFIG
from .network import Network, make_network, save_checkpoint
from .samples import read_sample

CLASSES, GROUPS = ("benign", "malignant"), ("light", "medium", "dark")
FORMS = ("onnx", "torchscript", "exported_program", "huggingface")
Function = Callable[[torch.Tensor], torch.Tensor]  # of images to probabilities
_ROUNDS, _FEW = 15, 16  # of timing, and images for Grad-CAM


class Measured(NamedTuple):
    """`error` as `evidence_error`, `slower` the median share of time that the output adds,
    `correlation` the least one of an image's map with Grad-CAM before its ReLU."""

    error: float
    slower: float
    correlation: float


def measure(model: str, input_size: int, images: Path, n_images: int, folder: Path) -> Measured:
    """The figures of an untrained network with a drawn head, whose file goes into `folder`."""
    torch.manual_seed(0)
    classifier = MelanomaClassifier(model, len(CLASSES), input_size)
    torch.nn.init.normal_(classifier.head.weight)
    spec = parse_preprocessing("resize || normalize(stats='imagenet')", input_size)
    contract = Contract(
        model, len(CLASSES), CLASSES, 1, (), "softmax", spec, usual_rule(len(CLASSES))
    )
    network = make_network(contract, classifier).eval()
    sample = read_sample(images, n_images, contract, folder).images
    path = folder / f"{model}.onnx"
    evidence = export_onnx(network, contract, path).contract.evidence
    session = open_session(path.read_bytes())
    parts = [session.run(["output", EVIDENCE], {"input": part}) for part in batches(sample)]
    error = max(evidence_error(evidence, *part) for part in parts)
    cells = np.concatenate([part[1] for part in parts])[:_FEW]
    maps = grad_cam(network, sample[:_FEW])
    pairs = zip(cells.reshape(-1, cells[0, 0].size), maps.reshape(-1, maps[0, 0].size), strict=True)
    least = min(float(np.corrcoef(*pair)[0, 1]) for pair in pairs)
    return Measured(error, _slower(path, sample[:1]), least)


def _slower(path: Path, image: np.ndarray) -> float:
    """The median over rounds of (time with the output / time without) - 1, in turns.

    Time is that of the one thread, so that other programs do not count.
    """
    model = onnx.load(path)
    kept = [node for node in model.graph.node if not node.name.startswith(f"{EVIDENCE}_")]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.output.remove(next(o for o in model.graph.output if o.name == EVIDENCE))
    weights = [t for t in model.graph.initializer if t.name.startswith(f"{EVIDENCE}_")]
    for tensor in weights:
        model.graph.initializer.remove(tensor)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    files = model.SerializeToString(), path.read_bytes()
    sessions = [onnxruntime.InferenceSession(file, options) for file in files]
    names = [PROBABILITIES], [PROBABILITIES, EVIDENCE]
    ratios = []
    for number in range(_ROUNDS + 2):
        spent = []
        for session, wanted in zip(sessions, names, strict=True):
            started = time.process_time()
            for _ in range(4):
                session.run(wanted, {"input": image})
            spent.append(time.process_time() - started)
        if number >= 2:
            ratios.append(spent[1] / spent[0])
    return float(np.median(ratios)) - 1


def grad_cam(network: Network, images: np.ndarray) -> np.ndarray:
    """Grad-CAM before its ReLU [N, n_outputs, h, w], of the last value that has cells.

    Selvaraju et al. 2017, by autograd alone; the scale of a norm after the pooling is a constant.
    """
    kept: list[torch.Tensor] = []
    backbone = network.classifier.backbone
    leaves = [module for module in backbone.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(_constant_scale) for leaf in leaves]
    hooks += [leaf.register_forward_hook(lambda _, __, out: kept.append(out)) for leaf in leaves]
    logits = network.classifier(torch.from_numpy(images))
    for hook in hooks:
        hook.remove()
    cells = [out for out in kept if out.ndim == 4 and out.shape[-1] > 1][-1]
    maps = []
    for output in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[:, output].sum(), cells, retain_graph=True)
        weights = gradient.mean((2, 3), keepdim=True)
        maps.append((weights * cells).sum(1).detach().numpy())
    return np.stack(maps, axis=1)


def _constant_scale(
    module: nn.Module, inputs: tuple[torch.Tensor, ...], _: torch.Tensor
) -> torch.Tensor | None:
    """What a layer norm gives of pooled channels, its scale without a gradient; None of others."""
    if not isinstance(module, LayerNorm2d) or inputs[0].shape[-1] != 1:
        return None
    centred = inputs[0] - inputs[0].mean(1, keepdim=True)
    scale = (centred.square().mean(1, keepdim=True) + module.eps).sqrt().detach()
    return centred / scale * module.weight[:, None, None] + module.bias[:, None, None]


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
    network = make_network(contract, classifier).eval()
    with torch.no_grad():  # so that no probability is 0 or 1, whatever the width
        logits, _ = network(torch.from_numpy(drawn_images(contract)))
        last.weight /= logits.abs().max()
    content = {"contract": contract.to_json(), "model_state_dict": network.classifier.state_dict()}
    save_checkpoint(path, content)


def _opened(exporter: Exporter) -> dict[str, Function]:
    """What each file computes, read from it as its users read it."""
    session = open_session(exporter.path.read_bytes())
    with warnings.catch_warnings():  # a note of deprecation
        warnings.simplefilter("ignore")
        script = torch.jit.load(exporter.path.with_suffix(".torchscript"), map_location="cpu")
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
        from transformers import AutoModelForImageClassification

        logging.getLogger("transformers").setLevel(logging.ERROR)
        loaded = AutoModelForImageClassification.from_pretrained(folder).eval()
        functions["huggingface"] = lambda part: loaded(pixel_values=part).logits.softmax(dim=1)
    return functions


@torch.no_grad()
def _found(function: Function, images: np.ndarray) -> np.ndarray:
    parts = [function(torch.from_numpy(part)).numpy() for part in batches(images)]
    return np.concatenate(parts)
