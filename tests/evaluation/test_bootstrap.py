"""Intervals by whole units: weighted AUROC, the draws, and that the intervals cover the truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, norm
from sklearn.metrics import roc_auc_score

from src.evaluation.bootstrap import (
    auroc_of_draws,
    gap_interval,
    least_spread,
    pair_changes,
    percentile_interval,
    ratios,
    unit_draws,
)

NAN = float("nan")


@settings(max_examples=150, derandomize=True, database=None)
@given(st.data())
def test_auroc_of_each_draw_is_that_of_scikit_learn(data):
    """Of few scores, so with ties; rows of weight 0; NaN where a kind of row has no weight."""
    n_rows, n_draws = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    target = rng.random(n_rows) < data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    score = rng.integers(data.draw(st.integers(1, 6)), size=n_rows) / 7
    draws = rng.integers(data.draw(st.integers(1, 4)), size=(n_draws, n_rows)).astype(np.float32)
    before = target.copy(), score.copy(), draws.copy()
    found = auroc_of_draws(target, score, draws)
    wanted = [
        roc_auc_score(target, score, sample_weight=weights)
        if (weights @ target) and (weights @ ~target)
        else NAN
        for weights in draws.astype(float)
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    for mine, other in zip((target, score, draws), before, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    ("score", "auroc"),
    [
        ([0.1, 0.2, 0.8, 0.9], 1),
        ([0.9, 0.8, 0.2, 0.1], 0),
        ([0.5] * 4, 0.5),
        ([0.1, 0.5, 0.5, 0.9], 3.5 / 4),
        ([0.1, 0.8, 0.5, 0.9], 3 / 4),
        ([0, 1e-300, 2e-300, 1], 1),
    ],
)
def test_auroc_is_the_share_of_pairs_in_order(score, auroc):
    target = np.array([False, False, True, True])
    assert auroc_of_draws(target, np.array(score), np.ones((1, 4))) == [auroc]


def test_a_draw_is_the_rows_as_often_as_it_says():
    rng = np.random.default_rng(0)
    target, score = rng.random(40) < 0.4, rng.integers(15, size=40) / 15
    draws = unit_draws(40, 20, rng)
    rows = [np.repeat(np.arange(40), counts.astype(int)) for counts in draws]
    wanted = [roc_auc_score(target[drawn], score[drawn]) for drawn in rows]
    np.testing.assert_allclose(auroc_of_draws(target, score, draws), wanted, rtol=1e-12)


def test_large_weights_are_summed_exactly():
    """2^24 + 1 is no float32."""
    target, score = np.array([True, True, False]), np.array([0.9, 0.1, 0.5])
    draws = np.array([[2**24, 1, 1], [2**24, 2**24, 3]], np.float32)
    found = auroc_of_draws(target, score, draws)
    np.testing.assert_allclose(found, [2**24 / (2**24 + 1), 0.5], rtol=1e-12)


def test_every_draw_takes_as_many_units_as_there_are():
    draws = unit_draws(7, 500, np.random.default_rng(0))
    assert (draws.shape, draws.dtype) == ((500, 7), np.float32)
    assert (draws.sum(axis=1) == 7).all()
    assert (draws == draws.round()).all()
    assert draws.min() == 0


def test_units_are_drawn_alike_and_with_replacement():
    """Multinomial counts: of mean 1, variance 1 - 1/n and covariance -1/n."""
    n, n_draws = 5, 20_000
    draws = unit_draws(n, n_draws, np.random.default_rng(1))
    assert chisquare(draws.sum(axis=0)).pvalue > 1e-3
    covariance = np.eye(n) - 1 / n
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05)
    none = [math.comb(n, k) * 0.2**k * 0.8 ** (n - k) * n_draws for k in range(n + 1)]
    found = np.bincount(draws[:, 0].astype(int), minlength=n + 1)
    assert chisquare(found, none).pvalue > 1e-3


def test_a_seed_gives_its_draws():
    one, again, other = (unit_draws(9, 4, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_single_unit_is_in_every_draw():
    np.testing.assert_array_equal(unit_draws(1, 3, np.random.default_rng(0)), np.ones((3, 1)))


def test_ratios_of_nothing_are_undefined():
    found = ratios(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found, [NAN, 0.5, 1])


@pytest.mark.parametrize(("level", "low", "high"), [(0.95, 25, 975), (0.5, 250, 750), (1, 0, 1000)])
def test_the_interval_is_the_middle_of_the_draws(level, low, high):
    values = np.random.default_rng(0).permutation(np.arange(1001.0))
    assert percentile_interval(values, level) == pytest.approx((low, high))
    assert percentile_interval(np.append(values, [NAN] * 500), level) == pytest.approx((low, high))


def test_the_interval_is_of_95_percent_unless_said():
    values = np.arange(1001.0)
    assert percentile_interval(values) == percentile_interval(values, 0.95)


@pytest.mark.parametrize("values", [[], [NAN], [NAN] * 9], ids=len)
def test_the_interval_of_undefined_draws_is_undefined(values):
    assert all(map(math.isnan, percentile_interval(np.array(values))))


def test_the_interval_of_one_defined_draw_is_it():
    assert percentile_interval(np.array([NAN, 0.25, NAN])) == (0.25, 0.25)


N_PATIENTS = 300
TRUTH = {
    "sensitivity": norm.cdf(0.5),
    "specificity": norm.cdf(1),
    "auroc": norm.cdf(1.5 / math.sqrt(2)),
}


def draw_images(rng):
    """(units, target, score) of some 1,480 images of 300 patients, 1 to 20 each, 5 on average.

    Every fifth image is malignant and scores 1.5 higher; of the variance of 1 the patient makes
    0.6. A score of 1 or more is positive. `TRUTH` is of this.
    """
    units = np.repeat(np.arange(N_PATIENTS), np.minimum(rng.geometric(0.2, N_PATIENTS), 20))
    target = rng.random(len(units)) < 0.2
    effects = rng.normal(0, math.sqrt(0.6), N_PATIENTS)
    return units, target, 1.5 * target + effects[units] + rng.normal(0, math.sqrt(0.4), len(units))


def auroc_by_patients(units, target, score, draws):
    """`auroc_of_draws` of `draws[:, units]`, sooner: the pairs won are first counted by patient."""
    pairs = (units[target][:, None] * N_PATIENTS + units[~target]).ravel()
    won = (score[target][:, None] > score[~target]).ravel()
    wins = np.bincount(pairs[won], minlength=N_PATIENTS**2).reshape(N_PATIENTS, N_PATIENTS)
    n_positive, n_negative = (
        draws @ np.bincount(units[x], minlength=N_PATIENTS) for x in (target, ~target)
    )
    return ((draws @ wins.astype(np.float32)) * draws).sum(axis=1) / (n_positive * n_negative)


def test_pairs_counted_by_patient_give_the_same_auroc():
    rng = np.random.default_rng(0)
    (units, target, score), draws = draw_images(rng), unit_draws(N_PATIENTS, 20, rng)
    found = auroc_by_patients(units, target, score, draws)
    np.testing.assert_allclose(found, auroc_of_draws(target, score, draws[:, units]), rtol=1e-5)


def rates_of_draws(units, target, score, draws):
    """Sensitivity and specificity of the draws of `units`."""

    def share(of, hit):
        parts, wholes = (
            draws @ np.bincount(units[rows], minlength=draws.shape[1]) for rows in (of & hit, of)
        )
        return ratios(parts, wholes)

    return {"sensitivity": share(target, score >= 1), "specificity": share(~target, score < 1)}


def covers(figures) -> dict[str, bool]:
    intervals = {name: percentile_interval(values) for name, values in figures.items()}
    return {name: low <= TRUTH[name] <= high for name, (low, high) in intervals.items()}


@pytest.mark.simulation
def test_intervals_by_patients_cover_the_truth(at_size):
    """In 600 (5,000) data sets; 1,000 draws, which twenty data sets share.

    Of fewer patients the intervals cover less: 0.93 to 0.94 with 150, 0.92 to 0.93 with 100.
    """
    rng, covered = np.random.default_rng(0), []
    for _ in range(at_size(30, 250)):
        draws = unit_draws(N_PATIENTS, 1000, rng)
        for _ in range(20):
            images = draw_images(rng)
            auroc = auroc_by_patients(*images, draws)
            covered.append(covers({**rates_of_draws(*images, draws), "auroc": auroc}))
    shares = {name: np.mean([each[name] for each in covered]) for name in TRUTH}
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares


@pytest.mark.simulation
def test_intervals_by_images_cover_it_less(at_size):
    """In 100 (500) data sets; 400 draws each."""
    rng, covered = np.random.default_rng(0), []
    for _ in range(at_size(100, 500)):
        _, target, score = draw_images(rng)
        draws = unit_draws(len(score), 400, rng)
        auroc = auroc_of_draws(target, score, draws)
        rates = rates_of_draws(np.arange(len(score)), target, score, draws)
        covered.append(covers({**rates, "auroc": auroc}))
    shares = {name: np.mean([each[name] for each in covered]) for name in TRUTH}
    assert all(share < 0.93 for share in shares.values()), shares


def judged_gap(found, draws, n_units):
    """The interval of the gap of rates [groups] with draws [groups, n_draws]."""
    changes = pair_changes(found, draws, least_spread(found, np.asarray(n_units)))
    return gap_interval(float(np.ptp(found)), changes)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("sizes", "rates"),
    [
        ([17, 58, 46, 16], [0.72] * 4),
        ([17, 58, 46, 16], [0.88, 0.62, 0.74, 0.87]),
        ([17, 58, 46, 16], [0.8, 0.7, 0.75, 0.6]),
        ([10, 100], [0.9] * 2),
        ([10, 100], [0.95] * 2),
        ([12, 60], [0.95, 0.7]),
    ],
    ids=["no gap", "as published", "wide", "few", "few of the easy", "few against many"],
)
def test_interval_of_a_gap_covers_the_true_one(sizes, rates, at_size):
    rng, true, sizes = np.random.default_rng(0), max(rates) - min(rates), np.array(sizes)
    covered, n_sets = 0, at_size(400, 4000)
    for _ in range(n_sets):
        found = rng.binomial(sizes, rates) / sizes
        draws = rng.binomial(sizes[:, None], found[:, None], size=(len(sizes), 400))
        low, high = judged_gap(found, draws / sizes[:, None], sizes)
        assert low <= np.ptp(found) <= high
        covered += low <= true <= high
    assert covered / n_sets >= 0.92


def test_percentiles_of_a_gap_never_hold_0():
    """Why `gap_interval` is not made of them: groups of the same true rate."""
    rng, sizes = np.random.default_rng(0), np.array([17, 58, 46, 16])
    found = rng.binomial(sizes, 0.72) / sizes
    draws = rng.binomial(sizes[:, None], found[:, None], size=(4, 2000)) / sizes[:, None]
    assert percentile_interval(np.ptp(draws, axis=0))[0] > 0
    assert judged_gap(found, draws, sizes)[0] == 0


def test_gap_of_two_groups_reaches_as_far_as_their_difference_does():
    values, draws = np.array([0.8, 0.5]), np.array([[0.7, 0.8, 0.9, 0.8], [0.5, 0.4, 0.5, 0.6]])
    changes = pair_changes(values, draws, np.zeros(2))
    assert changes == pytest.approx([0.1] * 4)
    assert gap_interval(0.3, changes) == pytest.approx((0.2, 0.4))
    undefined = pair_changes(values, draws + np.array([[NAN, 0, 0, 0]]), np.zeros(2))
    assert np.isnan(undefined).tolist() == [True, False, False, False]
    assert gap_interval(0.3, undefined) == pytest.approx((0.2, 0.4))
    assert all(map(math.isnan, gap_interval(0.3, np.full(4, NAN))))
    assert all(map(math.isnan, gap_interval(NAN, changes)))


def test_groups_whose_draws_cannot_move_have_a_gap_that_may_be_chance():
    """One patient each, all of whose melanomas were found or half of them."""
    found, draws = np.array([1.0, 0.5]), np.repeat([[1.0], [0.5]], 1000, axis=1)
    low, high = judged_gap(found, draws, [1, 1])
    assert low == 0 and high > 0.9
    low, _ = judged_gap(found, draws, [1000, 1000])
    assert low > 0.4


@pytest.mark.parametrize(("rate", "n"), [(0.0, 5), (1.0, 5), (0.3, 10), (0.5, 1)])
def test_least_spread_is_that_of_one_hit_and_one_miss_more(rate, n):
    outcomes = np.array([*np.repeat([1, 0], [round(rate * n), n - round(rate * n)]), 1, 0])
    if (rate * n) % 1 == 0:
        found = least_spread(np.array([rate]), np.array([n]))
        assert found == pytest.approx(outcomes.std() / np.sqrt(n + 2))
    assert 0 < least_spread(np.array([rate]), np.array([n]))[0] <= 0.5
