"""What may leave a site: no cell below ten, and none that subtraction gives away."""

import numpy as np

from src.sites.disclosure import EDGES, FLAGGED, LEAST, NUMBER, histogram, logit, what_is_told


def test_large_cells_are_all_told():
    of_all, levels = what_is_told([40, 30, 20], [15, 12, 10])
    assert of_all == FLAGGED and levels.tolist() == [FLAGGED] * 3


def test_one_small_cell_takes_another_groups_with_it():
    """3 missed of the first group would follow from the misses of all less those of the others."""
    of_all, levels = what_is_told([40, 30, 20], [3, 12, 10])
    assert of_all == FLAGGED
    assert levels.tolist() == [NUMBER, FLAGGED, NUMBER]  # the smallest of those that could be told


def test_without_ten_misses_in_all_only_numbers_are_told():
    of_all, levels = what_is_told([60, 50], [4, 3])
    assert of_all == NUMBER and levels.tolist() == [NUMBER, NUMBER]


def test_a_small_group_is_hidden_with_the_next_larger_one():
    of_all, levels = what_is_told([100, 4, 30], [100, 2, 30])
    assert of_all == FLAGGED and levels.tolist() == [FLAGGED, 0, 0]


def test_no_table_gives_a_small_cell_away():
    """An attacker knows the totals wherever they are ten or more, and subtracts what is told."""
    rng = np.random.default_rng(0)
    n_hidden = 0
    for _ in range(3000):
        n_groups = rng.integers(1, 6)
        cells = rng.negative_binomial(0.6, 0.02, (2, n_groups))
        of_all, levels = what_is_told(*cells)
        numbers, totals = cells.sum(axis=0), cells.sum(axis=1)
        assert (numbers[levels >= NUMBER] >= LEAST).all()
        assert (cells[:, levels >= FLAGGED] >= LEAST).all()
        for level, counts, of in (
            (NUMBER, numbers[None], totals.sum(keepdims=True)),
            (FLAGGED, cells, totals),
        ):
            if of_all < level:
                assert (levels < level).all()
                continue
            hidden = levels < level
            rest = of - counts[:, ~hidden].sum(axis=1)
            n_hidden += hidden.any()
            if hidden.any():
                assert hidden.sum() > 1 and (rest >= LEAST).all()
    assert n_hidden > 500


def test_bins_of_a_histogram_are_large_and_keep_secrets():
    rng = np.random.default_rng(1)
    for n in (10, 11, 37, 400, 5000):
        scores = 1 / (1 + np.exp(-rng.normal(0, 2, n)))
        missed = int((scores < 0.5).sum())
        told = histogram(scores, [missed])
        counts, edges = np.array(told["counts"]), np.array(told["edges"])
        assert counts.sum() == n and counts.min() >= LEAST
        assert (edges[0], edges[-1]) == (EDGES[0], EDGES[-1]) and (np.diff(edges) > 0).all()
        assert missed not in np.cumsum(counts)[:-1]
        again = np.histogram(logit(scores), edges)[0]
        assert again.tolist() == told["counts"]


def test_without_a_secret_an_edge_may_lie_at_the_threshold():
    scores = np.repeat([0.4, 0.6], 20)
    assert 20 in np.cumsum(histogram(scores)["counts"]) and len(histogram(scores)["counts"]) == 2
    assert histogram(scores, [20])["counts"] == [40]
