"""From the probability of the positive class to what happens next, and how many that finds."""

from dataclasses import dataclass

import numpy as np

from ..core.errors import require
from .certificate import MISSED, exact_interval, unit_scores
from .out_of_distribution import threshold_that_keeps

CATEGORIES = {
    "urgent": "to a dermatologist within days",
    "refer": "to a dermatologist",
    "routine": "nothing suspicious found; see a physician if it changes",
    "review": "the model does not answer: a person has to look",
    "not_a_lesion": "this picture is unlike those that the model knows",
}
SEEN = ("urgent", "refer", "review")  # by a person, so that nothing is missed


@dataclass(frozen=True)
class Triage:
    """A case is urgent where the positive class has the probability `urgent` or more.

    `urgent_sensitivity` of the positive rows had. Others are referred where the model's decision
    rule says so.
    """

    urgent: float
    urgent_sensitivity: float

    def category(self, score: float, is_flagged: bool) -> str:
        """`urgent`, `refer` or `routine`."""
        return "urgent" if score >= self.urgent else "refer" if is_flagged else "routine"


def threshold_for(sensitivity: float, scores: np.ndarray) -> float:
    """The highest threshold that this share of the positive rows' `scores` reach."""
    require(0 < sensitivity <= 1, f"sensitivity {sensitivity}: expected more than 0, at most 1")
    require(len(scores) > 0, "no positive rows: a threshold for a sensitivity needs some")
    return -threshold_that_keeps(sensitivity, -scores)


@dataclass(frozen=True)
class Found:
    """Of `n` units with positive images `found` were, with the exact 95 % interval of the share."""

    group: str
    n: int
    found: int
    low: float
    high: float


def sensitivity_by_group(
    groups: tuple[str, ...],
    of_group: np.ndarray,
    units: np.ndarray,
    flagged: np.ndarray,
    missed: str = "every",
) -> list[Found]:
    """That of all and of each group, over units, of positive rows; intervals by Clopper & Pearson.

    `of_group` int (-1 unknown), `units` int and `flagged` bool are [N]; `missed` one of `MISSED`.
    """
    require(missed in MISSED, f"missed {missed!r}: expected {' or '.join(MISSED)}")
    found = []
    for name, rows in [("all", np.ones(len(units), bool))] + [
        (name, of_group == place) for place, name in enumerate(groups)
    ]:
        caught = unit_scores(flagged[rows].astype(float), units[rows], missed) > 0.5
        n, hits = len(caught), int(caught.sum())
        found.append(Found(name, n, hits, *exact_interval(hits, n)))
    return found
