"""ONNX files without a contract: what their outputs are is told, found out, or refused."""

import cv2
import numpy as np
import onnx
import pytest

from src.core.errors import UserError
from src.inference import SkinLesionPredictor
from src.inference.onnx_graph import last_operation
from tests.inference.onnx_files import FLOAT, UINT8, WEIGHTS, node, save, scorer, value

IMAGE = np.full((8, 8, 3), (51, 102, 204), np.uint8)
COLOURS = np.array([0.2, 0.4, 0.8])
SOFTMAX = node("Softmax", "scores", "y", axis=1)
SOFTMAX_P = node("Softmax", "scores", "p", axis=1)
SIGMOID = node("Sigmoid", "scores", "y")
# whatever the images: out of 0 to 1, in 0 to 1 but no probabilities, and three that sum to 1
WIDE, NARROW = [[900.0], [0.0], [0.0]], [[0.0001], [0.0], [0.0]]
THREE = [[1.0, 0.0, 2.0], [0.0, 1.0, 0.5], [0.5, 0.5, 0.5]]

TWO, TIMES = node("Constant", "", "two", value_float=2.0), node("Mul", "scores two", "y")


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


def sigmoid(score):
    return 1 / (1 + np.exp(-score))


def probabilities(path, classes=None, **said):
    """Of `IMAGE`, whose pixels the model gets on 0 to 1."""
    model = SkinLesionPredictor(path, classes, **{"normalize": "unit", **said})
    return np.array(list(model.predict(IMAGE)["probabilities"].values()))


def test_probabilities_are_the_models_own_and_logits_are_softmaxed(tmp_path):
    path, scores = tmp_path / "x.onnx", COLOURS @ WEIGHTS[2]
    positive, logit = COLOURS @ WEIGHTS[1], COLOURS @ [[5.0], [0.0], [0.0]]
    for name, tail, weights, said, expected in (
        ("logits", (), WEIGHTS[2], {}, softmax(scores)),
        ("softmax", (SOFTMAX,), WEIGHTS[2], {}, softmax(scores)),
        ("log softmax", (node("LogSoftmax", "scores", "y"),), WEIGHTS[2], {}, softmax(scores)),
        (
            "softmax and casts",
            (SOFTMAX, node("Identity", "y", "z"), node("Cast", "z", "y2", to=FLOAT)),
            WEIGHTS[2],
            {},
            softmax(scores),
        ),
        ("values alone", (SOFTMAX, node("Abs", "y", "z")), WEIGHTS[2], {}, softmax(scores)),
        ("sigmoid", (SIGMOID,), WEIGHTS[1], {}, [1 - sigmoid(positive[0]), sigmoid(positive[0])]),
        ("bias", (TWO, node("Add", "two scores", "y")), WEIGHTS[2], {}, softmax(scores)),
        ("temperature", (TWO, TIMES), WEIGHTS[2], {"outputs": "logits"}, softmax(scores * 2)),
        ("one logit", (), [[5.0], [0.0], [0.0]], {}, [sigmoid(-logit[0]), sigmoid(logit[0])]),
        (
            "by the flag",
            (node("Abs", "scores", "y"),),
            WEIGHTS[1],
            {"outputs": "probabilities"},
            [0.8, 0.2],
        ),
    ):
        last = tail[-1].output[0] if tail else "scores"
        scorer(path, tail, weights, last=last)
        np.testing.assert_allclose(probabilities(path, **said), expected, atol=1e-5, err_msg=name)


def test_one_output_is_of_the_positive_class_wherever_it_stands(tmp_path):
    path = scorer(tmp_path / "x.onnx", (SIGMOID,), WEIGHTS[1], last="y")
    found = probabilities(path, ("malignant", "benign"))
    np.testing.assert_allclose(found, [sigmoid(0.2), 1 - sigmoid(0.2)], atol=1e-6)


def test_what_cannot_be_told_or_is_contradicted_is_refused_with_the_flag(tmp_path):
    path = tmp_path / "x.onnx"
    absolute, both = node("Abs", "scores", "y"), ("a", "b", "c")
    for tail, weights, classes, said, named in (
        ((absolute,), NARROW, None, {}, "--outputs logits or --outputs probabilities"),
        ((absolute,), WIDE, None, {"outputs": "probabilities"}, "leave out --outputs"),
        ((SOFTMAX,), WEIGHTS[2], None, {"outputs": "logits"}, "ends in Softmax"),
        ((SOFTMAX,), WEIGHTS[1], None, {}, "the same for every image"),
        ((SIGMOID,), WEIGHTS[2], None, {}, "exactly one is true"),
        ((), WEIGHTS[2], both, {}, "2 outputs: name as many classes with --classes"),
        ((), THREE, None, {}, "3 outputs: name as many classes with --classes"),
        ((), WEIGHTS[1], both, {}, "1 outputs: name as many classes with --classes"),
        ((), WEIGHTS[2], None, {"image_height": 9, "image_width": 9}, "leave out --image_height"),
    ):
        scorer(path, tail, weights, last="y" if tail else "scores")
        with pytest.raises(UserError, match=named) as error:
            SkinLesionPredictor(path, classes, **said)
        assert "\n" not in str(error.value)


