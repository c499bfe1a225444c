"""Gaps between groups, each with an interval that holds for all pairs of groups at once."""

import math
from typing import NamedTuple

import numpy as np

from .bootstrap import gap_interval, least_spread, pair_changes
from .groupings import UNKNOWN, tone_groups
from .measure import estimates, resampled
from .metrics import COMPARED, METRICS
from .predictions import Predictions
from .weighted import Rows, Weighted, rows_of

NAN = float("nan")
# gaps of one rate that have names of their own
NAMED = {"demographic_parity": "selection_rate", "equal_opportunity": "sensitivity"}


class Moved(NamedTuple):
    """A difference between groups, or the negative logarithm of a ratio, and how far it moves in
    each resample [n_resamples]."""

    value: float
    changes: np.ndarray


def large_enough(rate: str, groups: dict[str, Rows], min_group: int) -> list[str]:
    """The groups that a rate is compared between.

    They have `min_group` rows that the rate counts, and one at least. Without such rows a rate is
    undefined: taken for 0, it would make a perfect classifier look unfair.
    """
    counts = METRICS[rate].counts
    return [
        name
        for name, rows in groups.items()
        if name != UNKNOWN and rows.count(counts) >= max(min_group, 1)
    ]


def gap_estimates(predictions: Predictions, min_group: int) -> dict:
    """Differences between tone groups, and the groups that equal opportunity compares.

    NaN with fewer than two groups that are `large_enough`.
    """
    by_tone = tone_groups(predictions).rows().items()
    groups = {name: rows_of(predictions.where(keep)).as_they_are() for name, keep in by_tone}
    (gaps,) = gaps_by_class([predictions.positive], groups, min_group)
    differences = {name: gaps[name]["value"] for name in gaps if name.endswith("_difference")}
    return differences | {"equal_opportunity_groups": gaps["rates"]["sensitivity"]["groups"]}


def gaps_by_class(
    classes: list[int], groups: dict[str, Weighted], min_group: int, confidence: float = 0.95
) -> list[dict]:
    """Gaps between groups in deciding for each of these classes, against the rest.

    Equalized odds are the larger difference, and the smaller ratio, of sensitivity and
    false-positive rate (Hardt et al. 2016), their interval that of both at once.
    """
    found = []
    for label in classes:
        of_class = {name: group.by_class[label] for name, group in groups.items()}
        found.append(_gaps(of_class, min_group, confidence))
    return found


def _gaps(groups: dict[str, Weighted], min_group: int, confidence: float) -> dict:
    rows = {name: group.rows for name, group in groups.items()}
    values = {name: estimates(own, COMPARED) for name, own in rows.items()}
    resamples = {name: resampled(group, COMPARED) for name, group in groups.items()}
    rates, differences, shares = {}, {}, {}
    for rate in COMPARED:
        compared = large_enough(rate, rows, min_group)
        of_groups = np.array([values[name][rate] for name in compared])
        if len(compared) > 1:
            n_clusters = [rows[name].count_clusters(METRICS[rate].counts) for name in compared]
            of_resamples = np.array([resamples[name][rate] for name in compared])
            moved = _moved(of_groups, of_resamples, np.array(n_clusters))
        else:
            moved = (Moved(NAN, np.array([NAN])),) * 2
        differences[rate], shares[rate] = moved
        ends = (of_groups.argmin(), of_groups.argmax()) if len(compared) > 1 else ()
        lowest, highest = (compared[place] for place in ends) if ends else ("", "")
        rates[rate] = {
            "difference": _difference(differences[rate], confidence),
            "ratio": _ratio(shares[rate], confidence),
            "groups": compared,
            "left_out": [name for name in rows if name not in (*compared, UNKNOWN)],
            "lowest": lowest,
            "highest": highest,
        }
    odds = [_worse(of["sensitivity"], of["false_positive_rate"]) for of in (differences, shares)]
    kinds = ("difference", "ratio")
    named = {f"{name}_{kind}": rates[rate][kind] for name, rate in NAMED.items() for kind in kinds}
    return {
        "rates": rates,
        **named,
        "equalized_odds_difference": _difference(odds[0], confidence),
        "equalized_odds_ratio": _ratio(odds[1], confidence),
    }


def _moved(rates: np.ndarray, resamples: np.ndarray, n_clusters: np.ndarray) -> tuple[Moved, Moved]:
    """The difference and the negative logarithm of the ratio of rates [groups], with their moves.

    `resamples` [groups, n_resamples] are the rates of the resamples.
    """
    least = least_spread(rates, n_clusters)
    difference = Moved(float(np.ptp(rates)), pair_changes(rates, resamples, least))
    if rates.min() == 0:  # no logarithm
        ratio = math.inf if rates.max() > 0 else NAN
        return difference, Moved(ratio, np.array([NAN]))
    with np.errstate(divide="ignore"):
        changes = pair_changes(np.log(rates), np.log(resamples), least / rates)
    return difference, Moved(-math.log(rates.min() / rates.max()), changes)


def _worse(one: Moved, other: Moved) -> Moved:
    """The larger of two gaps, which moves as the one of them that moves more."""
    return Moved(float(np.maximum(one.value, other.value)), np.maximum(one.changes, other.changes))


def _difference(moved: Moved, confidence: float) -> dict[str, float]:
    low, high = gap_interval(*moved, confidence)
    return {"value": moved.value, "low": low, "high": min(1.0, high)}


def _ratio(moved: Moved, confidence: float) -> dict[str, float]:
    low, high = gap_interval(*moved, confidence)
    return {"value": math.exp(-moved.value), "low": math.exp(-high), "high": math.exp(-low)}
