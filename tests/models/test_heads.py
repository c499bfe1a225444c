"""Every head: logits of the width asked for, a file that keeps it, an export that equals it."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from src.artifact.export import export_onnx
from src.artifact.network import load_network, make_network, save_checkpoint
from src.engine.optim import make_optimizer
from src.models.heads import HEADS
from src.models.melanoma_classifier import MelanomaClassifier
from tests.artifact.test_contract import make_contract


@pytest.mark.parametrize("name", HEADS.names())
def test_a_head_gives_logits_and_goes_into_checkpoint_and_onnx(name, tmp_path):
    head = HEADS.build(name, width=7, n_outputs=3)
    logits = head(torch.randn(5, 7))
    assert logits.shape == (5, 3)
    logits.sum().backward()
    assert all(p.grad is not None for p in head.parameters())
    assert HEADS[name].__doc__

    torch.manual_seed(0)
    classifier = MelanomaClassifier("test_resnet", 2, 32, head=name)
    contract = replace(make_contract(), model="test_resnet", head=name)
    network = make_network(contract, classifier).eval()
    content = {"contract": contract.to_json(), "model_state_dict": classifier.state_dict()}
    save_checkpoint(tmp_path / "x.pth", content)
    loaded, read = load_network(tmp_path / "x.pth")
    assert read == contract
    exported = export_onnx(network, contract, tmp_path / "x.onnx")
    assert bool(exported.contract.evidence) == (exported.no_evidence == "")
    assert exported.contract.evidence or name != "linear"
    images = torch.randn(3, 3, 32, 32)
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    with torch.no_grad():
        expected = [output.numpy() for output in network(images)]
        from_file = [output.numpy() for output in loaded(images)]
    np.testing.assert_array_equal(from_file, expected)
    found = session.run(["output", "probabilities"], {"input": images.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-4)
    (top, *_) = make_optimizer("sgd", classifier, 1.0, 0.0, layer_decay=0.5).param_groups
    assert top["lr_scale"] <= 1


def test_the_linear_head_starts_near_zero_and_keeps_its_names():
    classifier = MelanomaClassifier("test_resnet", 4, 32)
    names = [name for name in classifier.state_dict() if name.startswith("head")]
    assert names == ["head.weight", "head.bias"]
    assert classifier.head.weight.std() < 0.03
    assert not classifier.head.bias.any()
