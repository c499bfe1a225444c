"""A model in a notebook: paths, arrays, PIL images, lists and folders; ensembles; bad images."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from src.artifact.decisions import make_rule
from src.core.errors import UserError
from src.inference import SkinLesionPredictor
from src.preprocess.spec import parse_preprocessing
from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import WEIGHTS, scorer, with_contract

PIXELS = np.full((8, 8, 3), (51, 102, 204), np.uint8)
UNIT = parse_preprocessing("resize || normalize(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))", 8)
SCORES = np.array([0.2, 0.4, 0.8]) @ WEIGHTS[2]
EXPECTED = np.exp(SCORES) / np.exp(SCORES).sum()


def contract(**changes):
    return make_contract(preprocessing=UNIT, **changes)


@pytest.fixture
def images(tmp_path):
    """A folder with an image, one that is none, and one in a subfolder."""
    folder = tmp_path / "images"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.png", "deeper/c.png"):
        cv2.imwrite(str(folder / name), PIXELS[..., ::-1])
    (folder / "b.jpg").write_bytes(b"no image")
    return folder


def test_whatever_holds_images_is_predicted(tmp_path, images, caplog):
    model = SkinLesionPredictor(with_contract(tmp_path / "x.onnx", contract()))
    wanted = dict(zip(("benign", "malignant"), EXPECTED, strict=True))
    turned = Image.fromarray(PIXELS).convert("RGBA")
    path = images / "a.png"
    for given, names in (
        (path, ["a.png"]),
        (str(path), ["a.png"]),
        (PIXELS, ["image 0"]),
        (turned, ["image 0"]),
        ([path, PIXELS, turned], ["a.png", "image 1", "image 2"]),
        (np.stack([PIXELS, PIXELS]), None),
    ):
        if names is None:
            with pytest.raises(UserError, match="expected RGB as uint8"):
                model.predict(given)
            continue
        found = model.predict(given)
        assert isinstance(found, list) == isinstance(given, list)
        found = found if isinstance(given, list) else [found]
        assert [one["image_name"] for one in found] == names
        for one in found:
            assert (one["predicted_class"], one["reason"]) == ("malignant", "")
            assert one["predicted_class_description"] == "malignant lesion"
            assert one["probabilities"] == pytest.approx(wanted, abs=1e-6)
            assert one["confidence"] == one["probabilities"]["malignant"]
    assert caplog.text == ""
    good, bad = model.predict(images)
    assert "1 file left out" in caplog.text and "deeper/c.png" in caplog.text
    assert (good["image_name"], bad["image_name"]) == ("a.png", "b.jpg")
    assert (bad["predicted_class"], bad["confidence"], bad["probabilities"]) == ("", None, {})
    assert "not a" in bad["reason"]
    with pytest.raises(UserError, match=r"b\.jpg: not a"):
        model.predict(images / "b.jpg")
    names = [one["image_name"] for one in model.predict(images, recursive=True)]
    assert names == ["a.png", "b.jpg", "deeper/c.png"]
    assert model.predict([]) == []
    for wrong in (PIXELS / 255, PIXELS[..., :2], np.zeros((0, 8, 3), np.uint8), [3]):
        with pytest.raises(UserError, match=r"image 0: found .* expected RGB"):
            model.predict(wrong)


def test_exif_orientation_of_a_pil_image_is_applied_as_of_a_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    image, path = Image.fromarray(pixels), tmp_path / "turned.png"
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    crop = parse_preprocessing("center_crop(height=4, width=16) || normalize(stats='half')", 8)
    file = with_contract(tmp_path / "x.onnx", make_contract(preprocessing=crop), height=4, width=16)
    model = SkinLesionPredictor(file)
    of_file, of_pil = model.predict(path), model.predict(Image.open(path))
    assert of_file["probabilities"] == of_pil["probabilities"]
    assert of_file["probabilities"] != model.predict(pixels)["probabilities"]


def test_a_folder_of_models_votes_by_mean_probabilities(tmp_path):
    folder = tmp_path / "ensemble"
    folder.mkdir()
    weights = (WEIGHTS[2], [[0.0, 1.0], [0.0, 0.0], [0.0, -1.0]])
    rules = [make_rule("threshold", {"value": value}) for value in (0.5, 0.8)]
    for number, (of_model, rule) in enumerate(zip(weights, rules, strict=True)):
        with_contract(folder / f"fold_{number}.onnx", contract(rule=rule), of_model)
    (folder / ".fold_0.onnx.123.tmp.onnx").write_text("left by a kill")
    model = SkinLesionPredictor(folder)
    each = [
        SkinLesionPredictor(folder / f"fold_{n}.onnx").predict(PIXELS)["probabilities"]
        for n in (0, 1)
    ]
    found = model.predict(PIXELS)
    mean = (each[0]["malignant"] + each[1]["malignant"]) / 2
    assert found["probabilities"]["malignant"] == pytest.approx(mean, abs=1e-6)
    assert model.contract.rule.options == {"value": pytest.approx(0.65)}
    assert found["predicted_class"] == ("malignant" if mean >= 0.65 else "benign")
    nan = [[float("nan")] * 2] * 3
    with_contract(folder / "fold_1.onnx", contract(rule=rules[1]), nan)
    with pytest.raises(UserError, match="NaN"):
        SkinLesionPredictor(folder).predict(PIXELS)
    with_contract(folder / "fold_1.onnx", contract(classes=("nevus", "mel")))
    with pytest.raises(UserError, match="its models know different classes"):
        SkinLesionPredictor(folder)


def test_what_is_no_onnx_model_is_told_the_way(tmp_path):
    with pytest.raises(UserError, match=r"best_checkpoint\.pth: no such"):
        SkinLesionPredictor("best_checkpoint.pth")
    with pytest.raises(UserError, match="no ONNX files in it"):
        SkinLesionPredictor(tmp_path)
    model = SkinLesionPredictor(scorer(tmp_path / "x.onnx"), ["nevus", "mel"], normalize="unit")
    assert model.predict(PIXELS)["predicted_class"] == "mel"
    with pytest.raises(UserError, match="normalize is 'imagenett': expected one of auto, imagenet"):
        SkinLesionPredictor(tmp_path / "x.onnx", normalize="imagenett")
    with pytest.raises(UserError, match="--classes: classes '0 a' and '1 A'"):
        SkinLesionPredictor(tmp_path / "x.onnx", ["a", "A"])


def test_a_contract_and_a_graph_of_another_model_are_refused(tmp_path):
    path = with_contract(tmp_path / "x.onnx", contract(), [[1.0, 0.0, 0.0]] * 3)
    with pytest.raises(UserError, match=r"gives logits \(1, 3\) .* expected \(1, 2\)"):
        SkinLesionPredictor(path).predict(PIXELS)
    content = contract().to_json()
    for classes, named in ((["a", " A"], "'0 a' and '1 A'"), (["a", ""], "class 1 has no name")):
        with_contract(path, content | {"classes": classes})
        with pytest.raises(UserError, match=named):
            SkinLesionPredictor(path)


def test_the_example_of_the_readme_runs(tmp_path, images, capsys):
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    with_contract(tmp_path / "x.onnx", contract())
    for written, here in (
        ("melanoma_classification.", "src."),
        ("melanoma_output/ham10000/best_checkpoint.onnx", str(tmp_path / "x.onnx")),
        ("IMAGE.jpg", str(images / "a.png")),
    ):
        assert block.count(written) == 1
        block = block.replace(written, here)
    exec(block, {})
    (line,) = capsys.readouterr().out.splitlines()
    assert "'predicted_class': 'malignant'" in line and "'confidence': 0.85" in line
