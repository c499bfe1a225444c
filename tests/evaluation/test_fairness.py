"""Metrics by tone group and gaps between groups, by hand."""

import math

import numpy as np
import pytest
from fairlearn.metrics import equal_opportunity_difference

from src.evaluation.fairness import evaluate, gaps, group_metrics, subset
from src.evaluation.metrics import compute_metrics

# selection rates 2/4, 1/2, 0/2; recalls 2/3, 1/1, none
LABELS = [1, 1, 1, 0, 1, 0, 0, 0]
GROUPS = [0, 0, 0, 0, 1, 1, 3, 3]
DECISIONS = [1, 1, 0, 0, 1, 0, 0, 0]


def test_gaps_by_hand(table):
    found = gaps(table(LABELS, GROUPS, decisions=DECISIONS))
    assert found["demographic_parity_difference"] == pytest.approx(1 / 2)
    assert found["equal_opportunity_difference"] == pytest.approx(1 / 3)
    assert found["equal_opportunity_groups"] == ["Very light", "Light"]


def test_gaps_judge_the_positive_class_whichever_it_is(table):
    flip = 1 - np.array([LABELS, DECISIONS])
    wanted = gaps(table(LABELS, GROUPS, decisions=DECISIONS))
    assert gaps(table(flip[0], GROUPS, decisions=flip[1], positive=0)) == wanted


def test_gaps_of_seven_classes_are_of_one_against_the_rest(table):
    labels = [1, 1, 2, 3, 1, 4, 5, 6]
    decisions = [1, 2, 2, 1, 1, 4, 5, 1]
    groups = [0, 0, 0, 0, 2, 2, 2, 2]
    found = gaps(table(labels, groups, decisions=decisions, classes=tuple("abcdefg")))
    assert found["demographic_parity_difference"] == pytest.approx(0)
    assert found["equal_opportunity_difference"] == pytest.approx(1 / 2)


def test_perfect_classifier_is_fair_to_a_group_without_positives(table):
    labels, groups = [1, 0, 1, 0, 0, 0], [0, 0, 1, 1, 2, 2]
    assert equal_opportunity_difference(labels, labels, sensitive_features=groups) == 1
    found = gaps(table(labels, groups))
    assert found["equal_opportunity_difference"] == 0
    assert found["equal_opportunity_groups"] == ["Very light", "Light"]


def test_rows_of_unknown_group_are_out_of_gaps_but_shown(table):
    without = gaps(table(LABELS, GROUPS, decisions=DECISIONS))
    found = evaluate(table([*LABELS, 1, 1], [*GROUPS, -1, -1], decisions=[*DECISIONS, 0, 0]))
    assert {name: found[name] for name in without} == without
    assert list(found["groups"]) == ["Very light", "Light", "Tan", "unknown"]
    assert found["groups"]["unknown"]["n"] == 2
    assert found["groups"]["unknown"]["malignant_recall"] == 0
    assert found["n"] == 10


@pytest.mark.parametrize(
    ("labels", "groups"),
    [([1, 0, 1], [2, 2, 2]), ([1, 0, 1], [2, -1, -1]), ([1, 0, 1], [-1, -1, -1]), ([], [])],
    ids=["single", "single known", "unknown", "empty"],
)
def test_gaps_without_two_groups_are_nan(labels, groups, table):
    found = gaps(table(labels, groups))
    assert math.isnan(found["demographic_parity_difference"])
    assert math.isnan(found["equal_opportunity_difference"])


def test_opportunity_is_nan_when_only_one_group_has_positives(table):
    found = gaps(table([1, 0, 0, 0], [0, 0, 1, 1]))
    assert math.isnan(found["equal_opportunity_difference"])
    assert found["demographic_parity_difference"] == pytest.approx(1 / 2)
    assert found["equal_opportunity_groups"] == ["Very light"]


@pytest.mark.parametrize("n_classes", [2, 7])
def test_group_metrics_are_those_of_the_rows_alone(n_classes, random_table, table):
    predictions = random_table(n_classes)
    found = group_metrics(predictions)
    names = dict(enumerate(predictions.group_names)) | {-1: "unknown"}
    assert list(found) == [names[g] for g in (0, 1, 2, 3, -1)]
    for group, name in names.items():
        rows = predictions.groups == group
        alone = table(
            predictions.labels[rows],
            scores=predictions.probabilities[rows],
            classes=predictions.classes,
        )
        assert found[name] == compute_metrics(alone)
        assert found[name]["n"] == rows.sum()


def test_subset_keeps_rows_together(random_table):
    predictions = random_table()
    keep = predictions.groups == 2
    part = subset(predictions, keep)
    rows = np.flatnonzero(keep)
    assert part.names == [predictions.names[row] for row in rows]
    for field in ("labels", "groups", "probabilities", "decisions"):
        assert np.array_equal(getattr(part, field), getattr(predictions, field)[rows])
    assert (part.classes, part.positive) == (predictions.classes, predictions.positive)


def test_evaluate_holds_overall_metrics_gaps_and_groups(random_table):
    predictions = random_table()
    found = evaluate(predictions)
    assert found == {
        **compute_metrics(predictions),
        **gaps(predictions),
        "groups": group_metrics(predictions),
    }
