"""The own group's outputs decide where the group is known and was trained; else the rule does."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.artifact.contract import Contract
from src.artifact.decisions import usual_rule
from tests.artifact.test_contract import make_contract

CLASSES = ("a", "b", "c")


def own_head_contract(num_groups: int, **changes) -> Contract:
    settings = {
        "classes": CLASSES,
        "rule": usual_rule(3),
        "n_outputs": 3 * num_groups,
        "reduction": "mean_over_groups",
    }
    return make_contract(**{**settings, "own_head": True, **changes})


def by_hand(row, group, num_groups, temperature, otherwise):
    """Probabilities of one row: the softmax of its group's three logits."""
    if not 0 <= group < num_groups:
        return otherwise
    own = [x / temperature for x in row[3 * group : 3 * group + 3]]
    odds = [math.exp(x - max(own)) for x in own]
    return [x / sum(odds) for x in odds]


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_own_head_equals_an_explicit_loop(data):
    num_groups, temperature = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([0.5, 1, 3]))
    groups = data.draw(st.lists(st.integers(-2, num_groups + 1), max_size=6))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    logits = rng.normal(0, 5, (len(groups), 3 * num_groups)).astype(np.float32)
    probabilities = rng.dirichlet([1, 1, 1], len(groups)).astype(np.float32)
    before = probabilities.copy()
    contract = own_head_contract(num_groups, temperature=temperature)
    found = contract.by_own_head(logits, probabilities, np.array(groups, np.int64))
    wanted = [
        by_hand(row, group, num_groups, temperature, otherwise)
        for row, group, otherwise in zip(logits.tolist(), groups, before.tolist(), strict=True)
    ]
    np.testing.assert_allclose(found, np.reshape(wanted, (-1, 3)), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(probabilities, before)
    assert found.dtype == np.float32


def test_a_group_without_training_rows_counts_as_unknown():
    """Its outputs never learned anything."""
    priors = ((0.2, 0.2, 0.1), (0.0, 0.0, 0.0), (0.0, 0.0, 0.5))
    contract = own_head_contract(3, priors=priors)
    logits, rule = np.arange(27.0).reshape(3, 9) ** 2, np.full((3, 3), 1 / 3)
    found = contract.by_own_head(logits, rule, np.arange(3))
    np.testing.assert_array_equal(found[1], rule[1])
    assert (found[[0, 2], 2] > 0.9).all()


def test_without_own_head_the_group_changes_nothing():
    contract = own_head_contract(2, own_head=False)
    rule = np.full((3, 3), 1 / 3)
    found = contract.by_own_head(np.random.default_rng(0).normal(size=(3, 6)), rule, np.zeros(3))
    np.testing.assert_array_equal(found, rule)


@pytest.mark.parametrize("scale", [1e4, 3e38])
def test_huge_logits_are_decided_by_the_largest(scale):
    logits = np.array([[0, 0, 0, -scale, scale, 0]], np.float32)
    found = own_head_contract(2, temperature=1e-3).by_own_head(
        logits, np.full((1, 3), 1 / 3, np.float32), np.array([1])
    )
    np.testing.assert_array_equal(found, [[0, 1, 0]])
