"""Decision rules: by name, over every row, at their thresholds and not beside them."""

import numpy as np
import pytest

from src.artifact.decisions import RULES, DecisionRule, make_rule, mean_rule, usual_rule
from src.core.errors import UserError

CONSTANTS = {"thresholds_by_group": {"values": [0.2, 0.6], "overall": 0.3}}


def test_every_rule_decides_every_row_and_says_what_it_does():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=20)
    groups = np.arange(20) % 5 - 1
    for name in RULES.names():
        rule = make_rule(name, CONSTANTS.get(name, {}))
        decisions = rule(probabilities, 2, groups)
        assert decisions.shape == (20,) and set(decisions) == {0, 1, 2}, name
        one_by_one = [rule(probabilities[i : i + 1], 2, groups[i : i + 1])[0] for i in range(20)]
        assert decisions.tolist() == one_by_one
        assert rule(probabilities, 2).tolist() == rule(probabilities, 2, np.full(20, -1)).tolist()
        assert RULES[name].__doc__
        assert make_rule(name, rule.options) == rule


@pytest.mark.parametrize("positive", [0, 1])
def test_of_two_classes_the_positive_one_is_decided_from_the_threshold_on(positive):
    for threshold in (0.1, 0.3, 0.5, 0.9):
        scores = np.array([0, np.nextafter(threshold, 0), threshold, np.nextafter(threshold, 1), 1])
        columns = [1 - scores, scores] if positive == 1 else [scores, 1 - scores]
        rule = make_rule("threshold", {"value": threshold})
        decisions = rule(np.stack(columns, axis=1), positive)
        assert (decisions == positive).tolist() == [False, False, True, True, True]
        assert set(decisions.tolist()) == {0, 1}


def test_usually_two_classes_are_decided_at_a_half_and_more_by_the_most_probable():
    assert usual_rule(2) == DecisionRule("threshold", {"value": 0.5})
    probabilities = np.random.default_rng(0).dirichlet(np.ones(7), size=50)
    decisions = usual_rule(7)(probabilities, 1)
    assert decisions.tolist() == [max(range(7), key=row.__getitem__) for row in probabilities]


def test_rules_together_have_the_mean_of_their_constants():
    rules = [make_rule("threshold", {"value": value}) for value in (0.2, 0.6)]
    assert mean_rule(rules, "x").options["value"] == pytest.approx(0.4)
    rules = [make_rule("thresholds_by_group", {"values": [v, 0.5], "overall": v}) for v in (0, 1)]
    assert mean_rule(rules, "x").options == {"values": [0.5, 0.5], "overall": 0.5}
    assert mean_rule([usual_rule(3)] * 2, "x") == usual_rule(3)
    for other in (usual_rule(3), make_rule("thresholds_by_group", {"values": [], "overall": 0})):
        with pytest.raises(UserError, match=r"^x: "):
            mean_rule([rules[0], other], "x")
