"""Gaps between groups, against fairlearn and by hand."""

import math

import numpy as np
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
    false_negative_rate,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.metrics import accuracy_score, f1_score

from src.core.files import to_strict_json
from src.evaluation.gaps import gap_estimates
from src.evaluation.metrics import COMPARED
from src.evaluation.results import Settings, point_estimates
from tests.evaluation.test_results import results_of

FAIRLEARN = {
    "demographic_parity_difference": demographic_parity_difference,
    "demographic_parity_ratio": demographic_parity_ratio,
    "equal_opportunity_difference": equal_opportunity_difference,
    "equal_opportunity_ratio": equal_opportunity_ratio,
    "equalized_odds_difference": equalized_odds_difference,
    "equalized_odds_ratio": equalized_odds_ratio,
}
RATES = {
    "selection_rate": selection_rate,
    "sensitivity": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "false_negative_rate": false_negative_rate,
    "accuracy": accuracy_score,
    "f1": f1_score,
}


def test_gaps_are_those_of_fairlearn(random_table):
    predictions = random_table(2, 400)
    known = predictions.groups >= 0
    target, decision = predictions.labels[known] == 1, predictions.decisions[known] == 1
    found = results_of(predictions)["gaps"]["skin tone"]["malignant"]
    for name, measure in FAIRLEARN.items():
        wanted = measure(target, decision, sensitive_features=predictions.groups[known])
        assert found[name]["value"] == pytest.approx(wanted), name


@pytest.mark.slow
def test_gaps_of_seven_classes_are_those_of_each_against_the_rest(random_table, table):
    predictions = random_table(7, 300)
    found = results_of(predictions)["gaps"]["skin tone"]
    assert list(found) == list(predictions.classes)
    for c, name in enumerate(predictions.classes):
        alone = table(
            (predictions.labels == c).astype(int),
            predictions.groups,
            decisions=(predictions.decisions == c).astype(int),
        )
        wanted = results_of(alone)["gaps"]["skin tone"]["malignant"]
        assert to_strict_json(found[name]) == to_strict_json(wanted)


# recalls 2/3, 1/1, none; false alarms 1/2, 1/2, 1/3
LABELS = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0]
GROUPS = [0, 0, 0, 0, 0, 1, 1, 1, 3, 3, 3]
DECISIONS = [1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0]


def test_gaps_by_hand_and_who_is_left_out(table):
    found = results_of(table(LABELS, GROUPS, decisions=DECISIONS))["gaps"]["skin tone"]["malignant"]
    rate = found["rates"]["sensitivity"]
    assert rate["difference"]["value"] == pytest.approx(1 / 3)
    assert rate["ratio"]["value"] == pytest.approx(2 / 3)
    assert (rate["groups"], rate["left_out"]) == (["Very light", "Light"], ["Tan and darker"])
    assert (rate["lowest"], rate["highest"]) == ("Very light", "Light")
    alarms = found["rates"]["false_positive_rate"]
    assert alarms["groups"] == ["Very light", "Light", "Tan and darker"]
    assert alarms["difference"]["value"] == pytest.approx(1 / 6)
    assert found["equalized_odds_difference"]["value"] == pytest.approx(1 / 3)
    assert found["equalized_odds_ratio"]["value"] == pytest.approx(2 / 3)


def test_each_rate_counts_its_own_rows_against_the_least_number(table):
    """Three rows of Tan, none malignant: compared in false alarms, not in sensitivity."""
    settings = Settings(n_resamples=100, min_group=3)
    predictions = table(LABELS, GROUPS, decisions=DECISIONS)
    rates = results_of(predictions, settings=settings)["gaps"]["skin tone"]["malignant"]["rates"]
    assert rates["sensitivity"]["groups"] == ["Very light"]
    assert rates["sensitivity"]["left_out"] == ["Light", "Tan and darker"]
    assert math.isnan(rates["sensitivity"]["difference"]["value"])
    assert rates["sensitivity"]["lowest"] == ""
    assert rates["false_positive_rate"]["groups"] == ["Tan and darker"]
    assert rates["selection_rate"]["groups"] == ["Very light", "Light", "Tan and darker"]


