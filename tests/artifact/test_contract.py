"""The contract refuses what does not hold together."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.artifact.contract import FIELDS, NOT_IN_ALL, Contract, contract_from_json
from src.artifact.decisions import make_rule, usual_rule
from src.core.errors import UserError
from src.preprocess.spec import parse_preprocessing
from src.skin.tone import GROUP_NAMES


def make_contract(**changes) -> Contract:
    values = {
        "model": "resnet10t",
        "n_outputs": 2,
        "classes": ("benign", "malignant"),
        "positive": 1,
        "groups": ("Light", "Tan"),
        "reduction": "softmax",
        "preprocessing": parse_preprocessing("resize || normalize(stats='imagenet')", 32),
        "rule": usual_rule(2),
    }
    return Contract(**{**values, **changes})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
WIDE = {
    "n_outputs": 6,
    "reduction": "mean_over_groups",
    "own_head": True,
    "priors": ((0.25, 0.125), (0.0, 0.0), (0.5, 0.125)),
}


def test_round_trip():
    counts = {"label_counts": [6, 2], "group_counts": [[2, 1], [0, 0], [4, 1]]}
    contract = make_contract(
        rule=make_rule("thresholds_by_group", {"values": [0.2, 0.6], "overall": 0.3}),
        other_rules=(make_rule("argmax", {}), make_rule("threshold", {"value": 0.25})),
        provenance={"config": {"lr": 1e-4}, **counts},
        temperature=1.5,
        **WIDE,
    )
    assert contract_from_json(json.dumps(contract.to_json()), "x") == contract
    assert contract_from_json(contract.to_json(), "x") == contract
    assert contract.to_json()["input"]["shape"] == ["batch", 3, 32, 32]


def test_tone_groups_of_earlier_versions_get_their_present_names():
    for names, wanted in (
        (("Very light", "Light", "Intermediate", "Tan"), GROUP_NAMES),
        (GROUP_NAMES, GROUP_NAMES),
        (("Pale", "Tan"), ("Pale", "Tan")),
    ):
        written = make_contract(groups=names).to_json()
        assert contract_from_json(written, "x").groups == wanted


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"classes": ["one"]}, "classes"),
        ({"classes": []}, "classes"),
        ({"positive": 2}, "positive"),
        ({"positive": True}, "positive"),
        ({"n_outputs": 7}, "n_outputs"),
        ({"n_outputs": 0}, "n_outputs"),
        ({"n_outputs": "6"}, "n_outputs"),
        ({"n_outputs": 2 * 10**12}, "n_outputs"),
        ({"reduction": "softmax"}, "reduction"),
        ({"reduction": 5}, "reduction"),
        ({"model": 5}, "model"),
        ({"own_head": "yes"}, "own_head"),
        ({"own_head": None}, "own_head"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"temperature": 1e-320}, "temperature"),
        ({"temperature": 10**400}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"rule": "argmax"}, "rule"),
        ({"rules": {"threshold": 5}}, "rules"),
        ({"head": 5}, "head"),
        ({"threshold": 0.5}, "'threshold' is unknown"),
        ({"priors": [[1, 0]]}, "priors"),
        ({"priors": [[0.5, 0.5, 0.0]] + [[0.0] * 3] * 2}, "priors"),
        ({"priors": [[0.5, 0.5], [0.0], [0.0]]}, "priors"),
        ({"priors": [[math.nan, 0.5], [0.5, 0], [0, 0]]}, "priors"),
        ({"priors": [[math.inf, 0], [0, 0], [0, 0]]}, "priors"),
        ({"priors": [[-0.5, 0.5], [0.5, 0.5], [0, 0]]}, "priors"),
        ({"priors": [[0.5, 0.25], [0, 0], [0, 0]]}, "priors"),
        ({"priors": [[0, 0], [0, 0], [0, 0]]}, "priors"),
        ({"provenance": 5}, "provenance"),
        ({"provenance": None}, "provenance"),
        ({"provenance": {"config": "lr"}}, "provenance"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_broken_value_is_named(changes, named):
    content = {**make_contract(**WIDE).to_json(), **changes}
    with pytest.raises(UserError) as error:
        contract_from_json(json.dumps(content), "file.onnx")
    assert str(error.value).startswith("file.onnx: invalid contract: field " + named)
    assert "\n" not in str(error.value)


@given(st.sampled_from([*FIELDS]), JSON)
def test_any_value_of_a_field_is_read_or_refused_in_a_line(name, value):
    content = {**make_contract(**WIDE).to_json(), name: value}
    try:
        contract_from_json(json.dumps(content), "file.onnx")
    except UserError as error:
        assert str(error).startswith("file.onnx: ")
        assert "\n" not in str(error)
    del content[name]
    if name not in NOT_IN_ALL:
        with pytest.raises(UserError):
            contract_from_json(content, "file.onnx")


@pytest.mark.parametrize("version", [1, 99, "2", 2.0, True, None, [2]], ids=repr)
def test_another_version_is_to_be_exported_again(version):
    content = {**make_contract().to_json(), "version": version}
    with pytest.raises(UserError, match=r"version .*export it again"):
        contract_from_json(json.dumps(content), "x")


NO_COUNTS = [None, "abc", 5, {}, [], [1], [1, 2, 3], [-1, 2], [math.nan, 2], [1.5, 2], [True, 2]]
NO_COUNTS += [["1", "2"], [None, 2], [10**400, 1], [[1], [2]]]


@pytest.mark.parametrize("counts", NO_COUNTS, ids=lambda value: str(value)[:60])
def test_counts_of_training_rows_are_counts(counts):
    for provenance in ({"label_counts": counts}, {"group_counts": [[3, 4], counts]}):
        content = make_contract(provenance=provenance).to_json()
        with pytest.raises(UserError, match="field provenance"):
            contract_from_json(json.dumps(content), "x")


@pytest.mark.parametrize(
    "provenance",
    [{"group_counts": 5}, {"group_counts": None}, {"group_counts": []}, {"label_counts": [0, 0]}],
    ids=str,
)
def test_counts_of_training_rows_are_of_all_groups_and_of_some_row(provenance):
    content = make_contract(provenance=provenance).to_json()
    with pytest.raises(UserError, match="field provenance"):
        contract_from_json(json.dumps(content), "x")


@pytest.mark.parametrize("content", ["{", "[]", "5", "null", "[" * 5000, {}, None], ids=str)
def test_what_is_no_contract_is_refused(content):
    with pytest.raises(UserError, match="unreadable contract"):
        contract_from_json(content, "x")


def test_edited_preprocessing_is_refused():
    content = make_contract().to_json()
    content["preprocessing"]["steps"][0][1]["height"] = 64
    with pytest.raises(UserError, match="edited"):
        contract_from_json(content, "x")


@pytest.mark.parametrize(
    "rule",
    [
        ("threshold", {"value": 1.5}),
        ("threshold", {"value": math.nan}),
        ("threshold", {"value": "0.5"}),
        ("threshold", {"value": True}),
        ("threshold", {"limit": 0.5}),
        ("thresholds_by_group", {"values": [0.5, 2.0], "overall": 0.5}),
        ("thresholds_by_group", {"values": [[0.5]], "overall": 0.5}),
        ("thresholds_by_group", {"values": [0.5]}),
        ("trehshold", {}),
        ("__import__('os')", {}),
    ],
    ids=str,
)
def test_a_rule_that_cannot_decide_is_refused_in_a_line(rule):
    name, constants = rule
    content = {**make_contract().to_json(), "rule": name, "rules": {name: constants}}
    with pytest.raises(UserError, match=r"^x: ") as error:
        contract_from_json(json.dumps(content), "x")
    assert "\n" not in str(error.value)


def test_decisions_of_the_active_rule():
    probabilities = np.array([[0.7, 0.3], [0.75, 0.25], [0.76, 0.24]])
    at_a_quarter = make_contract(rule=make_rule("threshold", {"value": 0.25}))
    assert at_a_quarter.decide(probabilities).tolist() == [1, 1, 0]
    reverse = make_contract(rule=make_rule("threshold", {"value": 0.75}), positive=0)
    assert reverse.decide(probabilities).tolist() == [1, 0, 0]
    assert make_contract().decide(np.array([[0.5, 0.5], [0.6, 0.4]])).tolist() == [1, 0]
    three = make_contract(classes=("a", "b", "c"), n_outputs=3, rule=usual_rule(3))
    assert three.decide(np.array([[0.2, 0.5, 0.3]])).tolist() == [1]
    by_group = make_rule("thresholds_by_group", {"values": [0.2, 0.6], "overall": 0.3})
    rows, groups = np.array([[0.75, 0.25]] * 4), np.array([0, 1, -1, 7])
    assert make_contract(rule=by_group).decide(rows, groups).tolist() == [1, 0, 0, 0]
    assert make_contract(rule=by_group).decide(np.array([[0.7, 0.3]])).tolist() == [1]


@pytest.mark.parametrize(("n_outputs", "groups"), [(2, 1), (8, 4)])
def test_groups_in_the_head(n_outputs, groups):
    assert make_contract(n_outputs=n_outputs).num_groups == groups


def test_priors_are_those_given_or_equal():
    np.testing.assert_array_equal(make_contract(**WIDE).equal_or_given_priors(), WIDE["priors"])
    equal = make_contract(n_outputs=6).equal_or_given_priors()
    np.testing.assert_allclose(equal, np.full((3, 2), 1 / 6))
