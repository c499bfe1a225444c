"""What an edit does to a model's answers: changes of probability and flips, with intervals."""

from dataclasses import dataclass

import numpy as np

from ..evaluation.bootstrap import percentile_interval, resample_weights, wilson_interval

N_RESAMPLES = 2000
CONFIDENCE = 0.95
LEAST_FOUND = 20  # images; the bootstrap of fewer is too narrow for a finding


@dataclass(frozen=True)
class Rate:
    """`hits` of `n` with the Wilson interval of their share (Wilson 1927)."""

    hits: int
    n: int
    value: float
    low: float
    high: float


def rate(hits: int, n: int) -> Rate:
    """The share of hits; NaN of nothing."""
    return Rate(hits, n, hits / n if n else float("nan"), *wilson_interval(hits, n))


@dataclass(frozen=True)
class Effect:
    """Of `n` images the mean `change` of the positive class's probability, with its 95 % interval.

    `to_positive` are decisions that flip to the positive class, of those that were not,
    `to_negative` the others. `is_found` says that the change is beyond the tolerance, with
    certainty over all edits together.
    """

    n: int
    change: float
    low: float
    high: float
    to_positive: Rate
    to_negative: Rate
    is_found: bool = False


def effect_of(
    before: np.ndarray,
    after: np.ndarray,
    was_positive: np.ndarray,
    is_positive: np.ndarray,
    tolerance: float,
    n_tests: int,
) -> Effect:
    """The effect of an edit on probabilities [N] and decisions, bool [N].

    It is found where the interval of the mean change at 1 - 0.05 / `n_tests`, Bonferroni's, lies
    beyond `tolerance` on one side: changes that small are no reason to distrust a model, however
    certain they are. Nothing is found in fewer than `LEAST_FOUND` images.
    """
    changes = after - before
    n, nan = len(changes), float("nan")
    flips = (
        rate(int((~was_positive & is_positive).sum()), int((~was_positive).sum())),
        rate(int((was_positive & ~is_positive).sum()), int(was_positive.sum())),
    )
    if n < 2:
        return Effect(n, float(changes.mean()) if n else nan, nan, nan, *flips)
    weights = resample_weights(n, N_RESAMPLES, np.random.default_rng(0))
    means = weights @ changes / n
    low, high = percentile_interval(means, CONFIDENCE)
    reach = percentile_interval(means, 1 - (1 - CONFIDENCE) / n_tests)
    is_beyond = bool(reach[0] > tolerance or reach[1] < -tolerance)
    is_found = n >= LEAST_FOUND and is_beyond
    return Effect(n, float(changes.mean()), low, high, *flips, is_found)
