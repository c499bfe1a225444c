"""From the probability of the positive class to what happens next, and how many that finds."""

from dataclasses import dataclass

import numpy as np

from ..core.errors import require
from .certificate import MISSED, unit_scores, upper_bound
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
    """Thresholds on the probability of the positive class, and the sensitivities asked for.

    At `urgent` or more a case is urgent, at `refer` or more it is referred.
    """

    urgent: float
    refer: float
    urgent_sensitivity: float
    refer_sensitivity: float

    def category(self, score: float) -> str:
        """`urgent`, `refer` or `routine`."""
        return "urgent" if score >= self.urgent else "refer" if score >= self.refer else "routine"


def fit_triage(
    scores: np.ndarray, urgent_sensitivity: float = 0.6, refer_sensitivity: float = 0.95
) -> Triage:
    """The highest thresholds that so large shares of the positive rows' `scores` reach."""
    require(len(scores) > 0, "no positive rows: thresholds for a sensitivity need some")
    require(
        0 < urgent_sensitivity <= refer_sensitivity <= 1,
        f"sensitivities {urgent_sensitivity} (urgent) and {refer_sensitivity} (refer): expected "
        "0 < urgent <= refer <= 1",
    )
    urgent, refer = (
        -threshold_that_keeps(share, -scores) for share in (urgent_sensitivity, refer_sensitivity)
    )
    return Triage(urgent, refer, urgent_sensitivity, refer_sensitivity)


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
        low, high = 1 - upper_bound(n - hits, n, 0.975), upper_bound(hits, n, 0.975)
        found.append(Found(name, n, hits, low if n else 0.0, high))
    return found
