"""Drawn pictures of lesions on light skin, and a linear model of their pixels as ONNX."""

import json

import cv2
import numpy as np
from onnx import TensorProto, helper, save

from src.artifact.contract import CONTRACT_KEY, Contract
from src.artifact.decisions import usual_rule
from src.preprocess.spec import parse_preprocessing

SIDE = 16  # of the pixels that the model reads


def draw(rng, malignant, size=(96, 128)):
    """(RGB uint8 [H, W, 3], lesion bool [H, W]): a malignant lesion is darker."""
    height, width = size
    image = np.array([226, 190, 164]) + rng.normal(0, 3, (height, width, 3)) + rng.normal(0, 4)
    lesion = np.zeros(size, np.uint8)
    centre = tuple(int(v) for v in (np.array(size[::-1]) / 2 + rng.uniform(-6, 6, 2)))
    axes = tuple(int(v) for v in rng.uniform(0.16, 0.24, 2) * height)
    cv2.ellipse(lesion, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    lesion = lesion > 0
    color = np.array([120, 80, 60]) - 45 * malignant + rng.normal(0, 18)
    image[lesion] = color + rng.normal(0, 5, (lesion.sum(), 3))
    return np.clip(image, 0, 255).astype(np.uint8), lesion


def pixels(image):
    """float [SIDE * SIDE * 3], as the model reads them: channels first."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return (small.astype(np.float64) / 255).transpose(2, 0, 1).ravel()


def fit(features, labels, strength=10.0):
    """(weights, bias) of ridge regression on +-1, scaled to logits."""
    mean = features.mean(axis=0)
    centred, target = features - mean, 2.0 * labels - 1
    kernel = centred @ centred.T + strength * np.eye(len(labels))
    weights = 4 * centred.T @ np.linalg.solve(kernel, target - target.mean())
    return weights, -mean @ weights


def probability(features, model):
    return 1 / (1 + np.exp(-(features @ model[0] + model[1])))


def write_onnx(path, model):
    """An ONNX file of one probability, for images of 16 x 16 with values from 0 to 1."""
    n = len(model[0])
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "w", "b"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["p"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 1])],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [n, 1], model[0].astype(np.float32)),
            helper.make_tensor("b", TensorProto.FLOAT, [1], [float(model[1])]),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def write_darkness(path, scale=1.0, centre=0.0):
    """`path`, an ONNX file with a contract: malignant where the mean colours sum to less."""
    contract = Contract(
        model="darkness",
        n_outputs=2,
        classes=("benign", "malignant"),
        positive=1,
        groups=(),
        reduction="softmax",
        preprocessing=parse_preprocessing("resize || normalize(mean=(0,0,0),std=(1,1,1))", SIDE),
        rule=usual_rule(2),
    )
    floats = TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["output"]),
        helper.make_node("Softmax", ["output"], ["probabilities"], axis=1),
    ]
    weights = helper.make_tensor("w", floats, [3, 2], [scale, 0.0] * 3)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", floats, ["n", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info(name, floats, ["n", 2])
            for name in ("output", "probabilities")
        ],
        [weights, helper.make_tensor("b", floats, [2], [-scale * centre, 0.0])],
    )
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = found.metadata_props.add()
    entry.key, entry.value = CONTRACT_KEY, json.dumps(contract.to_json())
    save(found, path)
    return path
