"""Bootstrap draws of whole patients or lesions, what is measured of them, and their intervals."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

_CELLS_AT_A_TIME = 4_000_000  # draws by rows that a thread holds: some tens of megabytes
_ALMOST = 1e-9  # a rate that is reached but for rounding is reached


def unit_draws(n_units: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [n_draws, n_units]: how often each unit is in each draw of the cluster bootstrap.

    A unit is a patient or a lesion; a draw takes as many as there are, with replacement, and each
    with all its rows (Field & Welsh 2007). `[:, units]` of it weighs rows.
    """
    if not n_units:
        return np.zeros((n_draws, 0), np.float32)
    shares = np.full(n_units, 1 / n_units)
    return rng.multinomial(n_units, shares, size=n_draws).astype(np.float32)


class Ranking(NamedTuple):
    """Figures of the order of scores, each [n_draws], NaN where a draw lacks what they need."""

    auroc: np.ndarray
    auprc: np.ndarray
    sensitivity_at_specificity: np.ndarray
    specificity_at_sensitivity: np.ndarray


def rank_draws(
    target: np.ndarray, score: np.ndarray, units: np.ndarray, draws: np.ndarray, rate: float
) -> Ranking:
    """AUROC, average precision, and the two rates at the other's `rate`, of all draws.

    `target` bool [N] and `score` [N] are of rows, whose `units` int [N] are columns of `draws`
    [n_draws, n_units], whole numbers. Ties count half in AUROC and share a threshold in the others.
    """
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)  # of equal scores
    n_at_a_time = max(1, _CELLS_AT_A_TIME // max(1, len(score)))
    parts = [draws[first : first + n_at_a_time] for first in range(0, len(draws), n_at_a_time)]

    def measure(part: np.ndarray) -> Ranking:
        counts = part[:, units[order]]
        if counts.sum(axis=1, dtype=np.float64).max(initial=0) >= 2**24:
            counts = counts.astype(np.float64)  # float32 holds whole numbers up to there
        positives, negatives = counts * target[order], counts * ~target[order]
        if len(starts) < len(order):
            positives, negatives = (
                np.add.reduceat(x, starts, axis=1) if len(starts) else x
                for x in (positives, negatives)
            )
        return _ranking(positives, negatives, rate)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(measure, parts))
    return Ranking(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _ranking(positives: np.ndarray, negatives: np.ndarray, rate: float) -> Ranking:
    """Of the weights [n_draws, distinct scores] of both kinds of rows, highest score first."""
    found, alarms = positives.cumsum(axis=1), negatives.cumsum(axis=1)
    n_found, n_alarms = (
        x[:, -1:].astype(np.float64) if x.shape[1] else np.zeros((len(x), 1))
        for x in (found, alarms)
    )
    ordered = np.einsum("ds,ds->d", negatives, found - positives / 2, dtype=np.float64)
    steps = positives.any(axis=0)  # average precision moves at positive rows alone
    precision = ratios(found[:, steps], (found + alarms)[:, steps])
    area = np.nansum(positives[:, steps] * precision, axis=1, dtype=np.float64)
    specific = (alarms <= (1 - rate + _ALMOST) * n_alarms).sum(axis=1)
    sensitive = (found < (rate - _ALMOST) * n_found).sum(axis=1)
    both = (n_found * n_alarms)[:, 0]
    defined = both > 0
    at_specific = np.where(specific > 0, _pick(found, specific - 1), 0)
    at_sensitive = n_alarms[:, 0] - _pick(alarms, sensitive)
    return Ranking(
        auroc=ratios(ordered, both),
        auprc=ratios(area, n_found[:, 0]),
        sensitivity_at_specificity=np.where(defined, ratios(at_specific, n_found[:, 0]), np.nan),
        specificity_at_sensitivity=np.where(defined, ratios(at_sensitive, n_alarms[:, 0]), np.nan),
    )


def _pick(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """values[i, columns[i]] of each row i; the last column for those beyond."""
    if not values.shape[1]:
        return np.zeros(len(values))
    inside = np.clip(columns, 0, values.shape[1] - 1)
    return np.take_along_axis(values, inside[:, None], axis=1)[:, 0]


def auroc_of_draws(target: np.ndarray, score: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """AUROC [n_draws] of `target` bool [N] and `score` [N], rows weighted by `draws` [n_draws, N].

    The share of pairs in order, ties counting half. NaN for a draw without both kinds of rows.
    """
    return rank_draws(target, score, np.arange(len(score)), draws, rate=1.0).auroc


def sums_of_draws(values: np.ndarray, units: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """float64 [n_draws, columns]: the sums over the rows of each draw of `values` [N, columns]."""
    by_unit = np.zeros((draws.shape[1], values.shape[1]))
    np.add.at(by_unit, units, values)
    return (draws @ by_unit.astype(np.float32)).astype(np.float64)


def ratios(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """parts / wholes elementwise, NaN where there is nothing to divide by."""
    parts, wholes = np.broadcast_arrays(parts, wholes)
    return np.divide(parts, wholes, out=np.full(wholes.shape, np.nan), where=wholes > 0)


def percentile_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of draws [n_draws], undefined ones left out; NaN where all are."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def pair_changes(values: np.ndarray, draws: np.ndarray, least: np.ndarray) -> np.ndarray:
    """[n_draws]: by how much the pair of groups moves that moves most in each draw.

    `values` [groups] are the data's, `draws` [groups, n_draws]; NaN where one of them is. A group
    whose draws spread less than `least` [groups], a standard deviation, gets normal noise for
    what is missing: few images that were all found do not mean that nothing else is possible.
    """
    moves = draws - values[:, None]
    finite = [row[np.isfinite(row)] for row in moves]
    spread = np.array([row.std() if len(row) else 0.0 for row in finite])
    missing = np.sqrt(np.maximum(least**2 - spread**2, 0))
    noise = np.random.default_rng(0).standard_normal(moves.shape)
    with np.errstate(invalid="ignore"):
        return np.ptp(moves + missing[:, None] * noise, axis=0)


def gap_interval(gap: float, changes: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The interval of the largest difference between groups, whose draws have `pair_changes`.

    Simultaneous over all pairs of groups: with probability `level` no pair's difference is further
    from the truth than `level` of the draws let the farthest pair be from the data (after Tukey
    and Beran 1988). The plain percentiles of the gap would never hold 0, since a difference
    between the best and the worst of several groups only grows by chance. NaN where no draw is
    defined.
    """
    known = np.sort(changes[~np.isnan(changes)])
    if not len(known) or math.isnan(gap):
        return float("nan"), float("nan")
    reach = float(known[math.ceil(level * len(known)) - 1])
    return max(0.0, gap - reach), gap + reach


def least_spread(rates: np.ndarray, n_units: np.ndarray) -> np.ndarray:
    """The standard deviation of rates of so many units with one hit and one miss more.

    After Agresti & Caffo (2000): it is not 0 for rates of 0 and 1.
    """
    shrunk = (rates * n_units + 1) / (n_units + 2)
    return np.sqrt(shrunk * (1 - shrunk) / (n_units + 2))
