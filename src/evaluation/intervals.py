"""Bootstrap intervals that resample whole patients or lesions, all draws at once."""

import numpy as np


def unit_draws(n_units: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [n_draws, n_units]: how often each unit is in each draw of the cluster bootstrap.

    A unit is a patient or a lesion; a draw takes as many as there are, with replacement, and each
    with all its rows (Field & Welsh 2007). `[:, units]` of it weighs rows.
    """
    shares = np.full(n_units, 1 / n_units)
    return rng.multinomial(n_units, shares, size=n_draws).astype(np.float32)


def auroc_of_draws(target: np.ndarray, score: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """AUROC [n_draws] of `target` bool [N] and `score` [N], rows weighted by `draws` [n_draws, N].

    The share of pairs in order, ties counting half. NaN for a draw without both kinds of rows.
    """
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)  # of equal scores
    counts = draws[:, order].astype(np.float64)
    positives = np.add.reduceat(counts * target[order], starts, axis=1)
    negatives = np.add.reduceat(counts * ~target[order], starts, axis=1)
    below = negatives.cumsum(axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return ratios((positives * below).sum(axis=1), pairs)


def ratios(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """parts / wholes elementwise, NaN where there is nothing to divide by."""
    return np.divide(parts, wholes, out=np.full(np.shape(wholes), np.nan), where=wholes > 0)


def percentile_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of draws [n_draws], undefined ones left out; NaN where all are."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
