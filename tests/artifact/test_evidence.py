"""Every exported form gives the network's numbers, and the evidence is what the logits are of."""

import json
import re
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from src.artifact.contract import CONTRACT_KEY, contract_from_json
from src.artifact.export import evidence_error, export_onnx
from src.artifact.network import make_network
from src.artifact.quantize import export_int8
from src.artifact.samples import drawn_sample
from src.artifact.torch_files import export_program, export_torchscript
from src.core.errors import UserError
from src.models.melanoma_classifier import MelanomaClassifier
from src.preprocess.spec import parse_preprocessing
from tests.artifact.test_contract import make_contract

SIZE = 96  # of which the smallest networks leave 3 x 3 cells
SPEC = parse_preprocessing("resize || normalize(stats='imagenet')", SIZE)
# a network of each family with the reduction of an objective each, and the split of its logits
FAMILIES = [
    ("test_efficientnet", "sum_over_groups", "mean_pooled_linear"),
    ("squeezenet1_1", "mean_over_groups", "mean_pooled_linear"),
    ("test_convnext", "shifted_sum_over_groups", "mean_pooled_norm_linear"),
    ("test_vit", "shifted_mean_over_groups", ""),
]


def network_of(model, reduction="softmax", head="linear"):
    """A network with drawn weights of the head, and its contract."""
    n_outputs = 2 if reduction == "softmax" else 6
    torch.manual_seed(0)
    classifier = MelanomaClassifier(model, n_outputs, SIZE, head)
    for parameter in classifier.head.parameters():
        torch.nn.init.normal_(parameter)
    contract = make_contract(
        model=model,
        head=head,
        n_outputs=n_outputs,
        reduction=reduction,
        temperature=1.5,
        preprocessing=SPEC,
    )
    if n_outputs == 6:  # with a group that had no training row
        contract = replace(contract, priors=((0.4, 0.1), (0.0, 0.0), (0.3, 0.2)))
    return make_network(contract, classifier).eval(), contract


def images(n, seed=1):
    return np.random.default_rng(seed).standard_normal((n, 3, SIZE, SIZE), np.float32)


def run(path, batch):
    """(logits, probabilities, evidence where there is any) of an ONNX file."""
    return onnxruntime.InferenceSession(path).run(None, {"input": batch})


def grad_cam(classifier, batch, output):
    """Grad-CAM before its ReLU [N, h, w], by autograd alone; a norm's scale counts as constant."""
    kept = []
    hooks = [
        module.register_forward_hook(lambda _, __, out: kept.append(out))
        for module in classifier.backbone.modules()
        if not list(module.children())
    ]
    scores = classifier(torch.from_numpy(batch))[:, output]
    for hook in hooks:
        hook.remove()
    maps = [out for out in kept if out.ndim == 4 and out.shape[-1] > 1]
    is_joined = type(classifier.backbone).__name__ == "SqueezeNet"  # of two maps, after each's ReLU
    parts = maps[-3::2] if is_joined else maps[-1:]
    cells, scale = torch.cat(parts, 1), torch.ones(len(batch))
    if type(classifier.backbone).__name__ == "ConvNeXt":
        norm = classifier.backbone.head.norm
        scale = (cells.mean((2, 3)).var(1, correction=0) + norm.eps).sqrt()
        scores = (scores - classifier.head(norm.bias)[output]) * scale
    gradients = torch.autograd.grad(scores.sum(), parts)
    weights = torch.cat(gradients, 1).mean((2, 3), keepdim=True)
    return ((weights * cells).sum(1) / scale[:, None, None]).detach().numpy()


@pytest.mark.slow
@pytest.mark.parametrize(("model", "reduction", "method"), FAMILIES)
def test_every_form_gives_the_networks_numbers_and_its_contract(model, reduction, method, tmp_path):
    network, contract = network_of(model, reduction)
    contract = check_forms(network, contract, method, tmp_path)
    check_int8(contract, tmp_path, has_layers="conv" in model or "vit" in model)


