"""A certificate of sensitivity for each tone group: exact binomial bounds on missed positives.

What is counted are units, whole patients or lesions that have positive images, since the images of
one patient are alike. With n units of which k are missed, the promise "at most `max_miss` are
missed" is made where the one-sided upper bound of Clopper & Pearson (1934) allows it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import require

# when a unit counts as missed, and what makes one score of the scores of its positive images
MISSED = {
    "every": "at least one of its positive images is not flagged",
    "any": "none of its positive images is flagged",
}
_SCORES = {"every": np.minimum, "any": np.maximum}
MULTIPLICITY = ("per_group", "bonferroni")


@dataclass(frozen=True)
class Promise:
    """What is to be certified: at most `max_miss` missed, with this `confidence`.

    `missed` is one of `MISSED`. The confidence is that of each group's promise by itself
    (`per_group`), or of all groups' promises together (`bonferroni`).
    """

    max_miss: float = 0.1
    confidence: float = 0.9
    missed: str = "every"
    multiplicity: str = "per_group"

    def __post_init__(self):
        for name in ("max_miss", "confidence"):
            value = getattr(self, name)
            require(0 < value < 1, f"{name} {value}: expected more than 0 and less than 1")
        for name, known in (("missed", MISSED), ("multiplicity", MULTIPLICITY)):
            value = getattr(self, name)
            require(value in known, f"{name} {value!r}: expected {' or '.join(known)}")

    def confidence_of_each(self, n_groups: int) -> float:
        """That which each of so many groups' promises must have."""
        shared = n_groups if self.multiplicity == "bonferroni" else 1
        return 1 - (1 - self.confidence) / max(1, shared)


@dataclass(frozen=True)
class GroupCertificate:
    """What was found for a group: of `n` units `misses` were missed at `threshold`.

    `bound` is the upper bound of the share that is missed. `threshold` is None where the model's
    own decisions were counted.
    """

    group: str
    n: int
    misses: int
    bound: float
    threshold: float | None
    certified: bool


def at_most(misses: int, n: int, share: float) -> float:
    """The probability of `misses` or fewer among `n` where this share is missed (binomial)."""
    logs = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(share) + (n - k) * math.log1p(-share)
        for k in range(misses + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, logs)))


def upper_bound(misses: int, n: int, confidence: float) -> float:
    """The exact upper confidence bound of a share, of which `misses` of `n` were seen; 1 for n = 0.

    One-sided, Clopper & Pearson 1934: the share at which so few misses are just improbable.
    """
    if misses >= n:
        return 1.0
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(misses, n, middle) > 1 - confidence else (low, middle)
    return high


def exact_interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """(low, high) of a share of which `hits` of `n` were seen, two-sided (Clopper & Pearson)."""
    one_sided = (1 + confidence) / 2
    return (1 - upper_bound(n - hits, n, one_sided) if n else 0.0), upper_bound(hits, n, one_sided)


def most_misses(n: int, max_miss: float, confidence: float) -> int:
    """How many of `n` units may be missed for the promise; -1 where `n` is too small for any."""
    misses = -1
    while misses + 1 < n and at_most(misses + 1, n, max_miss) <= 1 - confidence:
        misses += 1
    return misses


def needed(misses: int, max_miss: float, confidence: float) -> int:
    """The smallest number of units of which so many may be missed."""
    n = misses + 1
    while at_most(misses, n, max_miss) > 1 - confidence:
        n += 1
    return n


def unit_scores(scores: np.ndarray, units: np.ndarray, missed: str) -> np.ndarray:
    """[units]: the score below which no threshold may lie for a unit to be caught.

    `scores` and `units`, int, are [N] of the positive images; `missed` is one of `MISSED`.
    """
    names, places = np.unique(units, return_inverse=True)
    worst = {"every": np.inf, "any": -np.inf}[missed]
    found = np.full(len(names), worst)
    _SCORES[missed].at(found, places, scores)
    return found