def test_perfect_classifier_has_no_gap_and_a_rate_of_nothing_no_ratio(table):
    found = results_of(table([1, 0, 1, 0, 0, 0], [0, 0, 1, 1, 2, 2]))["gaps"]["skin tone"][
        "malignant"
    ]
    assert found["equal_opportunity_difference"]["value"] == 0
    assert found["equalized_odds_difference"]["value"] == 0
    alarms = found["rates"]["false_positive_rate"]
    assert alarms["difference"]["value"] == 0
    assert math.isnan(alarms["ratio"]["value"])
    selection = found["demographic_parity_ratio"]
    assert selection["value"] == 0
    assert math.isnan(selection["low"])


def test_the_interval_of_equalized_odds_is_that_of_both_rates_at_once(random_table):
    found = results_of(random_table(2, 400))["gaps"]["skin tone"]["malignant"]
    odds, rates = found["equalized_odds_difference"], found["rates"]
    single = [rates[r]["difference"] for r in ("sensitivity", "false_positive_rate")]
    reach = [figure["high"] - figure["value"] for figure in single]
    assert odds["high"] - odds["value"] >= max(reach)
    assert odds["value"] == max(figure["value"] for figure in single)
    assert odds["low"] <= max(figure["low"] for figure in single)


def test_every_rate_is_that_of_fairlearn(random_table):
    predictions = random_table(2, 400)
    known = predictions.groups >= 0
    target, decision = predictions.labels[known] == 1, predictions.decisions[known] == 1
    found = results_of(predictions)["gaps"]["skin tone"]["malignant"]["rates"]
    assert {*RATES} == {*COMPARED} == {*found}
    for name, rate in RATES.items():
        frame = MetricFrame(
            metrics=rate,
            y_true=target,
            y_pred=decision,
            sensitive_features=predictions.groups[known],
        )
        assert found[name]["difference"]["value"] == pytest.approx(frame.difference()), name
        assert found[name]["ratio"]["value"] == pytest.approx(frame.ratio()), name
        for end, group in (
            ("lowest", frame.by_group.idxmin()),
            ("highest", frame.by_group.idxmax()),
        ):
            assert found[name][end] == predictions.group_names[group], name


def test_estimates_evaluate_the_positive_class_whichever_it_is(table):
    flip = 1 - np.array([LABELS, DECISIONS])
    wanted = gap_estimates(table(LABELS, GROUPS, decisions=DECISIONS), 1)
    assert gap_estimates(table(flip[0], GROUPS, decisions=flip[1], positive=0), 1) == wanted
    assert wanted["equal_opportunity_difference"] == pytest.approx(1 / 3)
    assert wanted["equalized_odds_difference"] == pytest.approx(1 / 3)
    assert wanted["equal_opportunity_groups"] == ["Very light", "Light"]


def test_a_perfect_classifier_is_fair_to_a_group_without_positives(table):
    labels, groups = [1, 0, 1, 0, 0, 0], [0, 0, 1, 1, 2, 2]
    assert equal_opportunity_difference(labels, labels, sensitive_features=groups) == 1
    found = gap_estimates(table(labels, groups), 1)
    assert found["equal_opportunity_difference"] == 0
    assert found["equal_opportunity_groups"] == ["Very light", "Light"]


def test_rows_of_unknown_group_are_out_of_gaps_but_shown(table):
    without = gap_estimates(table(LABELS, GROUPS, decisions=DECISIONS), 1)
    predictions = table([*LABELS, 1, 1], [*GROUPS, -1, -1], decisions=[*DECISIONS, 0, 0])
    assert gap_estimates(predictions, 1) == without
    found = point_estimates(predictions)
    assert list(found["groups"]) == ["Very light", "Light", "Tan and darker", "unknown"]
    assert found["groups"]["unknown"]["n"] == 2
    assert found["groups"]["unknown"]["sensitivity"] == 0
    assert found["n"] == 13


def test_estimates_without_two_groups_that_are_large_enough_are_nan(table):
    for labels, groups in (
        ([1, 0, 1], [2, 2, 2]),
        ([1, 0, 1], [2, -1, -1]),
        ([1, 0, 1], [-1, -1, -1]),
        ([], []),
    ):
        found = gap_estimates(table(labels, groups), 1)
        assert math.isnan(found["demographic_parity_difference"])
        assert math.isnan(found["equal_opportunity_difference"])
    found = gap_estimates(table([1, 0, 0, 0], [0, 0, 1, 1]), 1)
    assert math.isnan(found["equal_opportunity_difference"])
    assert found["demographic_parity_difference"] == pytest.approx(1 / 2)
    found = gap_estimates(table([1, 0, 1, 0, 1, 0], [0, 0, 0, 0, 1, 1]), 3)
    assert math.isnan(found["demographic_parity_difference"])
