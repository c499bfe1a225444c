"""The exported file gives the network's numbers and describes itself."""

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

import src.artifact.export as export_module
from src.artifact.contract import CONTRACT_KEY
from src.artifact.export import export_onnx
from src.artifact.network import load_network, make_network
from src.core.errors import UserError
from src.models.melanoma_classifier import MelanomaClassifier
from src.objectives.reductions import REDUCTIONS
from tests.artifact.test_contract import make_contract


def run(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session, session.run(["output", "probabilities"], {"input": images.numpy()})


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_any_batch_gives_the_networks_logits_and_probabilities(tiny_run, tiny_onnx, batch):
    network, _ = load_network(tiny_run / "best_checkpoint.pth")
    images = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))
    _, (logits, probabilities) = run(tiny_onnx, images)
    with torch.no_grad():
        expected_logits, expected = network(images)
    np.testing.assert_allclose(logits, expected_logits.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(probabilities, expected.numpy(), atol=1e-4)


def test_one_file_holds_weights_and_contract(tiny_run, tiny_onnx):
    assert [path.name for path in tiny_onnx.parent.iterdir()] == [tiny_onnx.name]
    session, _ = run(tiny_onnx, torch.zeros(1, 3, 32, 32))
    written = json.loads(session.get_modelmeta().custom_metadata_map[CONTRACT_KEY])
    assert written == load_network(tiny_run / "best_checkpoint.pth")[1].to_json()
    assert written["provenance"]["config"]["model"] == "test_resnet"
    assert written["metrics"]["auroc"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_every_reduction_exports(tmp_path, reduction):
    n_outputs = 2 if reduction == "softmax" else 6
    contract = make_contract(n_outputs=n_outputs, reduction=reduction, temperature=1.5)
    if n_outputs == 6:  # with a group that had no training row
        contract = replace(contract, priors=((0.4, 0.1), (0.0, 0.0), (0.3, 0.2)))
    torch.manual_seed(0)
    classifier = MelanomaClassifier("squeezenet1_1", n_outputs, 32)
    torch.nn.init.normal_(classifier.head.weight)
    network = make_network(contract, classifier).eval()
    path = tmp_path / "model.onnx"
    assert export_onnx(network, contract, path) <= 1e-4
    images = torch.randn(5, 3, 32, 32)
    _, (_, probabilities) = run(path, images)
    with torch.no_grad():
        np.testing.assert_allclose(probabilities, network(images)[1].numpy(), atol=1e-4)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_a_deviating_export_is_refused_and_nothing_written(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "_deviation", lambda *_: 0.01)
    network, contract = load_network(tiny_run / "best_checkpoint.pth")
    with pytest.raises(UserError, match=r"deviates by 0\.01"):
        export_onnx(network, contract, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