def certified_threshold(scores: np.ndarray, max_miss: float, confidence: float) -> float | None:
    """The highest threshold for which the promise holds, of units' `scores`; None where none does.

    A unit is caught where its score reaches the threshold. The thresholds are tested one after the
    other from 0 upwards, each at the full confidence, and the last before the first failure is
    taken: fixed-sequence testing (Learn then Test, Angelopoulos et al. 2021). The share that is
    missed only grows along the way, so that choosing and certifying on the same rows costs no
    confidence: the answer is an order statistic of the scores.
    """
    misses = most_misses(len(scores), max_miss, confidence)
    return None if misses < 0 else float(np.sort(scores)[min(misses, len(scores) - 1)])


def certify(
    promise: Promise,
    groups: Sequence[str],
    of_group: np.ndarray,
    units: np.ndarray,
    scores: np.ndarray,
    flagged: np.ndarray | None = None,
    highest: float = np.inf,
) -> tuple[GroupCertificate, ...]:
    """A certificate for each of `groups` that has positive images.

    `of_group` int (-1 unknown), `units` int, `scores` and `flagged` bool are [N] of the positive
    images. With `flagged` the model's own decisions are certified, else a threshold is chosen for
    each group, which is `highest` where the promise holds there too: a lower one than the promise
    needs misses no more. A unit with images of several groups counts in each of them with those.
    """
    present = [place for place in range(len(groups)) if (of_group == place).any()]
    confidence = promise.confidence_of_each(len(present))
    found = []
    for place in present:
        rows, threshold = of_group == place, None
        own = scores[rows] if flagged is None else flagged[rows].astype(float)
        of_units = unit_scores(own, units[rows], promise.missed)
        n, caught_at = len(of_units), 0.5
        if flagged is None:
            threshold = certified_threshold(of_units, promise.max_miss, confidence)
            threshold = None if threshold is None else min(threshold, highest)
            caught_at = highest if threshold is None else threshold
        misses = int((of_units < caught_at).sum())
        bound = upper_bound(misses, n, confidence)
        certified = misses <= most_misses(n, promise.max_miss, confidence) and n > 0
        found.append(GroupCertificate(groups[place], n, misses, bound, threshold, certified))
    return tuple(found)


@dataclass(frozen=True)
class Certificate:
    """The promise, and for which groups it is made.

    `unit` is what was counted (`patient_id`, `lesion_id`, both). `refused` says why nothing can be
    certified, empty where it can. With `chosen`, the thresholds were chosen on the same rows.
    """

    promise: Promise
    unit: str
    refused: str
    chosen: bool
    groups: tuple[GroupCertificate, ...]

    def of(self, group: str, positive: str) -> str:
        """What is certified for a group, or why nothing is."""
        if self.refused:
            return f"not certified: {self.refused}"
        found = next((found for found in self.groups if found.group == group), None)
        if found is None:
            return "not certified: skin tone unknown, or without cases to test"
        return _sentence(found, self.promise, len(self.groups), positive, self.unit)


def _sentence(
    found: GroupCertificate, promise: Promise, n_groups: int, positive: str, unit: str
) -> str:
    """What is certified for a group, or why nothing is; `unit` is what was counted."""
    share, confidence = f"{promise.max_miss:.0%}", promise.confidence_of_each(n_groups)
    counted = f"{found.misses} of {found.n} missed, counted by {unit}"
    if found.certified:
        return (
            f"misses at most {share} of {positive} cases, with {promise.confidence:.0%} confidence "
            f"({counted})"
        )
    least = needed(0, promise.max_miss, confidence)
    if found.n < least:
        return (
            f"cannot be certified: {found.n} {positive} cases (by {unit}), at least {least} needed"
        )
    most = most_misses(found.n, promise.max_miss, confidence)
    return f"cannot be certified: {counted}; at most {most} may be"
