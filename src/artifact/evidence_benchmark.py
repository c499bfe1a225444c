"""What the evidence output costs, and how far it is from its sum and from Grad-CAM."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch

from ..models.melanoma_classifier import MelanomaClassifier
from ..preprocess.spec import parse_preprocessing
from .contract import Contract
from .decisions import usual_rule
from .evidence import EVIDENCE
from .export import PROBABILITIES, batches, evidence_error, export_onnx, open_session
from .network import Network, make_network
from .samples import read_sample

CLASSES = ("benign", "malignant")
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

    Selvaraju et al. 2017, by autograd alone.
    """
    kept: list[torch.Tensor] = []
    backbone = network.classifier.backbone
    leaves = [module for module in backbone.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(lambda _, __, out: kept.append(out)) for leaf in leaves]
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
