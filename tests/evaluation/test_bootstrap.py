"""Intervals by whole clusters: resamples, and that the intervals cover the truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, norm
from sklearn.metrics import roc_auc_score

from src.evaluation.bootstrap import (
    gap_interval,
    least_spread,
    pair_changes,
    percentile_interval,
    resample_weights,
)
from src.evaluation.metrics import auroc
from src.evaluation.weighted import Rows, Weighted, ratios
from tests.evaluation.conftest import make_table

NAN = float("nan")


def auroc_of(target, score, weights):
    """AUROC of rows weighted by `weights` [resamples, N]."""
    rows = Rows(make_table(target, scores=score), np.arange(len(target)))
    return auroc(Weighted(rows, weights))


@settings(max_examples=150, derandomize=True, database=None)
@given(st.data())
def test_auroc_of_each_resample_is_that_of_scikit_learn(data):
    """Of few scores, so with ties; rows of weight 0; NaN where a kind of row has no weight."""
    n_rows, n_resamples = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    target = rng.random(n_rows) < data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    score = rng.integers(data.draw(st.integers(1, 6)), size=n_rows) / 7
    weights = rng.integers(data.draw(st.integers(1, 4)), size=(n_resamples, n_rows)).astype(
        np.float32
    )
    before = target.copy(), score.copy(), weights.copy()
    found = auroc_of(target, score, weights)
    wanted = [
        roc_auc_score(target, score, sample_weight=weights)
        if (weights @ target) and (weights @ ~target)
        else NAN
        for weights in weights.astype(float)
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    for mine, other in zip((target, score, weights), before, strict=True):
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
    assert auroc_of(target, np.array(score), np.ones((1, 4))) == [auroc]


def test_a_resample_is_the_rows_as_often_as_it_says():
    rng = np.random.default_rng(0)
    target, score = rng.random(40) < 0.4, rng.integers(15, size=40) / 15
    weights = resample_weights(40, 20, rng)
    rows = [np.repeat(np.arange(40), counts.astype(int)) for counts in weights]
    wanted = [roc_auc_score(target[drawn], score[drawn]) for drawn in rows]
    np.testing.assert_allclose(auroc_of(target, score, weights), wanted, rtol=1e-12)


def test_large_weights_are_summed_exactly():
    """2^24 + 1 is no float32."""
    target, score = np.array([True, True, False]), np.array([0.9, 0.1, 0.5])
    weights = np.array([[2**24, 1, 1], [2**24, 2**24, 3]], np.float32)
    found = auroc_of(target, score, weights)
    np.testing.assert_allclose(found, [2**24 / (2**24 + 1), 0.5], rtol=1e-12)


def test_every_resample_takes_as_many_clusters_as_there_are():
    weights = resample_weights(7, 500, np.random.default_rng(0))
    assert (weights.shape, weights.dtype) == ((500, 7), np.float32)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == weights.round()).all()
    assert weights.min() == 0


def test_clusters_are_drawn_alike_and_with_replacement():
    """Multinomial counts: of mean 1, variance 1 - 1/n and covariance -1/n."""
    n, n_resamples = 5, 20_000
    weights = resample_weights(n, n_resamples, np.random.default_rng(1))
    assert chisquare(weights.sum(axis=0)).pvalue > 1e-3
    covariance = np.eye(n) - 1 / n
    np.testing.assert_allclose(np.cov(weights.T), covariance, atol=0.05)
    none = [math.comb(n, k) * 0.2**k * 0.8 ** (n - k) * n_resamples for k in range(n + 1)]
    found = np.bincount(weights[:, 0].astype(int), minlength=n + 1)
    assert chisquare(found, none).pvalue > 1e-3


def test_a_seed_gives_its_resamples():
    one, again, other = (resample_weights(9, 4, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_single_cluster_is_in_every_resample():
    np.testing.assert_array_equal(resample_weights(1, 3, np.random.default_rng(0)), np.ones((3, 1)))


def test_ratios_of_nothing_are_undefined():
    found = ratios(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found, [NAN, 0.5, 1])


@pytest.mark.parametrize(
    ("confidence", "low", "high"), [(0.95, 25, 975), (0.5, 250, 750), (1, 0, 1000)]
)
def test_the_interval_is_the_middle_of_the_resamples(confidence, low, high):
    values = np.random.default_rng(0).permutation(np.arange(1001.0))
    assert percentile_interval(values, confidence) == pytest.approx((low, high))
    assert percentile_interval(np.append(values, [NAN] * 500), confidence) == pytest.approx(
        (low, high)
    )


def test_the_interval_is_of_95_percent_unless_said():
    values = np.arange(1001.0)
    assert percentile_interval(values) == percentile_interval(values, 0.95)


@pytest.mark.parametrize("values", [[], [NAN], [NAN] * 9], ids=len)
def test_the_interval_of_undefined_resamples_is_undefined(values):
    assert all(map(math.isnan, percentile_interval(np.array(values))))


def test_the_interval_of_one_defined_resample_is_it():
    assert percentile_interval(np.array([NAN, 0.25, NAN])) == (0.25, 0.25)


N_PATIENTS = 300
TRUTH = {
    "sensitivity": norm.cdf(0.5),
    "specificity": norm.cdf(1),
    "auroc": norm.cdf(1.5 / math.sqrt(2)),
}


def draw_images(rng):
    """(clusters, target, score) of some 1,480 images of 300 patients, 1 to 20 each, 5 on average.

    Every fifth image is malignant and scores 1.5 higher; of the variance of 1 the patient makes
    0.6. A score of 1 or more is positive. `TRUTH` is of this.
    """
    clusters = np.repeat(np.arange(N_PATIENTS), np.minimum(rng.geometric(0.2, N_PATIENTS), 20))
    target = rng.random(len(clusters)) < 0.2
    effects = rng.normal(0, math.sqrt(0.6), N_PATIENTS)
    return (
        clusters,
        target,
        1.5 * target + effects[clusters] + rng.normal(0, math.sqrt(0.4), len(clusters)),
    )


def auroc_by_patients(clusters, target, score, weights):
    """`auroc_of` of `weights[:, clusters]`, sooner: the pairs won are first counted by patient."""
    pairs = (clusters[target][:, None] * N_PATIENTS + clusters[~target]).ravel()
    won = (score[target][:, None] > score[~target]).ravel()
    wins = np.bincount(pairs[won], minlength=N_PATIENTS**2).reshape(N_PATIENTS, N_PATIENTS)
    n_positive, n_negative = (
        weights @ np.bincount(clusters[x], minlength=N_PATIENTS) for x in (target, ~target)
    )
    return ((weights @ wins.astype(np.float32)) * weights).sum(axis=1) / (n_positive * n_negative)


def test_pairs_counted_by_patient_give_the_same_auroc():
    rng = np.random.default_rng(0)
    (clusters, target, score), weights = draw_images(rng), resample_weights(N_PATIENTS, 20, rng)
    found = auroc_by_patients(clusters, target, score, weights)
    np.testing.assert_allclose(found, auroc_of(target, score, weights[:, clusters]), rtol=1e-5)


def rates_of(clusters, target, score, weights):
    """Sensitivity and specificity of the draws of `clusters`."""

    def share(of, hit):
        parts, wholes = (
            weights @ np.bincount(clusters[rows], minlength=weights.shape[1])
            for rows in (of & hit, of)
        )
        return ratios(parts, wholes)

    return {"sensitivity": share(target, score >= 1), "specificity": share(~target, score < 1)}


def covers(figures) -> dict[str, bool]:
    intervals = {name: percentile_interval(values) for name, values in figures.items()}
    return {name: low <= TRUTH[name] <= high for name, (low, high) in intervals.items()}


def share_covered(n_rounds: int) -> dict[str, float]:
    """Of 20 data sets a round, which share 1,000 resamples."""
    rng, covered = np.random.default_rng(0), []
    for _ in range(n_rounds):
        weights = resample_weights(N_PATIENTS, 1000, rng)
        for _ in range(20):
            images = draw_images(rng)
            area = auroc_by_patients(*images, weights)
            covered.append(covers({**rates_of(*images, weights), "auroc": area}))
    return {name: np.mean([each[name] for each in covered]) for name in TRUTH}


@pytest.mark.simulation
def test_intervals_by_patients_cover_the_truth(at_size):
    """Of 100 rounds in 0.93 to 0.97, of fewer within three standard errors.

    Of fewer patients they cover less: 0.93 to 0.94 with 150, 0.92 to 0.93 with 100.
    """
    n_rounds = at_size(6, 100)
    shares = share_covered(n_rounds)
    reach = max(0.02, 3 * math.sqrt(0.95 * 0.05 / (20 * n_rounds)))
    assert all(abs(share - 0.95) <= reach for share in shares.values()), shares


@pytest.mark.simulation
def test_intervals_by_images_cover_it_less():
    """In 100 data sets; 200 resamples each."""
    rng, covered = np.random.default_rng(0), []
    for _ in range(100):
        _, target, score = draw_images(rng)
        weights = resample_weights(len(score), 200, rng)
        area = auroc_of(target, score, weights)
        rates = rates_of(np.arange(len(score)), target, score, weights)
        covered.append(covers({**rates, "auroc": area}))
    shares = {name: np.mean([each[name] for each in covered]) for name in TRUTH}
    assert all(share < 0.93 for share in shares.values()), shares


def interval_of_gap(found, weights, n_clusters):
    """The interval of the gap of rates [groups] with weights [groups, n_resamples]."""
    changes = pair_changes(found, weights, least_spread(found, np.asarray(n_clusters)))
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
    covered, n_sets = 0, at_size(200, 400)
    for _ in range(n_sets):
        found = rng.binomial(sizes, rates) / sizes
        weights = rng.binomial(sizes[:, None], found[:, None], size=(len(sizes), 400))
        low, high = interval_of_gap(found, weights / sizes[:, None], sizes)
        assert low <= np.ptp(found) <= high
        covered += low <= true <= high
    assert covered / n_sets >= 0.92


def test_percentiles_of_a_gap_never_hold_0():
    """Why `gap_interval` is not made of them: groups of the same true rate."""
    rng, sizes = np.random.default_rng(0), np.array([17, 58, 46, 16])
    found = rng.binomial(sizes, 0.72) / sizes
    weights = rng.binomial(sizes[:, None], found[:, None], size=(4, 2000)) / sizes[:, None]
    assert percentile_interval(np.ptp(weights, axis=0))[0] > 0
    assert interval_of_gap(found, weights, sizes)[0] == 0


def test_gap_of_two_groups_reaches_as_far_as_their_difference_does():
    values, weights = np.array([0.8, 0.5]), np.array([[0.7, 0.8, 0.9, 0.8], [0.5, 0.4, 0.5, 0.6]])
    changes = pair_changes(values, weights, np.zeros(2))
    assert changes == pytest.approx([0.1] * 4)
    assert gap_interval(0.3, changes) == pytest.approx((0.2, 0.4))
    undefined = pair_changes(values, weights + np.array([[NAN, 0, 0, 0]]), np.zeros(2))
    assert np.isnan(undefined).tolist() == [True, False, False, False]
    assert gap_interval(0.3, undefined) == pytest.approx((0.2, 0.4))
    assert all(map(math.isnan, gap_interval(0.3, np.full(4, NAN))))
    assert all(map(math.isnan, gap_interval(NAN, changes)))


def test_groups_whose_resamples_cannot_move_have_a_gap_that_may_be_chance():
    """One patient each, all of whose melanomas were found or half of them."""
    found, weights = np.array([1.0, 0.5]), np.repeat([[1.0], [0.5]], 1000, axis=1)
    low, high = interval_of_gap(found, weights, [1, 1])
    assert low == 0 and high > 0.9
    low, _ = interval_of_gap(found, weights, [1000, 1000])
    assert low > 0.4


@pytest.mark.parametrize(("rate", "n"), [(0.0, 5), (1.0, 5), (0.3, 10), (0.5, 1)])
def test_least_spread_is_that_of_one_hit_and_one_miss_more(rate, n):
    outcomes = np.array([*np.repeat([1, 0], [round(rate * n), n - round(rate * n)]), 1, 0])
    if (rate * n) % 1 == 0:
        found = least_spread(np.array([rate]), np.array([n]))
        assert found == pytest.approx(outcomes.std() / np.sqrt(n + 2))
    assert 0 < least_spread(np.array([rate]), np.array([n]))[0] <= 0.5
