"""Differences of two models: DeLong's variance by its definition, permutations, error rates."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm, rankdata
from sklearn.metrics import roc_auc_score

from src.evaluation.paired_comparison import delong, mcnemar

NAN = float("nan")
NOTHING = {"value": 0, "low": 0, "high": 0, "p": 1}


def draw_models(n: int, seed: int, gain: float = 1.0, other_gain: float = 1.0, n_values: int = 0):
    """(target, score, other) of correlated scores that are `gain` deviations apart; may tie."""
    rng = np.random.default_rng(seed)
    target = rng.random(n) < 0.3
    target[:4] = True, True, False, False
    shared, one, two = rng.normal(size=(3, n))
    score, other = gain * target + shared + one, other_gain * target + shared + two
    if n_values:
        score, other = (np.round(x * n_values) / n_values for x in (score, other))
    return target, score, other


def delong_by_pairs(target, score, other) -> tuple[float, float]:
    """(difference of AUROC, its variance), pair by pair as DeLong et al. (1988) define them."""
    places = [np.flatnonzero(target).tolist(), np.flatnonzero(~target).tolist()]
    components = []
    for values in (score.tolist(), other.tolist()):
        psi = np.array(
            [
                [
                    1.0 if values[i] > values[j] else 0.5 if values[i] == values[j] else 0.0
                    for j in places[1]
                ]
                for i in places[0]
            ]
        )
        components.append((psi.mean(), psi.mean(axis=1), psi.mean(axis=0)))
    (auroc, v10, v01), (auroc_other, v10_other, v01_other) = components
    s10, s01 = np.cov(v10, v10_other), np.cov(v01, v01_other)
    s = s10 / len(places[0]) + s01 / len(places[1])
    return auroc - auroc_other, s[0, 0] + s[1, 1] - 2 * s[0, 1]


def permutation_p(target, score, other, n_permutations: int, seed: int) -> float:
    """Share of random swaps of the two models' ranks, row by row, with as large a difference."""
    rng = np.random.default_rng(seed)
    ranks = np.stack([rankdata(score), rankdata(other)])
    swap = rng.random((n_permutations, len(target))) < 0.5
    pairs = target.sum() * (~target).sum()

    def auroc(values):
        won = rankdata(values, axis=1)[:, target].sum(axis=1)
        return (won - target.sum() * (target.sum() + 1) / 2) / pairs

    found = abs(auroc(np.where(swap, ranks[0], ranks[1])) - auroc(np.where(swap, *ranks[::-1])))
    observed = abs(roc_auc_score(target, score) - roc_auc_score(target, other))
    return (1 + (found >= observed - 1e-12).sum()) / (1 + n_permutations)


@settings(max_examples=80, derandomize=True, database=None)
@given(st.integers(0, 9999), st.integers(5, 40), st.sampled_from([0, 1, 3]))
def test_delong_is_its_definition_pair_by_pair(seed, n, n_values):
    target, score, other = draw_models(n, seed, 1.5, 0.5, n_values)
    value, variance = delong_by_pairs(target, score, other)
    found = delong(target, score, other)
    assert found["value"] == pytest.approx(value, abs=1e-12)
    assert found["value"] == pytest.approx(
        roc_auc_score(target, score) - roc_auc_score(target, other), abs=1e-12
    )
    reach = norm.ppf(0.975) * math.sqrt(variance)
    assert (found["low"], found["high"]) == pytest.approx((value - reach, value + reach), abs=1e-9)
    if variance > 1e-12:
        assert found["p"] == pytest.approx(
            2 * norm.cdf(-abs(value) / math.sqrt(variance)), abs=1e-9
        )


@pytest.mark.parametrize("seed", range(5))  # p from 0.01 to 0.98
@pytest.mark.parametrize("n_values", [0, 2])
def test_p_is_about_that_of_swapping_models_row_by_row(seed, n_values):
    """600 rows, 2,000 swaps: three Monte-Carlo errors and a hundredth, as delong is a limit."""
    target, score, other = draw_models(600, seed, 1.05, 1.0, n_values)
    p, n = permutation_p(target, score, other, 2000, seed=0), 2000
    found = delong(target, score, other)["p"]
    assert abs(found - p) < 3 * math.sqrt(p * (1 - p) / n) + 0.01


@pytest.mark.simulation
def test_of_equal_models_it_finds_as_many_different_as_it_says(at_size):
    """500 (10,000) pairs of equally good models of 150 rows; p is of each size alike."""
    n = at_size(500, 10_000)
    p = np.array([delong(*draw_models(150, seed))["p"] for seed in range(n)])
    for size in (0.05, 0.2, 0.5):
        low, high = binom.interval(0.998, n, size)
        assert low <= (p < size).sum() <= high


