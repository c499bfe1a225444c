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
    gains[np.isnan(inside).all(axis=1)] = np.nan  # nothing could be chosen there
    known = gains[~np.isnan(gains)]
    optimism = float(known.mean()) if len(known) else float("nan")
    naive, reach = float(values[winner]), _Z * float(np.nanstd(resamples, ddof=1))
    low, high = naive - optimism - reach, naive - optimism + reach
    return Optimism(int((~np.isnan(values)).sum()), winner, naive, optimism, low, high)


def best_first(values: np.ndarray, higher_is_better: bool) -> list[int]:
    """The places of the defined ones of `values` [K], the best first, equal ones in their order."""
    order = np.argsort(-values if higher_is_better else values, kind="stable")
    return [int(place) for place in order if not np.isnan(values[place])]


def lead_by_chance(own: np.ndarray, other: np.ndarray) -> float:
    """The lead that the best epoch of a run has over a candidate as good in 2.5 % of all cases.

    `own` [E, 1 + B] and `other` [1 + B] are the values of the run's epochs and of the candidate, on
    the rows as they are and on the same bootstrap resamples; higher is better. It is the quantile
    of the largest of the centred differences, as in the reality check of White (2000): the more
    epochs were tried, the further ahead the best of them is by chance. Half of 5 %, since the other
    run could have won as well. NaN where no resample is defined.
    """
    moves = (own[:, 1:] - own[:, :1]) - (other[1:] - other[0])
    farthest = np.where(np.isnan(moves), -np.inf, moves).max(axis=0)
    known = farthest[np.isfinite(farthest)]
    return float(np.quantile(known, 0.975)) if len(known) else float("nan")