def test_changed_probabilities_are_no_logits_without_the_flag(tmp_path):
    """Percent, -log p, 2p - 1 and the like, and a linear step that gives what looks probable."""
    path, either = tmp_path / "x.onnx", "--outputs logits or --outputs probabilities"
    probable = [SOFTMAX_P], [node("Sigmoid", "scores", "p")]
    changes = [
        (*tail, node(operation, "p", "y"))
        for operation in ("Neg", "Log", "Tanh", "Exp", "Sqrt")
        for tail in probable
    ]
    changes += [
        (TWO, *tail, node(operation, "p two", "y"))
        for operation in ("Mul", "Add", "Sub", "Pow")
        for tail in probable
    ]
    changes.append((node("LogSoftmax", "scores", "p", axis=1), node("Neg", "p", "y")))
    for tail in changes:
        is_pair = tail[-2].op_type != "Sigmoid"
        scorer(path, tail, WEIGHTS[1 + is_pair], last="y")
        with pytest.raises(UserError, match=either):
            SkinLesionPredictor(path, normalize="unit")
        assert SkinLesionPredictor(path, normalize="unit", outputs="logits")
    matrices = [[1.0, 0.0], [0.0, 1.0]], [[100.0, 0.0], [0.0, 100.0]], [[0.0], [1.0]]
    for matrix in matrices:
        given = np.float32(matrix)
        table = onnx.numpy_helper.from_array(given, "m")
        tail = (*probable[0], node("Constant", "", "m", value=table), node("MatMul", "p m", "y"))
        scorer(path, tail, last="y")
        with pytest.raises(UserError, match=either):
            SkinLesionPredictor(path, normalize="unit")
    np.testing.assert_allclose(probabilities(path, outputs="probabilities").sum(), 1)


def test_the_linear_step_of_a_quantized_model_is_found():
    def ends_in(*nodes):
        graph = onnx.helper.make_graph(list(nodes), "g", [], [])
        return last_operation(onnx.helper.make_model(graph).SerializeToString(), "y")

    product = node("MatMulInteger", "a b", "i"), node("Cast", "i", "f", to=FLOAT)
    scale = node("Mul", "s t", "st")
    scaled = node("Mul", "f st", "z")
    assert ends_in(*product, scale, node("Mul", "f st", "y")) == "MatMulInteger"
    assert ends_in(*product, scale, scaled, node("Add", "z bias", "y")) == "MatMulInteger"
    assert ends_in(node("Softmax", "x", "p"), node("Add", "p bias", "y")) == "Add"
    assert ends_in(node("MatMul", "x w", "z"), node("Add", "z p", "y"), SOFTMAX_P) == "Add"


def test_an_answer_that_is_no_prediction_is_no_class(tmp_path):
    path, nan = tmp_path / "x.onnx", float("nan")
    dark = np.zeros_like(IMAGE)
    for tail, weights, outputs, reason in (
        ((), [[nan, nan]] * 3, "auto", "NaN"),
        ((node("Log", "scores", "y"),), WEIGHTS[2], "logits", "infinite"),
    ):
        last = tail[-1].output[0] if tail else "scores"
        scorer(path, tail, weights, last=last)
        model = SkinLesionPredictor(path, normalize="unit", outputs=outputs)
        (found,) = model.predict([dark])
        assert reason in found["reason"]
        assert (found["predicted_class"], found["confidence"]) == ("", None)
        assert found["probabilities"] == {}
        with pytest.raises(UserError, match=reason):
            model.predict(dark)


