"""Temperature and threshold fitted on validation rows and applied to the evaluated ones."""

from dataclasses import replace

import numpy as np

from ..core.errors import UserError
from ..core.registry import parse_call
from . import calibration
from .calibration import CALIBRATIONS, scaled
from .gaps import gap_estimates
from .measure import compute_metrics
from .predictions import Predictions
from .results import calibration_bins
from .thresholds import THRESHOLDS, choose_threshold, decide, group_thresholds, groups_with_own
from .weighted import rows_of

COSTS = ("sensitivity", "specificity", "balanced_accuracy", "f1", "selection_rate")
COST_GAPS = ("equal_opportunity_difference", "equalized_odds_difference")


def calibrate(
    predictions: Predictions, valid: Predictions, rule: str, min_group: int, n_bins: int
) -> tuple[Predictions, Predictions, dict]:
    """Both tables at the temperature that `rule` fits on `valid`, and what it did to the first.

    Decisions stay as they were made. `rule` is one of `CALIBRATIONS`; by group, a tone group with
    fewer than `min_group` rows takes the temperature of all. Raises `UserError` where either table
    has only decisions.
    """
    if np.isnan(predictions.probabilities).any():
        raise UserError("a temperature needs the probabilities of every row; found only decisions")
    temperatures = CALIBRATIONS.build(
        rule,
        labels=valid.labels,
        probabilities=valid.probabilities,
        groups=valid.groups,
        n_groups=len(valid.group_names),
        min_rows=min_group,
    )
    scaled_tables = [
        replace(table, probabilities=scaled(table.probabilities, temperatures[table.groups]))
        for table in (predictions, valid)
    ]
    own = None
    if parse_call(rule).options.get("by") == "group":
        n_groups = len(valid.group_names)
        own = calibration.groups_with_own(valid.labels, valid.groups, n_groups, min_group)
    found = _fitted(rule, valid, temperatures, own)
    for name, table in (("before", predictions), ("after", scaled_tables[0])):
        metrics = compute_metrics(table, n_bins)
        found[name] = {key: metrics[key] for key in ("ece", "log_loss")}
    found["before"] |= calibration_bins(predictions, n_bins)
    first, second = scaled_tables
    return first, second, found


def decide_by_rule(
    predictions: Predictions, valid: Predictions, rule: str
) -> tuple[Predictions, dict]:
    """The predictions decided at the threshold that `rule` finds on `valid`, and what was found.

    `rule` is one of `THRESHOLDS`.
    """
    rows = rows_of(valid)
    threshold = choose_threshold(rule, rows.target, rows.score)
    found = _fitted(rule, valid, np.array([threshold]))
    return _decided(predictions, threshold), found | {"cost": {}}


def decide_by_group(
    predictions: Predictions, valid: Predictions, rule: str, min_group: int
) -> tuple[Predictions, dict]:
    """As `decide_by_rule`, with a threshold for each tone group, and beside it what that costs.

    A group with fewer than `min_group` positive or negative validation rows, and a row of unknown
    group, takes the threshold of all. The cost is the same figures of the evaluated rows at the one
    threshold and at those by group, with the gaps between groups of `min_group` rows or more.
    """
    rows, groups = rows_of(valid), (valid.groups, len(valid.group_names))
    thresholds = group_thresholds(rule, rows.target, rows.score, *groups, min_group)
    by_group = _decided(predictions, thresholds[predictions.groups])
    cost = {
        "one_threshold": _figures(_decided(predictions, thresholds[-1]), min_group),
        "by_group": _figures(by_group, min_group),
    }
    fits = THRESHOLDS.context_names(rule)  # a fixed one is the same for all
    own = groups_with_own(rows.target, *groups, min_group) if fits else None
    return by_group, _fitted(rule, valid, thresholds, own) | {"cost": cost}


def _decided(predictions: Predictions, thresholds: float | np.ndarray) -> Predictions:
    decisions = decide(predictions.probabilities, predictions.positive, thresholds)
    return replace(predictions, decisions=decisions)


def _fitted(
    rule: str, valid: Predictions, values: np.ndarray, own: list[int] | None = None
) -> dict:
    """What was fitted on how many rows: the value for all, and by group where it differs.

    `own` are the groups that a value was fitted for, None where one is for all.
    """
    names = valid.group_names
    by_group = dict(zip(names, values[:-1].tolist(), strict=False))
    return {
        "rule": rule,
        "n_fitted": len(valid.labels),
        "value": float(values[-1]),
        "groups": by_group if len(np.unique(values)) > 1 else {},
        "not_fitted": [n for i, n in enumerate(names) if own is not None and i not in own],
    }


def _figures(predictions: Predictions, min_group: int) -> dict[str, float]:
    metrics, gaps = compute_metrics(predictions), gap_estimates(predictions, min_group)
    return {name: metrics[name] for name in COSTS} | {name: gaps[name] for name in COST_GAPS}
