"""The contract refuses what does not hold together."""

import json

import numpy as np
import pytest

from src.artifact.contract import Contract, contract_from_json
from src.core.errors import UserError
from src.preprocess.spec import parse_preprocessing


def make_contract(**changes) -> Contract:
    values = {
        "model": "resnet10t",
        "n_outputs": 2,
        "classes": ("benign", "malignant"),
        "positive": 1,
        "groups": ("Light", "Tan"),
        "reduction": "softmax",
        "preprocessing": parse_preprocessing("resize || normalize(stats='imagenet')", 32).to_json(),
    }
    return Contract(**{**values, **changes})


def test_round_trip():
    contract = make_contract(threshold=0.25, provenance={"config": {"lr": 1e-4}})
    assert contract_from_json(json.dumps(contract.to_json()), "x") == contract
    assert contract.to_json()["input"]["shape"] == ["batch", 3, 32, 32]


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 99},
        {"classes": ["one"]},
        {"positive": 2},
        {"n_outputs": 3},
        {"temperature": 0},
        {"threshold": 1.5},
        {"model": 5},
        {"classes": None},
    ],
    ids=str,
)
def test_a_broken_value_is_named(changes):
    content = {**make_contract().to_json(), **changes}
    with pytest.raises(UserError, match=r"file\.onnx: its contract"):
        contract_from_json(content, "file.onnx")


@pytest.mark.parametrize("content", ["{", "[]", "5", "null", "[" * 5000, {}, None], ids=str)
def test_what_is_no_contract_is_refused(content):
    with pytest.raises(UserError, match="contract is unreadable"):
        contract_from_json(content, "x")


def test_edited_preprocessing_is_refused():
    content = make_contract().to_json()
    content["preprocessing"]["steps"][0][1]["height"] = 64
    with pytest.raises(UserError, match="edited"):
        contract_from_json(content, "x").spec()


def test_decisions_at_the_threshold_and_of_the_other_positive_class():
    probabilities = np.array([[0.7, 0.3], [0.75, 0.25], [0.76, 0.24]])
    assert make_contract(threshold=0.25).decide(probabilities).tolist() == [1, 1, 0]
    reverse = make_contract(threshold=0.75, positive=0)
    assert reverse.decide(probabilities).tolist() == [1, 0, 0]
    three = make_contract(classes=("a", "b", "c"), n_outputs=3)
    assert three.decide(np.array([[0.2, 0.5, 0.3]])).tolist() == [1]


@pytest.mark.parametrize(("n_outputs", "groups"), [(2, 1), (8, 4)])
def test_groups_in_the_head(n_outputs, groups):
    assert make_contract(n_outputs=n_outputs).num_groups == groups