@pytest.mark.slow
def test_the_evidence_is_where_the_patch_of_its_class_is(tmp_path):
    network, contract = network_of("test_resnet")
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(96, 3, SIZE, SIZE)).astype(np.float32) * 0.3
    places, has_patch = rng.integers(0, 3, (96, 2)), np.arange(96) % 2 == 1
    for number in np.flatnonzero(has_patch):
        row, column = (slice(32 * place + 4, 32 * place + 28) for place in places[number])
        batch[number, :, row, column] += np.float32([3, -1, -1])[:, None, None]
    fit_head(network.classifier, batch, has_patch)
    check_forms(network, contract, "mean_pooled_linear", tmp_path)
    logits, _, cells = run(tmp_path / "x.onnx", batch)
    assert (logits.argmax(1) == has_patch).all()
    for_it = (cells[:, 1] - cells[:, 0])[has_patch].reshape(48, -1)
    highest = np.stack(np.unravel_index(for_it.argmax(1), (3, 3)), axis=1)
    assert (highest == places[has_patch]).all(axis=1).mean() > 0.95


def fit_head(classifier, batch, labels):
    """Least squares on the features of an untrained backbone, in place of training."""
    with torch.no_grad():
        features = classifier.backbone(torch.from_numpy(batch)).numpy().astype(float)
        design = np.c_[features, np.ones(len(batch))]
        weights = np.linalg.lstsq(design, np.eye(2)[labels.astype(int)] * 2 - 1, rcond=1e-4)[0]
        classifier.head.weight.copy_(torch.from_numpy(weights[:-1].T))
        classifier.head.bias.copy_(torch.from_numpy(weights[-1]))


def check_forms(network, contract, method, folder):
    exported = export_onnx(network, contract, folder / "x.onnx", images(5))
    assert exported.deviation <= 1e-4
    for export, name in ((export_torchscript, "x.torchscript"), (export_program, "x.pt2")):
        assert export(network, contract, folder / name, images(5)) <= 1e-4
    batch = images(7, seed=2)
    with torch.no_grad():
        logits, probabilities = (out.numpy() for out in network(torch.from_numpy(batch)))
    found = run(folder / "x.onnx", batch)
    np.testing.assert_allclose(found[0], logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[1], probabilities, atol=1e-4)
    files = {CONTRACT_KEY: ""}
    with pytest.warns(FutureWarning, match="deprecated"):
        torch.jit.load(folder / "x.torchscript", _extra_files=files)
    assert contract_from_json(json.loads(files[CONTRACT_KEY]), "x") == contract
    check_evidence(exported, network, batch, found, method)
    return exported.contract


def check_int8(contract, folder, has_layers):
    """Dynamic int8 is for MatMul and Gemm, and the cells still sum to the logits."""
    sample, path = drawn_sample(contract), folder / "int8.onnx"
    if not has_layers:
        with pytest.raises(UserError, match="no MatMul or Gemm but its head's"):
            export_int8(folder / "x.onnx", path, contract, "dynamic", sample)
        return
    told = export_int8(folder / "x.onnx", path, contract, "dynamic", sample)
    assert re.match(r"same class for [\d.]+% of 16 drawn images, probabilities off by 0\.", told)
    assert "AUROC" not in told
    float_size, size = ((folder / name).stat().st_size for name in ("x.onnx", "int8.onnx"))
    assert size < float_size
    if contract.evidence:
        logits, _, cells = run(path, sample.images)
        assert evidence_error(contract.evidence, logits, cells) < 1e-4


def check_evidence(exported, network, batch, found, method):
    evidence = exported.contract.evidence
    assert bool(evidence) == (method != "") == (exported.no_evidence == "")
    if not evidence:
        assert "token" in exported.no_evidence
        assert len(found) == 2
        return
    assert evidence.method == method
    logits, _, cells = found
    assert cells.shape == (len(batch), logits.shape[1], *evidence.grid)
    total = cells.sum((2, 3), dtype=np.float64) + np.array(evidence.bias)
    np.testing.assert_allclose(total, logits, rtol=1e-4, atol=1e-4)
    for output in range(logits.shape[1]):
        cam = grad_cam(network.classifier, batch, output)
        for own, other in zip(cells[:, output], cam, strict=True):
            assert np.corrcoef(own.ravel(), other.ravel())[0, 1] > 0.99
