"""Gaps between groups, each with an interval that holds for all pairs of groups at once."""

import math
from typing import NamedTuple

import numpy as np

from .bootstrap import gap_interval, least_spread, pair_changes
from .draws import confusion_of_draws, rates_of_draws
from .fairness import RATES, Gap, rate_gap
from .groupings import UNKNOWN, Grouping
from .sample import Sample, Settings

NAN = float("nan")


class Drawn(NamedTuple):
    """A difference between groups, or the negative logarithm of a ratio, and how far it moves in
    each draw [n_draws]."""

    value: float
    changes: np.ndarray


def judge_gaps(
    sample: Sample, grouping: Grouping, parts: dict[str, Sample], settings: Settings
) -> dict[str, dict]:
    """Gaps between the levels of a grouping, whose rows are `parts`, in deciding for a class.

    By the name of the class to detect; of more than two classes each against the rest.
    """
    predictions = sample.predictions
    n_classes = len(predictions.classes)
    confusions = {
        level: confusion_of_draws(part.predictions, part.units, part.draws)
        for level, part in parts.items()
    }
    return {
        predictions.classes[c]: _gaps_of_class(sample, grouping, parts, confusions, c, settings)
        for c in (range(n_classes) if n_classes > 2 else [predictions.positive])
    }


def _gaps_of_class(
    sample: Sample,
    grouping: Grouping,
    parts: dict[str, Sample],
    confusions: dict[str, np.ndarray],
    positive: int,
    settings: Settings,
) -> dict:
    """Gaps in deciding for the class `positive`; `confusions` are those of each part's draws.

    A level is judged by a rate where it has `min_group` rows of the rate's kind. Equalized odds
    are the larger difference, and the smaller ratio, of the true- and false-positive rates (Hardt
    et al. 2016), their interval that of both at once.
    """
    predictions = sample.predictions
    target, decision = predictions.labels == positive, predictions.decisions == positive
    drawn = {level: rates_of_draws(counts, positive) for level, counts in confusions.items()}
    present = [level for level in drawn if level != UNKNOWN]
    names = {**dict(enumerate(grouping.levels)), -1: ""}
    rates, differences, shares = {}, {}, {}
    for rate, (_, _, kind) in RATES.items():
        gap = rate_gap(rate, target, decision, grouping.codes, settings.min_group)
        judged = [names[code] for code in gap.judged]
        draws = np.array([drawn[level][rate] for level in judged])
        n_units = np.array([parts[level].n_units(kind, positive) for level in judged])
        differences[rate], shares[rate] = _drawn(gap, draws, n_units, len(sample.draws))
        rates[rate] = {
            "difference": _difference(differences[rate], settings.level),
            "ratio": _ratio(shares[rate], settings.level),
            "groups": judged,
            "left_out": [level for level in present if level not in judged],
            "lowest": names[gap.lowest],
            "highest": names[gap.highest],
        }
    odds = [
        _worse(found["true_positive_rate"], found["false_positive_rate"])
        for found in (differences, shares)
    ]
    return {
        "rates": rates,
        **_named(rates),
        "equalized_odds_difference": _difference(odds[0], settings.level),
        "equalized_odds_ratio": _ratio(odds[1], settings.level),
    }


def _named(rates: dict[str, dict]) -> dict[str, dict]:
    """The gaps of one rate that have names of their own."""
    names = {"demographic_parity": "selection_rate", "equal_opportunity": "true_positive_rate"}
    kinds = ("difference", "ratio")
    return {f"{name}_{kind}": rates[rate][kind] for name, rate in names.items() for kind in kinds}


def _drawn(gap: Gap, draws: np.ndarray, n_units: np.ndarray, n_draws: int) -> tuple[Drawn, Drawn]:
    """The difference and the negative logarithm of the ratio of a rate, both with their moves.

    `draws` [judged groups, n_draws] are the rates of each draw.
    """
    if len(gap.judged) < 2:
        nothing = Drawn(NAN, np.full(n_draws, NAN))
        return nothing, nothing
    rates = np.array(gap.rates)
    least = least_spread(rates, n_units)
    difference = Drawn(gap.difference, pair_changes(rates, draws, least))
    if rates.min() == 0:  # no logarithm
        ratio = math.inf if rates.max() > 0 else NAN
        return difference, Drawn(ratio, np.full(n_draws, NAN))
    with np.errstate(divide="ignore"):
        changes = pair_changes(np.log(rates), np.log(draws), least / rates)
    return difference, Drawn(-math.log(gap.ratio), changes)


def _worse(one: Drawn, other: Drawn) -> Drawn:
    """The larger of two gaps, which moves as the one of them that moves more."""
    return Drawn(float(np.maximum(one.value, other.value)), np.maximum(one.changes, other.changes))


def _difference(drawn: Drawn, level: float) -> dict[str, float]:
    low, high = gap_interval(*drawn, level)
    return {"value": drawn.value, "low": low, "high": min(1.0, high)}


def _ratio(drawn: Drawn, level: float) -> dict[str, float]:
    low, high = gap_interval(*drawn, level)
    return {"value": math.exp(-drawn.value), "low": math.exp(-high), "high": math.exp(-low)}
