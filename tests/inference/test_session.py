"""ONNX files that are no classifiers of images end in a line; data beside the model are read."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper

from src.core.errors import UserError
from src.inference import SkinLesionPredictor
from src.inference.onnx_graph import external_files, last_operation
from tests.inference.onnx_files import FLOAT, node, save, scorer, value

IMAGE = np.full((8, 8, 3), 90, np.uint8)
IMAGES = ["n", 3, 8, 8]


def said(path):
    return list(SkinLesionPredictor(path).predict(IMAGE)["probabilities"].values())


def refused(path, named):
    with pytest.raises(UserError, match=named) as error:
        SkinLesionPredictor(path).predict([IMAGE])
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_graphs_that_are_no_classifiers_of_images(tmp_path):
    path = tmp_path / "x.onnx"
    texts = onnx.helper.make_tensor("t", TensorProto.STRING, [1], [b"mel"])
    mean = node("ReduceMean", "x", "y", keepdims=0)
    flat = node("ReduceMean", "x", "y", axes=[2, 3], keepdims=0)
    sequence = onnx.helper.make_tensor_sequence_value_info("y", FLOAT, None)
    constant = node("Constant", "", "y", value=onnx.helper.make_tensor("c", FLOAT, [1, 2], [0, 1]))
    two = {"inputs": [value("x", IMAGES), value("z", IMAGES)]}
    whole, text = TensorProto.INT32, TensorProto.STRING
    turned = node("Transpose", "x", "y", perm=[1, 0, 2, 3])
    pair, word = node("SequenceConstruct", "x", "y"), node("Identity", "t", "y")
    for named, step, output, shape, options in (
        ("0 inputs", constant, value("y", [1, 2]), None, {"inputs": []}),
        (r"2 inputs \(x, z\)", node("Add", "x z", "y"), value("y", None), None, two),
        ("shape", mean, value("y", []), ["n", 7], {}),
        ("shape", mean, value("y", []), ["n", 4, 8, 8], {}),
        ("shape", mean, value("y", []), None, {}),
        ("expected images as float32", flat, value("y", None, whole), IMAGES, {"kind": whole}),
        (r"gives \(\) for 4 images", mean, value("y", []), IMAGES, {}),
        (r"gives seq\(tensor\(float\)\)", pair, sequence, IMAGES, {}),
        (r"gives tensor\(string\)", word, value("y", [1], text), IMAGES, {"constants": [texts]}),
        ("3 outputs: name as many", flat, value("y", None), IMAGES, {}),
        ("expected a row", turned, value("y", None), IMAGES, {}),
    ):
        save(path, [step], [output], shape, **options)
        refused(path, named)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    for name, found in (("pipe.onnx", "a folder, pipe or device"), ("a\0b.onnx", "no such")):
        with pytest.raises(UserError, match=found):
            SkinLesionPredictor(tmp_path / name)
    with pytest.raises(UserError, match="no such ONNX file"):
        SkinLesionPredictor(tmp_path / "\udc80.onnx")


def with_external_weights(path, location):
    """A model whose weights are to be found at `location`, and their bytes."""
    model = onnx.load(scorer(path))
    (weights,) = model.graph.initializer
    numbers = onnx.numpy_helper.to_array(weights).tobytes()
    weights.ClearField("float_data")
    weights.raw_data = b""
    external_data_helper.set_external_data(weights, location)
    weights.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    return numbers


def test_tensors_beside_the_model_are_read(tmp_path, monkeypatch):
    expected = said(scorer(tmp_path / "whole.onnx"))
    (tmp_path / "models").mkdir()
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "models" / "x.onnx"
    numbers = with_external_weights(path, "x.onnx.data")
    assert external_files(path.read_bytes()) == ["x.onnx.data"]
    refused(path, "its tensors are in x.onnx.data, which is not there")
    (tmp_path / "models" / "x.onnx.data").write_bytes(numbers)
    monkeypatch.chdir(tmp_path / "elsewhere")
    np.testing.assert_allclose(said(path), expected, atol=1e-6)
    (tmp_path / "models" / "x.onnx.data").write_bytes(numbers[:-4])
    refused(path, "not a usable ONNX model")


def test_a_model_cannot_pull_in_files_from_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "x.onnx"
    secret = tmp_path / "secret.bin"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "link.bin").symlink_to(secret)
    for location in ("../secret.bin", str(secret), "secret.bin", "link.bin", "", "."):
        secret.write_bytes(with_external_weights(path, location))
        refused(path, "not a usable ONNX model|which is not there")
    os.mkfifo(tmp_path / "models" / "pipe")
    with_external_weights(path, "pipe")
    refused(path, "a folder, pipe or device")


def test_external_data_are_found_at_any_depth(tmp_path):
    """In attributes, inner graphs, sparse tensors and functions."""
    tensor = onnx.TensorProto(name="t", data_type=FLOAT, dims=[1])
    for number, place in enumerate(("attribute", "graph", "sparse", "function")):
        model = onnx.load(scorer(tmp_path / "x.onnx"))
        entry = onnx.TensorProto.FromString(tensor.SerializeToString())
        entry.data_location = TensorProto.EXTERNAL
        pair = entry.external_data.add()
        pair.key, pair.value = "location", f"file{number}"
        inner = onnx.helper.make_graph([], "inner", [], [], [entry])
        constant = onnx.helper.make_node("Constant", [], ["c"], value=entry)
        if place == "attribute":
            model.graph.node.append(constant)
        elif place == "graph":
            branch = onnx.helper.make_node("If", ["x"], ["c"], then_branch=inner)
            model.graph.node.append(branch)
        elif place == "sparse":
            model.graph.sparse_initializer.add().values.CopyFrom(entry)
        else:
            model.functions.add().node.append(constant)
        assert external_files(model.SerializeToString()) == [f"file{number}"], place


def test_no_bytes_make_the_reader_stumble(tmp_path):
    data = scorer(tmp_path / "x.onnx").read_bytes() + b"location"
    rng = np.random.default_rng(0)
    assert last_operation(data[:-8], "scores") == "MatMul"
    for _ in range(300):
        spoilt = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            spoilt[place] = rng.integers(256)
        assert isinstance(last_operation(bytes(spoilt), "scores"), str)
        try:
            external_files(bytes(spoilt))
        except ValueError as error:
            assert "\n" not in str(error)
