"""Samplers: an epoch's order is a pure function of (seed, epoch), with the counts it promises."""

import numpy as np
import pytest
from scipy.stats import chisquare

from src.core.errors import UserError
from src.datasets.sampler import SAMPLERS, EpochBatches

LABELS = np.repeat([0, 1, 2], [70, 20, 10])[np.random.default_rng(0).permutation(100)]


def order(name, seed=0, labels=LABELS):
    return SAMPLERS.build(name, labels=labels)(np.random.default_rng(seed))


def batches(name, batch_size=8, seed=0, epoch=0, labels=LABELS):
    made = EpochBatches(SAMPLERS.build(name, labels=labels), batch_size, seed)
    made.epoch = epoch
    return list(made)


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_epoch_is_a_pure_function_of_seed_and_epoch(name):
    np.random.seed(1)  # noqa: NPY002
    first = batches(name, seed=5, epoch=3)
    np.random.seed(2)  # noqa: NPY002
    assert batches(name, seed=5, epoch=3) == first
    rows = [row for batch in first for row, _ in batch]
    for other in ({"seed": 5, "epoch": 4}, {"seed": 6, "epoch": 3}, {"seed": 3, "epoch": 5}):
        assert [row for batch in batches(name, **other) for row, _ in batch] != rows


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_iterating_again_gives_the_same_epoch(name):
    made = EpochBatches(SAMPLERS.build(name, labels=LABELS), 8, 0)
    first = list(made)
    assert list(made) == first
    made.epoch = 1
    assert list(made) != first


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_rows_are_rows_of_the_table(name):
    rows = order(name)
    assert rows.min() >= 0
    assert rows.max() < len(LABELS)
    assert np.issubdtype(rows.dtype, np.integer)


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_every_class_is_drawn(name):
    assert set(LABELS[order(name)]) == {0, 1, 2}


def test_random_takes_every_row_once():
    assert sorted(order("random")) == list(range(100))


def test_oversample_draws_every_class_equally_often():
    drawn = np.concatenate([order("oversample", seed) for seed in range(60)])
    assert len(order("oversample")) == len(LABELS)
    # Under the claim p is uniform; drawing rows alike would give 70 : 20 : 10 and p = 0.
    assert chisquare(np.bincount(LABELS[drawn])).pvalue > 0.001
    majority = np.bincount(drawn, minlength=100)[LABELS == 0]
    assert chisquare(majority).pvalue > 0.001


@pytest.mark.parametrize(
    ("ratio", "counts"),
    [(1.0, [10, 10, 10]), (1.5, [15, 15, 10]), (3.0, [30, 20, 10]), (0.5, [5, 5, 10])],
)
def test_undersample_keeps_the_rarest_class_and_its_ratio_of_others(ratio, counts):
    rows = order(f"undersample(ratio={ratio})")
    assert np.bincount(LABELS[rows]).tolist() == counts
    assert len(set(rows.tolist())) == len(rows)
    assert set(np.flatnonzero(LABELS == 2)) <= set(rows.tolist())
    assert not (np.diff(LABELS[rows]) >= 0).all()


def test_undersample_takes_other_rows_every_epoch():
    drawn = [
        row for epoch in range(60) for b in batches("undersample", epoch=epoch) for row, _ in b
    ]
    assert set(drawn) == set(range(100))


@pytest.mark.parametrize("ratio", [0.0, -1.0])
def test_undersample_refuses_a_ratio_that_keeps_nothing(ratio):
    with pytest.raises(UserError, match="expected more than 0"):
        order(f"undersample(ratio={ratio})")


@pytest.mark.parametrize("name", SAMPLERS.names())
@pytest.mark.parametrize("batch_size", [2, 3, 8, 9, 33, 99, 100, 101, 1000])
def test_length_is_the_number_of_batches_and_none_is_a_single_row(name, batch_size):
    made = EpochBatches(SAMPLERS.build(name, labels=LABELS), batch_size, 0)
    found = list(made)
    assert len(made) == len(found)
    assert all(2 <= len(batch) <= batch_size for batch in found)
    n_rows, n_drawn = len(order(name)), sum(map(len, found))
    assert n_drawn == n_rows - (n_rows % batch_size == 1)


def test_batches_of_one_are_given_when_asked_for():
    assert [len(batch) for batch in batches("random", batch_size=1)] == [1] * 100


def test_a_single_row_is_a_batch_where_it_is_the_only():
    (batch,) = batches("random", labels=np.array([1]))
    assert [row for row, _ in batch] == [0]


def test_every_draw_has_a_seed_of_its_own():
    """Also a row that is drawn twice, and the same row in the next epoch."""
    draws = [d for e in range(5) for b in batches("oversample", epoch=e) for d in b]
    seeds = [seed for _, seed in draws]
    assert len(set(seeds)) == len(seeds) == 500
    assert len({row for row, _ in draws}) < 500
    assert all(isinstance(v, int) for v in draws[0])