def test_layout_type_batch_and_scale_of_the_input(tmp_path):
    """Every combination gives what its colours, on the scale of `normalize`, give."""
    path, images = tmp_path / "x.onnx", [IMAGE, IMAGE // 2, IMAGE, IMAGE // 3, IMAGE]
    scales = {
        "unit": COLOURS,
        "none": COLOURS * 255,
        "half": COLOURS * 2 - 1,
        "imagenet": (COLOURS - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    }
    small = (np.array(WEIGHTS[2]) / 50).tolist()
    for shape in (("n", 3, 8, 8), ("n", 8, 8, 3), (1, 3, 8, 8), (2, 8, 8, 3), ("n", 3, "h", "w")):
        for kind, normalize in ((FLOAT, "unit"), (FLOAT, "half"), (UINT8, "auto")):
            scorer(path, (), small, shape, kind)
            size = {"image_height": 8, "image_width": 8} if "h" in shape else {}
            model = SkinLesionPredictor(path, normalize=normalize, **size)
            found = [list(f["probabilities"].values()) for f in model.predict(images, 3)]
            expected = softmax(scales["none" if normalize == "auto" else normalize] @ small)
            np.testing.assert_allclose(found[4], expected, atol=1e-5)
            assert found[3] != found[4]
    words = model.predictors[0].words
    assert "8 x 8" in words and "uint8, channels first" in words and "logits" in words
    scorer(path)
    for normalize, scale in scales.items():
        found = probabilities(path, normalize=normalize)
        np.testing.assert_allclose(found, softmax(scale @ WEIGHTS[2]), atol=1e-5)
    with pytest.raises(UserError, match="image size open: give --image_height"):
        SkinLesionPredictor(scorer(path, shape=("n", 3, "h", "w")))
    with pytest.raises(UserError, match="uint8 images, 0 to 255: leave out --normalize half"):
        SkinLesionPredictor(scorer(path, kind=UINT8), normalize="half")


def test_groups_in_the_outputs_become_one_probability_for_each_class(tmp_path):
    """Group by group, against sums written out; the published file's name says that it has them."""
    path = tmp_path / "x.onnx"
    weights = [[2.0, 0.0, 1.0, 0.5], [1.0, 0.5, 0.0, 2.0], [0.0, 3.0, 1.0, 0.0]]
    scores = COLOURS @ weights
    joint = softmax(scores).reshape(2, 2)
    own = np.mean([softmax(scores[:2]), softmax(scores[2:])], axis=0)
    for tail in ((), (SOFTMAX,)):
        scorer(path, tail, weights, last="y" if tail else "scores")
        for reduction, expected in (
            ("sum_over_groups", joint.sum(axis=0)),
            ("mean_over_groups", own),
        ):
            found = probabilities(path, num_groups=2, reduction=reduction)
            np.testing.assert_allclose(found, expected, atol=1e-6)
        known = tmp_path / "best_model_domain_discriminative.onnx"
        known.write_bytes(path.read_bytes())
        np.testing.assert_allclose(probabilities(known), joint.sum(axis=0), atol=1e-6)
        with pytest.raises(UserError, match=r"4 outputs: .*--num_groups N"):
            probabilities(path)
    assert not np.allclose(own, joint.sum(axis=0), atol=1e-3)


def test_layout_colours_and_scale_are_as_the_flags_say(tmp_path):
    path, small = tmp_path / "x.onnx", (np.array(WEIGHTS[2]) / 50).tolist()
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.4, 0.2)
    scorer(path, (), small)
    wanted = softmax((COLOURS - mean) / std @ small)
    scaled = {"normalize": "auto", "mean": mean, "std": std}
    np.testing.assert_allclose(probabilities(path, **scaled), wanted, atol=1e-6)
    lab = cv2.cvtColor(np.float32(IMAGE) / 255, cv2.COLOR_RGB2Lab)[0, 0]
    plain = {"normalize": "auto", "cielab": True}
    np.testing.assert_allclose(probabilities(path, **plain), softmax(lab @ small), atol=1e-6)
    both = softmax((lab - mean) / std @ small)
    np.testing.assert_allclose(probabilities(path, **plain, mean=mean, std=std), both, atol=1e-6)
    # the file leaves its layout open: channels last is what the flag says
    size = {"image_height": 8, "image_width": 8, "layout": "nhwc"}
    scorer(path, (), small, ("n", "h", "w", 3))
    known = probabilities(path, **size)
    save(path, *_means_over_axes_1_and_2(small), ["n", "a", "b", "c"], [_table(small)])
    np.testing.assert_allclose(probabilities(path, **size), known, atol=1e-6)
    for said, named in (
        ({"layout": "nhwc"}, "--layout nhwc"),
        ({"mean": (1.0,)}, "--mean: found 1 numbers"),
        ({"mean": mean}, "--mean and --std: expected both"),
        ({"mean": mean, "std": (1.0, 0.0, 1.0)}, "std"),
        ({"mean": mean, "std": std, "normalize": "unit"}, "--mean: expected without --normalize"),
        ({"cielab": True, "normalize": "unit"}, "--cielab: expected with --mean"),
    ):
        scorer(path)
        with pytest.raises(UserError, match=named):
            SkinLesionPredictor(path, **said)
    scorer(path, kind=UINT8)
    for said, named in ((scaled, "leave out --mean"), (plain, "leave out --cielab")):
        with pytest.raises(UserError, match=named):
            SkinLesionPredictor(path, **said)


def _table(weights):
    return onnx.helper.make_tensor("w", FLOAT, [3, 2], [v for row in weights for v in row])


def _means_over_axes_1_and_2(weights):
    nodes = [
        node("ReduceMean", "x", "means", axes=[1, 2], keepdims=0),
        node("MatMul", "means w", "scores"),
    ]
    return nodes, [value("scores", None)]
