"""Rules for thresholds against trying every threshold there is, and decisions at them."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.errors import UserError
from src.evaluation.thresholds import (
    THRESHOLDS,
    choose_threshold,
    decide,
    group_thresholds,
    threshold_at_specificity,
)

NAN = float("nan")
TENTHS = [0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 1]


def specificity_of(target, score, threshold) -> Fraction:
    negatives = score[~target]
    return Fraction(int((negatives < threshold).sum()), len(negatives))


def decisions_by_trial(target, score, specificity):
    """Of the thresholds that give other decisions the lowest that is specific enough."""
    places = sorted({-np.inf, *score, *np.nextafter(score, np.inf)})
    wanted = Fraction(str(specificity))
    found = next(t for t in places if specificity_of(target, score, t) >= wanted)
    return score >= found


@settings(max_examples=300, derandomize=True, database=None)
@given(st.data())
def test_decisions_are_those_of_the_lowest_threshold_that_is_specific_enough(data):
    n_rows = data.draw(st.integers(1, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    target = rng.random(n_rows) < 0.4
    target[0] = False
    n_values = data.draw(st.sampled_from([1, 3, 10, 10_000]))  # from all tied to hardly any
    score = rng.integers(n_values + 1, size=n_rows) / n_values
    specificity = data.draw(st.sampled_from(TENTHS))
    threshold = threshold_at_specificity(target, score, specificity)
    assert specificity_of(target, score, threshold) >= Fraction(str(specificity))
    wanted = decisions_by_trial(target, score, specificity)
    np.testing.assert_array_equal(score >= threshold, wanted)
    if threshold > -np.inf:
        below = np.nextafter(threshold, -np.inf)
        assert specificity_of(target, score, below) < Fraction(str(specificity))


@settings(max_examples=100, derandomize=True, database=None)
@given(st.integers(1, 400), st.integers(0, 100))
def test_as_many_negatives_are_positive_as_is_allowed(n, percent):
    """Exactly, although 1 - 0.9 in floats is less than a tenth."""
    score = np.random.default_rng(n).permutation(n) / n
    threshold = threshold_at_specificity(np.zeros(n, bool), score, percent / 100)
    assert (score >= threshold).sum() == (100 - percent) * n // 100


@pytest.mark.parametrize(
    ("specificity", "n_positive"),
    [(0, 5), (0.2, 4), (0.5, 2), (0.6, 2), (0.8, 1), (0.9, 0), (1, 0)],
)
def test_by_hand(specificity, n_positive):
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    threshold = threshold_at_specificity(np.zeros(5, bool), score, specificity)
    assert (score >= threshold).sum() == n_positive


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("specificity", [0.5, 0.9, 1.0])
def test_tied_negatives_are_all_negative_and_what_is_above_is_positive(value, specificity):
    score = np.array([value, value, value, np.nextafter(value, 2)])
    target = np.array([False, False, True, True])
    threshold = threshold_at_specificity(target, score, specificity)
    assert (score >= threshold).tolist() == [False, False, False, True]


def test_no_specificity_wanted_makes_every_row_positive():
    threshold = threshold_at_specificity(np.array([False, True]), np.array([0.0, 0.0]), 0)
    assert threshold <= 0.0


def test_positive_rows_change_nothing():
    rng = np.random.default_rng(0)
    target, score = rng.random(50) < 0.5, rng.random(50)
    before = threshold_at_specificity(target, score, 0.8)
    assert before == threshold_at_specificity(target, np.where(target, 0.99, score), 0.8)
    assert before == threshold_at_specificity(target[~target], score[~target], 0.8)


def test_single_precision_scores_are_told_apart():
    score = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(1))], np.float32)
    threshold = threshold_at_specificity(np.array([False, True]), score, 0.9)
    assert (score >= threshold).tolist() == [False, True]


@pytest.mark.parametrize("n", [0, 3])
def test_without_negative_rows_there_is_no_threshold(n):
    with pytest.raises(UserError, match="no negative rows"):
        threshold_at_specificity(np.ones(n, bool), np.zeros(n), 0.9)


def rates(target, score, threshold) -> tuple[Fraction, Fraction, Fraction]:
    """(sensitivity, specificity, F1), row by row."""
    decision = [s >= threshold for s in score.tolist()]
    pairs = list(zip(target.tolist(), decision, strict=True))
    tp, fn, fp, tn = (
        pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))
    )
    return (
        Fraction(tp, tp + fn) if tp + fn else None,
        Fraction(tn, tn + fp) if tn + fp else None,
        Fraction(2 * tp, 2 * tp + fp + fn) if tp + fn else None,
    )


def draw_rows(data, n_least: int = 2):
    """Rows of both kinds, from all tied to hardly any."""
    n_rows = data.draw(st.integers(n_least, 25))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    target = rng.random(n_rows) < data.draw(st.sampled_from([0.1, 0.5, 0.9]))
    target[:2] = True, False
    n_values = data.draw(st.sampled_from([1, 3, 10, 10_000]))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    return target, (rng.integers(n_values + 1, size=n_rows) / n_values).astype(dtype)


@settings(max_examples=150, derandomize=True, database=None)
@given(st.data())
@pytest.mark.parametrize(
    ("rule", "worth"),
    [("max_f1", lambda sens, spec, f1: f1), ("youden", lambda sens, spec, f1: sens + spec)],
    ids=["max_f1", "youden"],
)
def test_the_best_of_all_thresholds_and_of_equals_the_highest(rule, worth, data):
    target, score = draw_rows(data)
    threshold = choose_threshold(rule, target, score)
    assert type(threshold) is float
    assert threshold in score
    best = max(worth(*rates(target, score, t)) for t in [*score, -np.inf, np.inf])
    found = worth(*rates(target, score, threshold))
    assert found == best
    higher = score[score > threshold]
    assert all(worth(*rates(target, score, t)) < best for t in higher)
    alarms = [(score[~target] >= t).sum() for t in score if worth(*rates(target, score, t)) == best]
    assert (score[~target] >= threshold).sum() == min(alarms)


@settings(max_examples=150, derandomize=True, database=None)
@given(st.data())
def test_the_highest_threshold_that_is_sensitive_enough(data):
    target, score = draw_rows(data)
    least = data.draw(st.sampled_from(TENTHS[1:]))
    threshold = choose_threshold(f"sensitivity(least={least})", target, score)
    wanted = Fraction(str(least))
    assert rates(target, score, threshold)[0] >= wanted
    above = np.nextafter(score.dtype.type(threshold), score.dtype.type(2))
    assert rates(target, score, above)[0] < wanted


@settings(max_examples=100, derandomize=True, database=None)
@given(st.data())
def test_the_rule_of_specificity_is_the_threshold_at_it(data):
    target, score = draw_rows(data)
    least = data.draw(st.sampled_from(TENTHS[1:]))
    threshold = choose_threshold(f"specificity(least={least})", target, score)
    assert threshold == threshold_at_specificity(target, score, least)
    assert rates(target, score, threshold)[1] >= Fraction(str(least))


TARGET = np.array([False, False, True, False, True, True])
SCORE = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


@pytest.mark.parametrize(
    ("rule", "threshold"),
    [
        ("fixed", 0.5),
        ("fixed(value=0.25)", 0.25),
        ("fixed(value=1)", 1),
        ("max_f1", 0.3),  # 6/7 against 4/5 at 0.5
        ("youden", 0.5),  # 2/3 there as at 0.3, where there is an alarm
        ("sensitivity", 0.3),
        ("sensitivity(least=0.6)", 0.5),
        ("sensitivity(least=0.01)", 0.6),
        ("sensitivity(least=1)", 0.3),
        ("specificity", np.nextafter(0.4, 1)),
        ("specificity(least=0.6)", np.nextafter(0.2, 1)),
    ],
)
def test_rules_by_hand(rule, threshold):
    assert choose_threshold(rule, TARGET, SCORE) == threshold


@pytest.mark.parametrize("n", [1, 3, 10, 70, 200, 1000])
@pytest.mark.parametrize("percent", [7, 29, 55, 57, 58, 90])
def test_as_many_positives_are_found_as_are_wanted(n, percent):
    """Exactly, although 0.07 * 100 in floats is more than 7."""
    score = np.random.default_rng(n).permutation(n) / n
    threshold = choose_threshold(f"sensitivity(least={percent / 100})", np.ones(n, bool), score)
    assert (score >= threshold).sum() == -(-percent * n // 100)


@pytest.mark.parametrize("rule", THRESHOLDS.names())
def test_a_rule_that_is_undefined_is_refused(rule):
    others = {"fixed": "", "specificity": "negative", "youden": "positive negative"}
    needed = others.get(rule, "positive")
    score = np.array([0.2, 0.3, 0.7])
    for kind, target in {"positive": np.zeros(3, bool), "negative": np.ones(3, bool)}.items():
        if kind in needed:
            with pytest.raises(UserError, match=f"'{rule}': no {kind} rows"):
                choose_threshold(rule, target, score)
        else:
            assert math.isfinite(choose_threshold(rule, target, score))
    if rule != "fixed":
        with pytest.raises(UserError, match="rows without a probability"):
            choose_threshold(rule, np.array([True, False, True]), np.array([0.2, NAN, 0.7]))
        with pytest.raises(UserError, match=r"no \w+ rows"):
            choose_threshold(rule, np.zeros(0, bool), np.zeros(0))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("fixed(value=1.5)", "expected 0 to 1"),
        ("fixed(value=-0.1)", "expected 0 to 1"),
        ("sensitivity(least=0)", "more than 0"),
        ("specificity(least=1.01)", "at most 1"),
        ("yuden", "did you mean 'youden'"),
        ("sensitivity(most=0.9)", "no option 'most'"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule, message):
    with pytest.raises(UserError, match=message):
        choose_threshold(rule, TARGET, SCORE)


def test_groups_have_their_own_threshold_where_they_can():
    """0 and 1 have rows enough, 2 one positive row, 3 no negative row, 4 no row."""
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2, 3, -1], [40, 40, 20, 20, 30])
    target = rng.random(150) < 0.5
    target[80:100] = np.arange(20) == 7
    target[100:120] = True
    score = np.where(groups == 1, 0.5, 1) * rng.random(150)
    found = group_thresholds("youden", target, score, groups, 5, min_rows=5)
    everyone = choose_threshold("youden", target, score)
    own = [choose_threshold("youden", target[groups == g], score[groups == g]) for g in range(3)]
    assert found.tolist() == [*own[:2], everyone, everyone, everyone, everyone]
    assert len({*own, everyone}) == 4
    for min_rows in (0, 1):
        smallest = group_thresholds("youden", target, score, groups, 5, min_rows)
        assert smallest.tolist() == [*own, everyone, everyone, everyone]
    rows = groups == 0
    n = min(target[rows].sum(), (~target[rows]).sum())
    for min_rows, wanted in ((n, own[0]), (n + 1, everyone)):
        assert group_thresholds("youden", target, score, groups, 5, min_rows)[0] == wanted
    alike = group_thresholds("fixed(value=0.3)", target[rows], score[rows], groups[rows], 1, 1)
    assert alike.tolist() == [0.3, 0.3]


@settings(max_examples=100, derandomize=True, database=None)
@given(st.data())
def test_decisions_row_by_row(data):
    n_rows, n_classes = data.draw(st.integers(0, 8)), data.draw(st.integers(2, 5))
    positive = data.draw(st.integers(0, n_classes - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    probabilities = rng.integers(5, size=(n_rows, n_classes)) / 4
    thresholds = rng.integers(5, size=n_rows) / 4
    wanted = []
    for row, threshold in zip(probabilities.tolist(), thresholds, strict=True):
        others = [c for c in range(n_classes) if c != positive]
        best = max(others, key=lambda c: row[c])
        wanted.append(positive if row[positive] >= threshold else best)
    found = decide(probabilities, positive, thresholds)
    assert found.tolist() == wanted
    assert found.dtype.kind == "i"
    one, each = (decide(probabilities, positive, t) for t in (0.5, np.full(n_rows, 0.5)))
    np.testing.assert_array_equal(one, each)


def test_one_threshold_decides_as_the_same_one_for_each_row_in_single_precision():
    probabilities = np.array([[0.3, 0.7]], np.float32)
    thresholds = [0.7, float(np.float32(0.7)), np.nextafter(np.float32(0.7), np.float32(1))]
    for threshold in map(float, thresholds):
        one, each = (decide(probabilities, 1, t) for t in (threshold, np.array([threshold])))
        assert one.tolist() == each.tolist() == [int(float(np.float32(0.7)) >= threshold)]


def test_decisions_without_probabilities_are_refused():
    with pytest.raises(UserError, match="found only decisions"):
        decide(np.full((3, 2), NAN), 1, 0.5)
