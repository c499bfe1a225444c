"""The optimism of the best of many: closed forms, and simulations in which the truth is known."""

import numpy as np
import pytest

from src.evaluation.bootstrap import resample_weights
from src.selection.optimism import N_FOLDS, N_REPEATS, folds_of, lead_by_chance, optimism_of


def assessed(rows, rng, n_resamples=100):
    """`optimism_of` of candidates whose metric is the mean of their column of `rows` [N, K]."""
    held_out = folds_of(np.arange(len(rows)), rng.random(len(rows)) < 0.2, rng).astype(float)
    inside = (1 - held_out) @ rows / (1 - held_out).sum(1, keepdims=True)
    outside = held_out @ rows / held_out.sum(1, keepdims=True)
    values = rows.mean(axis=0)
    weights = resample_weights(len(rows), n_resamples, rng)
    return optimism_of(values, inside, outside, weights @ rows[:, values.argmax()] / len(rows))


def test_the_folds_hold_every_cluster_out_once_in_each_repeat_and_spread_the_positive_ones():
    clusters, rng = np.repeat(np.arange(40), 3), np.random.default_rng(0)
    target = clusters < 12
    held_out = folds_of(clusters, target, rng)
    assert held_out.shape == (N_REPEATS * N_FOLDS, 40)
    assert (held_out.reshape(N_REPEATS, N_FOLDS, 40).sum(axis=1) == 1).all()
    assert (held_out[:, :12].sum(axis=1) == 12 / N_FOLDS).all()


def test_a_single_candidate_and_a_clear_winner_have_no_optimism():
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 0.3, (300, 1))
    assert assessed(rows, rng).optimism == 0
    many = np.hstack([rows + 5, rng.normal(0, 0.3, (300, 30))])
    found = assessed(many, rng)
    assert (found.winner, found.optimism) == (0, 0)
    assert found.corrected == found.naive == many[:, 0].mean()
    assert found.half_width == pytest.approx(1.96 * many[:, 0].std() / 300**0.5, rel=0.15)


def test_undefined_candidates_never_win_and_lower_may_be_better():
    values = np.array([np.nan, 0.2, 0.1, 0.4])
    inside = np.array([[np.nan, 0.2, 0.1, 0.4], [np.nan, 0.15, 0.2, 0.4]])
    outside = np.array([[0.0, 0.3, 0.1, 0.2], [0.0, 0.3, 0.05, 0.2]])
    found = optimism_of(values, inside, outside, np.array([0.1, 0.12]), higher_is_better=False)
    assert (found.winner, found.n_candidates, found.naive) == (2, 3, 0.1)
    assert found.optimism == pytest.approx((0 + (0.05 - 0.3)) / 2)  # looks lower than it is
    assert found.corrected == pytest.approx(0.225)
    # a split in which nothing could be chosen tells nothing
    values, outside = np.array([0.55, 0.9, 0.95]), np.array([[0.55, 0.9, 0.95]])
    nothing = np.full((1, 3), np.nan)
    assert np.isnan(optimism_of(values, nothing, outside, values).optimism)
    both = np.vstack([nothing, values]), np.vstack([outside, outside])
    assert optimism_of(values, *both, values).optimism == 0


def drawn(rng, n_rows, n_runs, n_epochs, spread):
    """(rows [N, K], truths [K]) of epochs of runs: errors shared by all, and within a run."""
    shape = n_rows, n_runs, n_epochs
    errors = np.sqrt(0.5) * rng.normal(size=(n_rows, 1, 1))
    errors = errors + np.sqrt(0.2) * rng.normal(size=(n_rows, n_runs, 1))
    errors = errors + np.sqrt(0.3) * rng.normal(size=shape)
    truths = spread * 0.35 / np.sqrt(n_rows) * rng.normal(size=n_runs * n_epochs)
    return truths + 0.35 * errors.reshape(n_rows, -1), truths


@pytest.mark.simulation
def test_the_corrected_estimate_is_right_on_average_and_its_interval_covers(at_size):
    """Where all are alike, or nearly: the naive optimism is 3 points or so, of σ = 1.75."""
    rng = np.random.default_rng(1)
    for spread in (0.0, 0.3):
        naive, corrected, covered = [], [], []
        for _ in range(at_size(25, 1000)):
            rows, truths = drawn(rng, at_size(300, 400), 40, at_size(2, 6), spread)
            found = assessed(rows, rng)
            truth = truths[found.winner]
            naive.append(found.naive - truth)
            corrected.append(found.corrected - truth)
            covered.append(found.low <= truth <= found.high)
        told = f"spread {spread}: {np.mean(naive):.4f} {np.mean(corrected):.4f} {np.mean(covered)}"
        print(told)
        assert np.mean(naive) >= at_size(0.025, 0.03), told
        assert abs(np.mean(corrected)) <= at_size(0.012, 0.005), told
        assert at_size(0.8, 0.93) <= np.mean(covered) <= at_size(1, 0.97), told


@pytest.mark.simulation
def test_a_winner_by_chance_is_told_apart_at_most_as_often_as_the_level_says(at_size):
    """Whatever the number of epochs: 30 of one run against one of another, 20 runs of one."""
    rng, n = np.random.default_rng(2), at_size(60, 1000)
    for sizes in ((30, 1), (5, 5), (1,) * 20):
        run, n_wrong = np.repeat(np.arange(len(sizes)), sizes), 0
        for _ in range(n):
            rows = rng.normal(size=(200, sum(sizes)))
            weights = np.vstack([np.ones(200), resample_weights(200, 200, rng)]) / 200
            values = (weights @ rows).T
            is_own = run == run[values[:, 0].argmax()]
            other = max(values[~is_own], key=lambda row: row[0])
            lead = values[is_own, 0].max() - other[0]
            n_wrong += lead > lead_by_chance(values[is_own], other)
        assert n_wrong / n <= at_size(0.12, 0.065), (sizes, n_wrong / n)


def test_more_epochs_lead_further_by_chance_and_undefined_resamples_are_passed_over():
    rng = np.random.default_rng(0)
    own, other = rng.normal(size=(30, 4001)), rng.normal(size=4001)
    own[:, 0] = other[0] = 0
    one, many = lead_by_chance(own[:1], other), lead_by_chance(own, other)
    assert one == pytest.approx(1.96 * 2**0.5, rel=0.05)
    assert many > 1.3 * one
    own[0, 1:] = np.nan
    assert np.isfinite(lead_by_chance(own, other))
    assert np.isnan(lead_by_chance(own[:1], other))
