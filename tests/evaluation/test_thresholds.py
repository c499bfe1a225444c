"""Thresholds at a wanted specificity, against trying every threshold there is."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.errors import UserError
from src.evaluation.thresholds import threshold_at_specificity

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