@pytest.mark.simulation
def test_intervals_cover_the_difference(at_size):
    """That of scores 1.5 and 0.5 apart, of variance 2 each."""
    n, truth = at_size(400, 10_000), norm.cdf(1.5 / 2) - norm.cdf(0.5 / 2)
    found = [delong(*draw_models(200, seed, 1.5, 0.5)) for seed in range(n)]
    low, high = binom.interval(0.998, n, 0.95)
    assert low <= sum(f["low"] <= truth <= f["high"] for f in found) <= high
    wide = delong(*draw_models(200, 0, 1.5, 0.5), confidence=0.99)
    ratio = norm.ppf(0.995) / norm.ppf(0.975)
    assert (wide["high"] - wide["low"]) / (found[0]["high"] - found[0]["low"]) == pytest.approx(
        ratio
    )


@pytest.mark.parametrize("change", [lambda s: s, np.exp, lambda s: 3 * s - 7], ids=range(3))
def test_scores_in_the_same_order_differ_in_nothing(change):
    target, score, _ = draw_models(50, 0)
    assert delong(target, score, change(score)) == NOTHING


def test_exchanged_models_differ_the_other_way():
    target, score, other = draw_models(80, 1)
    one, two = delong(target, score, other), delong(target, other, score)
    assert (one["value"], one["low"], one["high"], one["p"]) == (
        -two["value"],
        -two["high"],
        -two["low"],
        two["p"],
    )


@pytest.mark.parametrize(
    ("target", "score"),
    [
        ([], []),
        ([1, 0, 0], [0.9, 0.2, 0.1]),
        ([1, 1, 1], [0.1, 0.2, 0.3]),
        ([1, 1, 0, 0], [NAN] * 4),
    ],
    ids=["no rows", "one positive", "no negative", "NaN"],
)
def test_with_fewer_than_two_rows_of_a_kind_all_is_undefined(target, score):
    found = delong(np.array(target, bool), np.array(score), np.linspace(0, 1, len(score)))
    assert all(map(math.isnan, found.values()))


def test_a_difference_without_variance_has_no_interval():
    """Always right against always wrong."""
    target = np.array([False, False, True, True])
    found = delong(target, target * 1.0, ~target * 1.0)
    assert found["value"] == 1
    assert all(map(math.isnan, (found["low"], found["high"], found["p"])))


def test_constant_scores_are_a_coin():
    target, score, _ = draw_models(50, 0)
    assert delong(target, np.zeros(50), np.ones(50)) == NOTHING
    found = delong(target, score, np.zeros(50))
    assert found["value"] == pytest.approx(roc_auc_score(target, score) - 0.5)


def test_single_precision_scores_are_not_changed():
    target, score, other = (x.astype(t) for x, t in zip(draw_models(60, 2), "?ff", strict=True))
    before = score.copy()
    found = delong(target, score, other)
    assert found == delong(target, score.astype(float), other.astype(float))
    np.testing.assert_array_equal(score, before)
    assert set(map(type, found.values())) == {float}


@pytest.mark.parametrize("n_this", range(7))
@pytest.mark.parametrize("n_other", range(7))
def test_mcnemar_is_the_share_of_coin_throws_no_likelier(n_this, n_other):
    right = np.array([True] * n_this + [False] * n_other + [True, False] * 3)
    other = np.array([False] * n_this + [True] * n_other + [True, False] * 3)
    found = mcnemar(right, other)
    assert (found["only_this_right"], found["only_other_right"]) == (n_this, n_other)
    n = n_this + n_other
    throws = [math.comb(n, k) for k in range(n + 1)]
    wanted = sum(t for t in throws if t <= throws[n_this]) / 2**n
    assert found["p"] == pytest.approx(wanted)


def test_mcnemar_by_hand():
    """One of six throws or a more extreme one, at both ends: 14/64."""
    right, other = np.array([1, 0, 0, 0, 0, 0, 1], bool), np.array([0, 1, 1, 1, 1, 1, 1], bool)
    assert tuple(mcnemar(right, other).values()) == (1, 5, 14 / 64)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_models_alike_in_every_row_do_not_differ(n):
    for right in itertools.islice(itertools.product([True, False], repeat=n), 8):
        right = np.array(right, bool)
        assert tuple(mcnemar(right, right).values()) == (0, 0, 1.0)
