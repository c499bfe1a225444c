"""Tests that may be looked at every day: betting against a sensitivity, levels spent on days."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import fisher_exact

ALPHA = 0.05
_ALTERNATIVES = 50


class SensitivityBets:
    """An e-process against "sensitivity is `expected` or more", from hits and misses in order.

    The capital of bets on lower sensitivities, a likelihood ratio each, evenly mixed (Robbins 1970;
    Ramdas et al. 2023, "Game-theoretic statistics and safe anytime-valid inference"). Where the
    sensitivity has not fallen the capital is expected to shrink: that it ever reaches 1 / alpha has
    a probability of alpha at most, however often and whenever it is looked at (Ville 1939). It
    depends on the counts alone, so that these are all that is kept.
    """

    def __init__(self, expected: float):
        self.expected = float(np.clip(expected, 0.02, 0.995))

    def capital(self, hits: np.ndarray | int, misses: np.ndarray | int) -> np.ndarray:
        """The capital after so many hits and misses, of 1 at the start; shape of the counts."""
        lower = self.expected * (np.arange(_ALTERNATIVES) + 0.5) / _ALTERNATIVES
        by_hit = np.log(lower / self.expected)
        by_miss = np.log((1 - lower) / (1 - self.expected))
        hits, misses = np.asarray(hits, float)[..., None], np.asarray(misses, float)[..., None]
        logs = hits * by_hit + misses * by_miss
        most = logs.max(axis=-1, keepdims=True)
        log_mean = most[..., 0] + np.log(np.exp(logs - most).mean(axis=-1))
        return np.exp(np.minimum(log_mean, 700.0))


def level_of_day(day: int, alpha: float = ALPHA) -> float:
    """The level that is spent on day 1, 2, ...: all of them together spend `alpha`."""
    return alpha * 6 / (math.pi**2 * day**2)


def ks_p_value(values: np.ndarray, quantiles: np.ndarray, n_reference: int) -> float:
    """The two-sample Kolmogorov-Smirnov test of values [n] with a reference of which only evenly
    spaced `quantiles` [q], sorted, are kept.

    The distance counts only beyond what lies between two quantiles, so that nothing is found that
    was not kept.
    """
    values = np.sort(values)
    n, n_steps = len(values), len(quantiles) - 1
    high = np.searchsorted(quantiles, values, side="right") / n_steps
    low = (np.searchsorted(quantiles, values, side="left") - 1) / n_steps
    above = np.arange(1, n + 1) / n - np.minimum(high, 1)
    below = np.maximum(low, 0) - np.arange(n) / n
    distance = max(0.0, float(above.max()), float(below.max()))
    effective = math.sqrt(n * n_reference / (n + n_reference))
    scaled = (effective + 0.12 + 0.11 / effective) * distance  # Stephens 1970
    if scaled < 0.2:
        return 1.0
    terms = [(-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101)]
    return float(np.clip(2 * sum(terms), 0, 1))


def mix_p_value(counts: Sequence[int], reference: Sequence[int]) -> float:
    """Whether two rows of counts are of one mix: Fisher's exact test of each column against the
    others, the lowest p-value times the number of columns; 1 with nothing to test.

    It holds its level at any counts, which a chi-square of rare groups does not at 1e-5.
    """
    table = np.array([counts, reference], np.int64)
    table = table[:, table.sum(axis=0) > 0]
    totals = table.sum(axis=1)
    if table.shape[1] < 2 or (totals == 0).any():
        return 1.0
    n_tests = table.shape[1] if table.shape[1] > 2 else 1  # of two columns one is the other's rest
    lowest = min(
        float(fisher_exact(np.column_stack([column, totals - column]))[1]) for column in table.T
    )
    return min(1.0, n_tests * lowest)
