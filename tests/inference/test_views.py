"""Test-time augmentation: which views there are, their mean, and whose threshold it is."""

import itertools
import json

import numpy as np
import pytest

from src.artifact.decisions import make_rule
from src.core.errors import UserError
from src.inference import SkinLesionPredictor
from src.inference.views import VIEWS, mean_over_views
from src.preprocess.spec import parse_preprocessing
from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import node, save, value

UNIT = parse_preprocessing("resize || normalize(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))", 8)


def corner_model(path, contract, temperature=1.0, size=(8, 8)):
    """Its logits are the red and green of the upper left pixel; then a temperature."""
    import onnx
    from onnx import helper

    constants = [
        helper.make_tensor("start", 7, [3], [0, 0, 0]),
        helper.make_tensor("end", 7, [3], [2, 1, 1]),
        helper.make_tensor("axes", 7, [3], [1, 2, 3]),
        helper.make_tensor("t", 1, [1], [temperature]),
    ]
    nodes = [
        node("Slice", "input start end axes", "corner"),
        node("Flatten", "corner", "output"),
        node("Div", "output t", "scaled"),
        node("Softmax", "scaled", "probabilities", axis=1),
    ]
    outputs = [value("output", None), value("probabilities", None)]
    save(path, nodes, outputs, None, constants, inputs=[value("input", ["n", 3, *size])])
    model = onnx.load(path)
    content = contract.to_json() | {"temperature": temperature}
    helper.set_model_props(model, {"melanoma_contract": json.dumps(content)})
    onnx.save(model, path)
    return path


def four_corners():
    """An image whose corners differ, and the softmax of the red and green of each corner."""
    image = np.zeros((8, 8, 3), np.uint8)
    corners = list(itertools.product((0, -1), (0, -1)))
    for number, place in enumerate(corners):
        image[place] = (40 * number, 200 - 35 * number, 0)
    red, green = (np.array([image[place][c] / 255 for place in corners]) for c in (0, 1))
    positive = 1 / (1 + np.exp(red - green))
    return image, np.column_stack([1 - positive, positive])


def test_views_are_the_symmetries_of_the_square():
    image = np.arange(9.0).reshape(1, 1, 3, 3)
    seen = {name: {view(image).tobytes() for view in views} for name, views in VIEWS.items()}
    assert {name: len(of) for name, of in seen.items()} == {"none": 1, "flips": 4, "dihedral": 8}
    assert seen["none"] < seen["flips"] < seen["dihedral"]
    assert seen["none"] == {image.tobytes()}
    mirrored = image[:, :, ::-1, :].tobytes(), image[..., ::-1].tobytes()
    assert set(mirrored) < seen["flips"]
    assert image.swapaxes(2, 3).tobytes() in seen["dihedral"] - seen["flips"]


def test_probabilities_are_averaged_before_the_decision(tmp_path):
    image, corners = four_corners()
    rule = make_rule("threshold", {"value": 0.5})
    path = corner_model(tmp_path / "x.onnx", make_contract(preprocessing=UNIT, rule=rule))
    for tta, expected in (
        ("auto", corners[0]),
        ("none", corners[0]),
        ("flips", corners.mean(axis=0)),
        ("dihedral", corners.mean(axis=0)),
    ):
        found = SkinLesionPredictor(path, tta=tta).predict(image)
        assert list(found["probabilities"].values()) == pytest.approx(expected, abs=1e-6)
    assert SkinLesionPredictor(path).predict(image)["predicted_class"] == "malignant"
    threshold = float(corners[0, 1] + corners.mean(axis=0)[1]) / 2
    for tta, name in (("none", "malignant"), ("flips", "benign")):
        found = SkinLesionPredictor(path, tta=tta, threshold=threshold).predict(image)
        assert found["predicted_class"] == name


def test_the_temperature_acts_on_the_mean(tmp_path):
    """As it was fitted: on the averaged probabilities, not on those of each view."""
    image, corners = four_corners()
    path = corner_model(tmp_path / "x.onnx", make_contract(preprocessing=UNIT), 0.25)
    odds = corners.mean(axis=0) ** (1 / 0.25)
    found = SkinLesionPredictor(path, tta="flips").predict(image)
    assert list(found["probabilities"].values()) == pytest.approx(odds / odds.sum(), abs=1e-6)
    one = np.float32([[[0.0, 1.0]], [[0.3, 0.7]]])
    np.testing.assert_array_equal(mean_over_views(one, 0.25), one[:, 0])


def test_what_was_fitted_belongs_to_its_views(tmp_path):
    path = tmp_path / "x.onnx"

    def fitted(tta):
        told = {"threshold": {"value": 0.3}} | ({"tta": tta} if tta else {})
        return make_contract(preprocessing=UNIT, provenance={"fitted": told})

    for tta, used in (("flips", "flips"), ("none", "none"), (None, "none")):
        corner_model(path, fitted(tta))
        assert SkinLesionPredictor(path).tta == used
        assert SkinLesionPredictor(path, tta=used).tta == used
        with pytest.raises(UserError, match=f"--tta dihedral: .* was fitted with --tta {used}"):
            SkinLesionPredictor(path, tta="dihedral")
    corner_model(path, fitted("sideways"))
    with pytest.raises(UserError, match="tta is 'sideways'"):
        SkinLesionPredictor(path)
    wide = parse_preprocessing("resize(height=8, width=16) || normalize(stats='half')", 8)
    corner_model(path, make_contract(preprocessing=wide), size=(8, 16))
    with pytest.raises(UserError, match=r"--tta dihedral: .*8 x 16 .*use --tta flips"):
        SkinLesionPredictor(path, tta="dihedral")
    assert SkinLesionPredictor(path, tta="flips").predict(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match="tta sideways: expected one of auto, none, flips"):
        SkinLesionPredictor(path, tta="sideways")
