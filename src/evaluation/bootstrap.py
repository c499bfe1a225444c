"""Bootstrap resamples of whole patients or lesions, and the intervals that they give."""

import math

import numpy as np


def resample_weights(n_clusters: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [n_resamples, n_clusters]: how often each cluster is in each resample.

    The cluster bootstrap (Field & Welsh 2007): a resample takes as many patients or lesions as
    there are, with replacement, each with all its rows. `[:, clusters]` of it weighs rows.
    """
    if not n_clusters:
        return np.zeros((n_resamples, 0), np.float32)
    shares = np.full(n_clusters, 1 / n_clusters)
    return rng.multinomial(n_clusters, shares, size=n_resamples).astype(np.float32)


def percentile_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """The middle `confidence` of resamples [n_resamples] that are defined; NaN where none is."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def wilson_interval(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The interval of a rate of `hits` in `n` (Wilson 1927); NaN of nothing."""
    if not n:
        return float("nan"), float("nan")
    share, square = hits / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    reach = z / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def pair_changes(values: np.ndarray, resamples: np.ndarray, least: np.ndarray) -> np.ndarray:
    """[n_resamples]: how far the pair of groups moves that moves farthest in each resample.

    `values` [groups] are the data's, `resamples` [groups, n_resamples]; NaN where one of them is.
    A group whose resamples spread less than `least` [groups], a standard deviation, gets normal
    noise for what is missing: few images that were all found do not mean that nothing else is
    possible.
    """
    moves = resamples - values[:, None]
    finite = [row[np.isfinite(row)] for row in moves]
    spread = np.array([row.std() if len(row) else 0.0 for row in finite])
    missing = np.sqrt(np.maximum(least**2 - spread**2, 0))
    noise = np.random.default_rng(0).standard_normal(moves.shape)
    with np.errstate(invalid="ignore"):
        return np.ptp(moves + missing[:, None] * noise, axis=0)


def gap_interval(gap: float, changes: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of the largest difference between groups, whose resamples have `pair_changes`.

    Simultaneous over all pairs of groups: with this confidence no pair's difference is further
    from the truth than as large a share of the resamples let the farthest pair be from the data
    (after Tukey and Beran 1988). The plain percentiles of the gap would never hold 0, since a
    difference between the best and the worst of several groups only grows by chance. NaN where no
    resample is defined.
    """
    known = np.sort(changes[~np.isnan(changes)])
    if not len(known) or math.isnan(gap):
        return float("nan"), float("nan")
    reach = float(known[math.ceil(confidence * len(known)) - 1])
    return max(0.0, gap - reach), gap + reach


def least_spread(rates: np.ndarray, n_clusters: np.ndarray) -> np.ndarray:
    """The standard deviation of rates of so many clusters with one hit and one miss more.

    After Agresti & Caffo (2000): it is not 0 for rates of 0 and 1.
    """
    shrunk = (rates * n_clusters + 1) / (n_clusters + 2)
    return np.sqrt(shrunk * (1 - shrunk) / (n_clusters + 2))
