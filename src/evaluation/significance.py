"""Whether two models judged on the same rows differ by more than chance."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm, rankdata

NAN = float("nan")


@dataclass(frozen=True)
class Difference:
    """A figure of one model minus that of another, its interval and two-sided p-value."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Discordance:
    """Rows that only one of two models has right, and McNemar's exact two-sided p-value."""

    only_this_right: int
    only_other_right: int
    p: float


def delong(
    target: np.ndarray, score: np.ndarray, other: np.ndarray, level: float = 0.95
) -> Difference:
    """AUROC of `score` minus that of `other`, both [N] for the same rows, `target` bool [N].

    By DeLong et al. (1988), with the midranks of Sun & Xu (2014). Rows count as independent: with
    several of a patient p is too small, and the bootstrap by patients is what holds. Interval and
    p are NaN where the variance is 0 but the difference is not; all is NaN with fewer than two
    rows of a kind and where a score is NaN.
    """
    scores = np.stack([score, other])
    if min(target.sum(), (~target).sum()) < 2 or np.isnan(scores).any():
        return Difference(NAN, NAN, NAN, NAN)
    positives, negatives = (_pairs_won(scores, kind) for kind in (target, ~target))
    n_positive, n_negative = len(positives), len(negatives)
    value = float(positives.sum()) / (n_positive * n_negative)
    variance = (
        positives.var(ddof=1) / n_positive / n_negative**2
        + negatives.var(ddof=1) / n_negative / n_positive**2
    )
    if variance == 0:
        return Difference(0.0, 0.0, 0.0, 1.0) if value == 0 else Difference(value, NAN, NAN, NAN)
    error = np.sqrt(variance)
    reach = norm.ppf((1 + level) / 2) * error
    p = 2 * norm.sf(abs(value) / error)
    return Difference(*map(float, (value, value - reach, value + reach, p)))


def _pairs_won(scores: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """For each row of `kind` the rows of the other kind that it exceeds, ties counting half.

    The first of two `scores` [2, N] minus the second; in halves, so sums of them are exact.
    """
    won = rankdata(scores, axis=1)[:, kind] - rankdata(scores[:, kind], axis=1)
    return won[0] - won[1]


def mcnemar(right: np.ndarray, other: np.ndarray) -> Discordance:
    """The rows that one of two models has right and the other wrong, `right` and `other` bool [N].

    p is that of a fair coin for these rows (McNemar 1947, exact), 1 where there are none.
    """
    n_this, n_other = int((right & ~other).sum()), int((other & ~right).sum())
    p = binomtest(n_this, n_this + n_other).pvalue if n_this + n_other else 1.0
    return Discordance(n_this, n_other, float(p))
