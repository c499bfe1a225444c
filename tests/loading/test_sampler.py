"""Samplers: an epoch's order is a pure function of (seed, epoch), shared out over ranks alike."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare
from torchsampler import ImbalancedDatasetSampler

from src.core.errors import UserError
from src.loading.sampler import SAMPLERS, EpochBatches

MIXED = np.random.default_rng(0).permutation(100)
LABELS = np.repeat([0, 1, 2], [70, 20, 10])[MIXED]
GROUPS = np.concatenate([np.arange(70) % 4, np.arange(20) % 2 - 1, [3] * 10])[MIXED]
# Each class's share of the draws that a sampler promises; (class, group) occurs in 7 pairs.
SHARES = {
    "random": np.array([70, 20, 10]) / 100,
    "oversample": np.array([1, 1, 1]) / 3,
    "weighted": np.sqrt([70, 20, 10]) / np.sqrt([70, 20, 10]).sum(),
    "group_balanced": np.array([4, 2, 1]) / 7,
    "undersample": np.array([1, 1, 1]) / 3,
    "balanced_batch": np.array([1, 1, 1]) / 3,
}
EVERY_RANK_ALIKE = [name for name in SAMPLERS.names() if name != "balanced_batch"]


def build(name, labels=LABELS, groups=None, n_ranks=1):
    groups = GROUPS[: len(labels)] if groups is None else groups
    return SAMPLERS.build(name, labels=labels, groups=groups, n_ranks=n_ranks)


def order(name, seed=0, **data):
    return build(name, **data)(np.random.default_rng(seed))


def batches(name, batch_size=8, seed=0, epoch=0, rank=0, n_ranks=1, **data):
    made = EpochBatches(build(name, n_ranks=n_ranks, **data), batch_size, seed, rank, n_ranks)
    made.epoch = epoch
    return list(made)


def rows_of(found):
    return [row for batch in found for row, _ in batch]


def interleaved(ranks):
    """The draws of all ranks in turn; each rank has as many."""
    draws = [[draw for batch in found for draw in batch] for found in ranks]
    return [draw for turn in zip(*draws, strict=True) for draw in turn]


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_epoch_is_a_pure_function_of_seed_and_epoch(name):
    np.random.seed(1)  # noqa: NPY002
    first = batches(name, seed=5, epoch=3)
    np.random.seed(2)  # noqa: NPY002
    assert batches(name, seed=5, epoch=3) == first
    for other in ({"seed": 5, "epoch": 4}, {"seed": 6, "epoch": 3}, {"seed": 3, "epoch": 5}):
        assert rows_of(batches(name, **other)) != rows_of(first)


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_iterating_again_gives_the_same_epoch(name):
    made = EpochBatches(build(name), 8, 0)
    first = list(made)
    assert list(made) == first
    made.epoch = 1
    assert list(made) != first
    made.epoch = 0
    assert list(made) == first


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_rows_are_rows_of_the_table_and_every_class_is_drawn(name):
    labels, groups = LABELS.copy(), GROUPS.copy()
    rows = order(name, labels=labels, groups=groups)
    assert rows.min() >= 0
    assert rows.max() < len(LABELS)
    assert np.issubdtype(rows.dtype, np.integer)
    assert set(LABELS[rows]) == {0, 1, 2}
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(groups, GROUPS)


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_every_epoch_is_of_the_same_length(name):
    for n_ranks in (1, 3):
        assert len({len(order(name, seed, n_ranks=n_ranks)) for seed in range(8)}) == 1


@pytest.mark.parametrize("n_ranks", [2, 4])
@pytest.mark.parametrize("name", SAMPLERS.names())
def test_ranks_interleaved_are_the_order_of_one_process(name, n_ranks):
    """With their seeds, so that a draw is augmented alike on whatever rank it falls."""
    ranks = [batches(name, 1, 7, 2, rank, n_ranks) for rank in range(n_ranks)]
    one = EpochBatches(build(name, n_ranks=n_ranks), 1, 7)
    one.epoch = 2
    draws = [draw for batch in one for draw in batch]
    left_out = len(draws) % n_ranks
    assert interleaved(ranks) == draws[: len(draws) - left_out]


@pytest.mark.parametrize("name", EVERY_RANK_ALIKE)
def test_batches_of_all_ranks_are_the_large_batches_of_one_process(name):
    for n_ranks, batch_size in [(2, 8), (2, 7), (2, 50), (4, 3), (4, 9)]:
        ranks = [batches(name, batch_size, 1, 3, rank, n_ranks) for rank in range(n_ranks)]
        large = batches(name, n_ranks * batch_size, 1, 3)
        together = [interleaved([[batch] for batch in parts]) for parts in zip(*ranks, strict=True)]
        n_full = len(order(name)) // (n_ranks * batch_size)
        assert together[:n_full] == large[:n_full]
        assert len(large) - 1 <= n_full <= len(together) <= n_full + 1
        for last, whole in zip(together[n_full:], large[n_full:], strict=False):
            assert whole[: len(last)] == last
            assert len(whole) - len(last) < n_ranks  # those that do not go round


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_every_rank_has_as_many_batches_and_none_of_a_single_row(name):
    for case in itertools.product((1, 2, 8, 9, 33, 100, 1000), (1, 2, 3, 4, 7)):
        batch_size, n_ranks = case
        lengths = []
        n_rows = len(order(name, n_ranks=n_ranks)) // n_ranks
        for rank in range(n_ranks):
            made = EpochBatches(build(name, n_ranks=n_ranks), batch_size, 0, rank, n_ranks)
            found = list(map(len, made))
            assert len(made) == len(found), case
            assert all(min(2, batch_size) <= size <= batch_size for size in found), case
            assert set(found[:-1]) <= {batch_size}, case
            assert sum(found) == n_rows - (batch_size > 1 and n_rows % batch_size == 1), case
            lengths.append(found)
        assert lengths == [lengths[0]] * n_ranks, case


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_a_single_row_is_a_batch_where_it_is_the_only(name):
    (batch,) = batches(name, labels=np.array([1]))
    assert [row for row, _ in batch] == [0]


@pytest.mark.parametrize("name", EVERY_RANK_ALIKE)
def test_fewer_rows_than_processes_are_refused(name):
    labels = np.array([0, 1, 0, 1])
    assert [len(batches(name, 8, rank=rank, n_ranks=4, labels=labels)) for rank in range(4)] == (
        [1] * 4
    )
    with pytest.raises(UserError, match=r"4 training rows in an epoch: expected .* of 5 proc"):
        batches(name, 8, rank=4, n_ranks=5, labels=labels)


def test_every_draw_has_a_seed_of_its_own():
    """Also a row that is drawn twice, and the same row in the next epoch."""
    draws = [d for e in range(5) for b in batches("oversample", epoch=e) for d in b]
    seeds = [seed for _, seed in draws]
    assert len(set(seeds)) == len(seeds) == 500
    assert len({row for row, _ in draws}) < 500
    assert all(type(v) is int for v in draws[0])


def counts_by_rank(name, n_ranks, n_epochs=60):
    """Draws of each class over some epochs, [n_ranks, 3]."""
    return np.array(
        [
            sum(
                np.bincount(LABELS[rows_of(batches(name, 8, 0, epoch, rank, n_ranks))], minlength=3)
                for epoch in range(n_epochs)
            )
            for rank in range(n_ranks)
        ]
    )


@pytest.mark.parametrize("n_ranks", [1, 2, 4])
@pytest.mark.parametrize("name", SAMPLERS.names())
def test_classes_are_drawn_as_promised_on_every_rank(name, n_ranks):
    found = counts_by_rank(name, n_ranks)
    for counts in [*found, found.sum(axis=0)]:
        assert chisquare(counts, SHARES[name] * counts.sum()).pvalue > 1e-3
    for other, shares in SHARES.items():  # the same draws contradict every other promise
        if not np.allclose(shares, SHARES[name]):
            assert chisquare(found[0], shares * found[0].sum()).pvalue < 1e-6, other


@pytest.mark.parametrize("seed", range(3))
def test_random_takes_every_row_once(seed):
    assert sorted(order("random", seed)) == list(range(100))


def drawn_rows(name, n_epochs=400):
    return np.bincount(
        np.concatenate([order(name, seed) for seed in range(n_epochs)]), minlength=len(LABELS)
    )


def test_oversample_draws_rows_by_the_weights_of_torchsampler():
    theirs = ImbalancedDatasetSampler(LABELS, labels=LABELS.tolist())
    assert len(order("oversample")) == len(theirs) == len(LABELS)
    expected = theirs.weights.numpy() / theirs.weights.sum().item()
    found = drawn_rows("oversample")
    assert chisquare(found, expected * found.sum()).pvalue > 1e-3
    assert chisquare(drawn_rows("weighted"), expected * found.sum()).pvalue < 1e-6


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0, 2.0])
def test_weighted_draws_rows_by_their_class_size_to_a_power(power):
    expected = np.array([1 / {0: 70, 1: 20, 2: 10}[label] ** power for label in LABELS])
    found = drawn_rows(f"weighted(power={power})")
    assert found.sum() == 400 * len(LABELS)
    assert chisquare(found, expected / expected.sum() * found.sum()).pvalue > 1e-3


@pytest.mark.parametrize("power", [-0.1, 2.1])
def test_weighted_refuses_other_powers(power):
    with pytest.raises(UserError, match=rf"weighted\(power={power}\): expected 0 to 2"):
        order(f"weighted(power={power})")


def test_group_balanced_draws_every_class_in_every_group_alike():
    """Unknown groups (-1) are one more; pairs that have no row are never drawn."""
    pairs, index = np.unique(np.stack([LABELS, GROUPS]), axis=1, return_inverse=True)
    sizes = np.bincount(index)
    assert pairs.T.tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, -1], [1, 0], [2, 3]]
    expected = 1 / (len(sizes) * sizes[index])
    found = drawn_rows("group_balanced")
    assert found.sum() == 400 * len(LABELS)
    assert chisquare(found, expected * found.sum()).pvalue > 1e-3
    oversampled = drawn_rows("oversample")
    assert chisquare(oversampled, expected * found.sum()).pvalue < 1e-6


@pytest.mark.parametrize("groups", [np.full(100, -1), np.full(100, 3)])
def test_group_balanced_with_a_single_group_is_oversample(groups):
    for seed in range(3):
        np.testing.assert_array_equal(
            order("group_balanced", seed, groups=groups), order("oversample", seed)
        )


@pytest.mark.parametrize(
    ("ratio", "counts"),
    [
        (1.0, [10, 10, 10]),
        (1.5, [15, 15, 10]),
        (3.0, [30, 20, 10]),
        (0.5, [5, 5, 10]),
        (1e-9, [1, 1, 10]),
        (1e308, [70, 20, 10]),
    ],
)
def test_undersample_keeps_the_rarest_class_and_its_ratio_of_others(ratio, counts):
    rows = order(f"undersample(ratio={ratio})")
    assert np.bincount(LABELS[rows]).tolist() == counts
    assert len(set(rows.tolist())) == len(rows)
    assert set(np.flatnonzero(LABELS == 2)) <= set(rows.tolist())
    assert not (np.diff(LABELS[rows]) >= 0).all()


def test_undersample_takes_other_rows_every_epoch():
    drawn = [row for epoch in range(60) for row in rows_of(batches("undersample", epoch=epoch))]
    assert set(drawn) == set(range(100))


@pytest.mark.parametrize("ratio", [0.0, -1.0])
def test_undersample_refuses_a_ratio_that_keeps_nothing(ratio):
    with pytest.raises(UserError, match="expected more than 0"):
        order(f"undersample(ratio={ratio})")


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_balanced_batch_holds_every_class_alike_on_every_rank(n_ranks):
    for batch_size, rank in itertools.product((2, 3, 4, 6, 9, 10, 32), range(n_ranks)):
        found = batches("balanced_batch", batch_size, 0, 1, rank, n_ranks)
        counts = [np.bincount(LABELS[rows_of([batch])], minlength=3) for batch in found]
        assert max(np.ptp(count) for count in counts) <= (batch_size % 3 > 0), (batch_size, rank)


@pytest.mark.parametrize("n_ranks", [1, 2, 4])
def test_balanced_batch_takes_all_rows_of_a_class_before_one_comes_again(n_ranks):
    rows = order("balanced_batch", 5, n_ranks=n_ranks)
    turns = -(-70 // n_ranks)
    assert np.bincount(LABELS[rows]).tolist() == [turns * n_ranks] * 3
    for label, size in enumerate((70, 20, 10)):
        drawn, members = rows[LABELS[rows] == label], set(np.flatnonzero(np.equal(LABELS, label)))
        rounds = [drawn[start : start + size].tolist() for start in range(0, len(drawn), size)]
        assert all(len(set(r)) == len(r) and set(r) <= members for r in rounds)
        assert set(rounds[0]) == members
        assert len(set(map(tuple, rounds))) == len(rounds)


def test_balanced_batch_of_two_classes_as_frequent_takes_every_row_once():
    labels = np.array([0, 1, 1, 0, 1, 0])
    assert sorted(order("balanced_batch", labels=labels)) == list(range(6))


def test_oversampling_to_a_count_fills_up_the_classes_that_have_fewer():
    """Every row once, and of the classes of 20 and 10 as many more as they lack of 25."""
    counts = np.zeros(len(LABELS), int)
    for seed in range(60):
        rows = order("oversample(to=25)", seed)
        assert np.bincount(LABELS[rows]).tolist() == [70, 25, 25]
        times = np.bincount(rows, minlength=len(LABELS))
        assert (times >= 1).all() and (times[LABELS == 0] == 1).all()
        counts += times - 1
    rarest = counts[LABELS == 2]
    assert chisquare(rarest).pvalue > 1e-3
    assert np.bincount(LABELS[order("oversample(to=1)")]).tolist() == [70, 20, 10]
    with pytest.raises(UserError, match=r"oversample\(to=-1\)"):
        build("oversample(to=-1)")
