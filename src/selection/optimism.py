"""The winner's curse: how much better the best of many looks than it is, by selecting again."""

from dataclasses import dataclass

import numpy as np

N_FOLDS, N_REPEATS = 4, 20
_Z = 1.959964  # of a 95 % interval


@dataclass(frozen=True)
class Optimism:
    """What selecting the best of `n_candidates` has done to its own estimate.

    `naive` is the winner's value on the rows that chose it, `optimism` the part of it that is owed
    to the choice (negative for a metric of which lower is better), `corrected` what is left.
    `low` and `high` bound the winner's true value, with a confidence of 95 %.
    """

    n_candidates: int
    winner: int
    naive: float
    optimism: float
    low: float
    high: float

    @property
    def corrected(self) -> float:
        """The estimate without the optimism."""
        return self.naive - self.optimism

    @property
    def half_width(self) -> float:
        """Of the interval of `corrected`, and of that of the optimism."""
        return (self.high - self.low) / 2


def folds_of(clusters: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bool [N_REPEATS * N_FOLDS, n_clusters]: the clusters that each split holds out.

    Clusters (int [N], from 0) with a row of `target` (bool [N]) are spread evenly over the folds,
    and so are the others.
    """
    n_clusters = int(clusters.max()) + 1
    has_positive = np.bincount(clusters, weights=target, minlength=n_clusters) > 0
    held_out = np.zeros((N_REPEATS, N_FOLDS, n_clusters), bool)
    for repeat in range(N_REPEATS):
        for kind in (has_positive, ~has_positive):
            places = rng.permutation(np.flatnonzero(kind))
            held_out[repeat, np.arange(len(places)) % N_FOLDS, places] = True
    return held_out.reshape(-1, n_clusters)


def optimism_of(
    values: np.ndarray,
    inside: np.ndarray,
    outside: np.ndarray,
    resamples: np.ndarray,
    higher_is_better: bool = True,
) -> Optimism:
    """The optimism of the candidate with the best of `values` [K].

    `inside` and `outside` [splits, K] are their values on the rows that a split keeps and on those
    that it holds out, `resamples` [B] those of the winner on bootstrap resamples of the clusters.

    Each split selects anew without the rows that it holds out, where the winner of all rows had
    them to be chosen by: the mean difference of the two there is the optimism. It is that of
    repeated cross-validation of the selection (Varma & Simon 2006; Tibshirani & Tibshirani 2009),
    and as a difference on the same rows free of the bias that a metric has on few. The interval is
    normal, with the bootstrap's standard error of the winner.
    """
    sign = 1 if higher_is_better else -1
    winner = best_first(values, higher_is_better)[0]
    chosen = np.where(np.isnan(inside), -np.inf, sign * inside).argmax(axis=1)
    gains = outside[:, winner] - outside[np.arange(len(outside)), chosen]
    known = gains[~np.isnan(gains)]
    optimism = float(known.mean()) if len(known) else float("nan")
    naive, reach = float(values[winner]), _Z * float(np.nanstd(resamples, ddof=1))
    low, high = naive - optimism - reach, naive - optimism + reach
    return Optimism(int((~np.isnan(values)).sum()), winner, naive, optimism, low, high)


def best_first(values: np.ndarray, higher_is_better: bool) -> list[int]:
    """The places of the defined ones of `values` [K], the best first, equal ones in their order."""
    order = np.argsort(-values if higher_is_better else values, kind="stable")
    return [int(place) for place in order if not np.isnan(values[place])]


def differs(winner: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of winner − runner-up, of their values [B] on the same resamples.

    Where it lies above 0 the winner can be told apart. That it won is no advantage here: a test of
    the best against the second best at the usual two-sided level finds a wrong best one at most as
    often as the level says (Gutmann & Maymin 1987).
    """
    difference = winner - other
    difference = difference[~np.isnan(difference)]
    if not len(difference):
        return float("nan"), float("nan")
    low, high = np.quantile(difference, (0.025, 0.975))
    return float(low), float(high)
