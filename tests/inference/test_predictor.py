"""The torch-free predictor against the checkpoint, and against foreign and broken files."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper

from src.artifact.foreign import ForeignModel
from src.core.errors import UserError
from src.core.image_files import list_images
from src.inference.predictor import OnnxPredictor

ROOT = Path(__file__).resolve().parents[2]


def foreign_model(path, n_outputs=2, size=8):
    """An ONNX file without a contract: the mean of each channel, `n_outputs` of them."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Slice", ["flat", "start", "end", "axis"], ["scores"]),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("start", 0), ("end", n_outputs), ("axis", 1))
    ]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, size, size])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", n_outputs])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_equals_the_checkpoints_predictions_on_raw_files(tiny_run, tiny_onnx, demo):
    expected = pd.read_csv(tiny_run / "predictions_test.csv").set_index("image_name")
    predictor = OnnxPredictor(tiny_onnx)
    images = sorted((demo / "isic2020" / "test").glob("*/*.jpg"))
    found = list(predictor.predict(images, batch_size=7))
    assert [prediction.path for prediction in found] == images
    probabilities = np.stack([prediction.probabilities for prediction in found])
    names = [path.name for path in images]
    columns = ["probability_benign", "probability_malignant"]
    np.testing.assert_allclose(probabilities, expected.loc[names, columns], atol=1e-4)
    assert predictor.contract.decide(probabilities).tolist() == expected.loc[names].target.tolist()


def test_the_batch_size_does_not_matter(tiny_onnx, demo):
    images = list_images(demo / "isic2020" / "test" / "malignant")[:5]
    predictor = OnnxPredictor(tiny_onnx)
    one, all_ = (
        np.stack([p.probabilities for p in predictor.predict(images, size)]) for size in (1, 5)
    )
    np.testing.assert_allclose(one, all_, atol=1e-6)


def test_bad_images_do_not_stop_the_others(tiny_onnx, demo, tmp_path):
    good = list_images(demo / "isic2020" / "test" / "malignant")[0]
    empty, missing = tmp_path / "empty.jpg", tmp_path / "missing.jpg"
    empty.touch()
    found = list(OnnxPredictor(tiny_onnx).predict([empty, good, missing, good], batch_size=2))
    assert [p.reason for p in found] == ["empty file", "", "No such file or directory", ""]
    assert np.array_equal(found[1].probabilities, found[3].probabilities)


@pytest.mark.parametrize("content", [b"", b"not an ONNX file", b"\x08\x07" * 50])
def test_what_is_no_onnx_is_refused(tmp_path, content):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.onnx: not a usable ONNX model") as error:
        OnnxPredictor(path)
    assert "\n" not in str(error.value)


def test_logits_come_with_the_probabilities(tiny_onnx, demo):
    images = list_images(demo / "isic2020" / "test" / "malignant")[:3]
    for prediction in OnnxPredictor(tiny_onnx).predict(images, batch_size=2):
        odds = np.exp(prediction.logits[0].astype(np.float64))
        np.testing.assert_allclose(prediction.probabilities, odds / odds.sum(), atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_outputs": 8, "reduction": "sum_over_groups"},
        {"n_outputs": 8, "reduction": "mean_over_groups", "own_head": True},
        {"n_outputs": 3, "classes": ["a", "b", "c"]},
    ],
    ids=str,
)
def test_a_contract_that_is_not_of_its_graph_is_refused(tiny_onnx, demo, tmp_path, changes):
    model = onnx.load(tiny_onnx)
    (entry,) = (e for e in model.metadata_props if e.key == "melanoma_contract")
    content = {**json.loads(entry.value), "priors": [], "provenance": {}, "evidence": {}, **changes}
    entry.value = json.dumps(content)
    onnx.save(model, tmp_path / "other.onnx")
    image = list_images(demo / "isic2020" / "test" / "malignant")[0]
    with pytest.raises(UserError, match=r"gives logits \(1, 2\) .* expected \(1, [38]\)") as error:
        list(OnnxPredictor(tmp_path / "other.onnx").predict([image]))
    assert "\n" not in str(error.value)


def test_a_truncated_model_is_refused(tiny_onnx, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny_onnx.read_bytes()[:-20_000])
    with pytest.raises(UserError, match=r"cut\.onnx: not a usable ONNX model"):
        OnnxPredictor(path)


def test_classes_that_contradict_the_contract_are_refused(tiny_onnx):
    assert OnnxPredictor(tiny_onnx, classes=("benign", "malignant")).contract.positive == 1
    with pytest.raises(UserError, match="leave out --classes"):
        OnnxPredictor(tiny_onnx, classes=("a", "b"))


def test_a_size_that_contradicts_the_contract_is_refused(tiny_onnx):
    assert OnnxPredictor(tiny_onnx, ForeignModel(32, 32)).contract.positive == 1
    with pytest.raises(UserError, match="leave out --image_height"):
        OnnxPredictor(tiny_onnx, ForeignModel(64, 64))
    with pytest.raises(UserError, match="says itself how it is used: leave out --outputs, --norm"):
        OnnxPredictor(tiny_onnx, ForeignModel(outputs="logits", normalize="half"))


def test_an_edited_contract_is_refused(tiny_onnx, tmp_path):
    model = onnx.load(tiny_onnx)
    (entry,) = (e for e in model.metadata_props if e.key == "melanoma_contract")
    content = json.loads(entry.value)
    content["preprocessing"]["steps"][-1][1]["mean"][0] = 0.4
    entry.value = json.dumps(content)
    path = tmp_path / "edited.onnx"
    onnx.save(model, path)
    with pytest.raises(UserError, match="preprocessing was edited"):
        OnnxPredictor(path)


def test_prediction_imports_what_the_core_install_lists_and_no_more():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    modules = {"opencv-python": "cv2", "PyYAML": "yaml"}
    wanted = {modules.get(name, name) for name in listed}
    code = (
        "import sys, src.inference.predictor, src.scripts.predict; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    extras = {"torch", "torchvision", "timm", "pandas", "sklearn", "matplotlib", "onnx", "scipy"}
    assert not extras & set(done.stdout.split()), done.stderr
    assert wanted - {"yaml"} <= set(done.stdout.split()), done.stderr
