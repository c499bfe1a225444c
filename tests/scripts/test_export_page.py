"""The commands of docs/EXPORT.md, on an untrained model and drawn images."""

import csv
import re
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
import yaml
from PIL import Image

from src.artifact.contract import CONTRACT_KEY, contract_from_json
from src.artifact.network import make_network, save_checkpoint
from src.core.classes import NOTICE
from src.core.errors import UserError
from src.models.melanoma_classifier import MelanomaClassifier
from src.preprocess.spec import parse_preprocessing
from src.scripts import export_model, predict
from tests.artifact.test_contract import make_contract
from tests.documented import commands

BY_GROUP = """attribute,group,n,n_positive,sensitivity,sensitivity_low,sensitivity_high,auroc
all,all,16,8,0.5,0.25,0.75,0.8125
tone_group,Tan,4,2,,,,0.5
"""


def write_checkpoint(folder, **changes):
    """A run's folder with an untrained network, and what the run would have reported."""
    values = {
        "model": "test_resnet",
        "temperature": 2.0,
        "preprocessing": parse_preprocessing("resize || normalize(stats='half')", 64),
        "provenance": {"config": {"dataset": "isic2020"}, "label_counts": [30, 12]},
    }
    contract = make_contract(**(values | changes))
    torch.manual_seed(0)
    classifier = MelanomaClassifier(contract.model, contract.n_outputs, 64)
    for parameter in classifier.head.parameters():
        torch.nn.init.normal_(parameter)
    content = {"contract": contract.to_json(), "model_state_dict": classifier.state_dict()}
    save_checkpoint(folder / "best_checkpoint.pth", content)
    (folder / "metrics_by_group_test.csv").write_text(BY_GROUP)
    return make_network(contract, classifier).eval(), contract


@pytest.fixture
def at_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng, lines = np.random.default_rng(0), ["image_name,label"]
    (tmp_path / "images").mkdir()
    for number, name in enumerate("abcdefghijkl"):
        pixels = cv2.resize(rng.integers(0, 255, (6, 9, 3), np.uint8), (96, 64))
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
        lines.append(f"{name}.png,{number % 2}")
    network, contract = write_checkpoint(tmp_path / "runs" / "demo")
    (tmp_path / "runs" / "demo" / "predictions_test.csv").write_text("\n".join(lines))
    return network, contract


def rows(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_command_of_the_page_runs(at_hand, capsys):
    for command in commands("docs/EXPORT.md"):
        is_export = command.program == "src.scripts.export_model"
        assert not (export_model if is_export else predict).main(command.argv)
    told = capsys.readouterr().out
    assert "on 12 real images; evidence and bias sum to the logits within" in told
    assert re.search(r"static_int8.onnx: same class for [\d.]+% of 12 real images", told)
    assert "AUROC" in told and "% of the size" in told
    assert "huggingface: for transformers" in told
    overlays = sorted(path.name for path in Path("overlays").iterdir())
    assert overlays == [f"{name}.png.png" for name in "abcdefghijkl"]
    assert "evidence_in_lesion" in rows("predictions.csv")[0]
    first, again = rows("predictions.csv"), rows("again.csv")
    assert [row["target"] for row in first] == [row["target"] for row in again]
    check_card(at_hand[1])
    check_transformers(*at_hand)


def check_card(contract):
    card = Path("release/MODEL_CARD.md").read_text()
    assert f"> {NOTICE}" in card
    assert "| all | 16 | 8 | 0.50 (0.25–0.75) | not defined | 0.81 |" in card
    assert "| tone_group: Tan | 4 | 2 | not defined | not defined | 0.50 |" in card
    assert "30 benign, 12 malignant" in card and "isic2020" in card and "exact split" in card
    readme = Path("release/huggingface/README.md").read_text()
    found = yaml.safe_load(readme.split("---\n")[1])
    (result,) = found["model-index"][0]["results"]
    assert {m["type"]: m["value"] for m in result["metrics"]} == {
        "sensitivity": 0.5,
        "auroc": 0.8125,
    }
    assert "model.onnx" in readme
    int8 = onnx.load("release/best_checkpoint_static_int8.onnx")
    written = {entry.key: entry.value for entry in int8.metadata_props}
    assert "static" in contract_from_json(written[CONTRACT_KEY], "x").provenance["quantization"]


def check_transformers(network, contract):
    transformers = pytest.importorskip("transformers", reason="the extra huggingface is absent")
    folder = "release/huggingface"
    with warnings.catch_warnings():  # of its own
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
    assert [*model.config.id2label.values()] == [*contract.classes]
    image = Image.open("images/a.png")
    values = processor(image, return_tensors="pt").pixel_values
    expected = torch.from_numpy(contract.preprocessing(np.asarray(image)))[None]
    assert values.shape == expected.shape
    small = Image.fromarray(np.asarray(image)[:, :64])  # of the network's size: no resizing
    same = contract.preprocessing(np.asarray(small))[None]
    values = processor(small, return_tensors="pt").pixel_values
    np.testing.assert_allclose(values, same, atol=1e-5)
    with torch.no_grad():
        found = model(values).logits.softmax(1)
        np.testing.assert_allclose(found, network(torch.from_numpy(same))[1], atol=1e-4)


@pytest.mark.slow
def test_what_transformers_cannot_hold_is_told_and_pushed_all_the_same(
    at_hand, monkeypatch, capsys
):
    spec = parse_preprocessing("resize | remove_hair || normalize(stats='half')", 64)
    write_checkpoint(Path("runs/hair"), preprocessing=spec)
    pushed = []

    class Api:
        def create_repo(self, repo, private, exist_ok):
            pushed.append((repo, private))

        def upload_folder(self, folder_path, repo_id):
            pushed.extend(sorted(path.name for path in Path(folder_path).iterdir()))
            raise OSError("no token")

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    flags = ["--checkpoint_path", "runs/hair/best_checkpoint.pth", "--formats", "huggingface"]
    with pytest.raises(UserError, match=r"--push_to_hub me/x: not uploaded \(no token\)"):
        export_model.main([*flags, "--push_to_hub", "me/x"])
    assert "not for transformers: its image processor has no step remove_hair" in (
        capsys.readouterr().out
    )
    assert pushed == [("me/x", True), "README.md", "model.onnx"]


@pytest.mark.slow
def test_mistakes_are_told_before_anything_is_loaded(at_hand, tmp_path):
    flags = ["--checkpoint_path", "runs/demo/best_checkpoint.pth"]
    for more, named in (
        (["--quantize", "static"], "--quantize static: expected a folder with --images"),
        (["--push_to_hub", "me/x"], "--push_to_hub: expected with --formats huggingface"),
        (["--formats", "onyx"], "--formats"),
        (["--images", "nowhere"], "--images nowhere"),
    ):
        with pytest.raises(UserError, match=named):
            export_model.main([*flags, *more])
    flags = ["--input_folder", "images", "--output_csv", "x.csv"]
    for more, named in (
        (["--hf_repo", "images"], "--hf_repo images: no model.onnx"),
        (["--hf_repo", "nobody/nothing"], "--hf_repo nobody/nothing: no such folder, and not"),
        (["--hf_repo", "images", "--onnx_model_path", "x"], "--hf_repo: expected without"),
    ):
        with pytest.raises(UserError, match=named):
            predict.main([*flags, *more])
    assert not Path("x.csv").exists()
