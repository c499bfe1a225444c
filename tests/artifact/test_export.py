"""The exported file gives the network's numbers and describes itself."""

import json

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

import src.artifact.benchmark as benchmark
import src.artifact.export as export_module
from src.artifact.contract import CONTRACT_KEY
from src.artifact.export import export_onnx
from src.artifact.network import load_network
from src.core.errors import UserError


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
    expected = load_network(tiny_run / "best_checkpoint.pth")[1].to_json()
    assert written["evidence"]["method"] == "mean_pooled_linear"
    assert written == expected | {"evidence": written["evidence"]}
    assert written["provenance"]["config"]["model"] == "test_resnet"
    assert written["metrics"]["auroc"] > 0


def test_a_deviating_export_is_refused_and_nothing_written(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "_deviation", lambda *_: 0.01)
    network, contract = load_network(tiny_run / "best_checkpoint.pth")
    with pytest.raises(UserError, match=r"deviates by 0\.01"):
        export_onnx(network, contract, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_forms_are_compared_with_the_checkpoint_on_images(tmp_path, monkeypatch):
    """A form that is off is seen; transformers has no counterpart of heads by tone group."""
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 255, (40, 50, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    opened = benchmark._opened

    def with_one_off(exporter):
        functions = opened(exporter)
        onnx = functions["onnx"]
        return functions | {"onnx": lambda part: onnx(part) + 0.25}

    monkeypatch.setattr(benchmark, "_opened", with_one_off)
    found = benchmark.deviations(
        "test_resnet", "linear", "domain_independent", 32, tmp_path, 2, tmp_path
    )
    assert found["onnx"] == pytest.approx(0.25, abs=1e-3) and found["huggingface"] is None
    assert max(found["torchscript"], found["exported_program"]) < 1e-4
