"""Metrics by group and the gaps between groups."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from fairlearn.metrics import (
    MetricFrame,
    false_negative_rate,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.metrics import accuracy_score, f1_score

from .metrics import compute_metrics, ratio
from .predictions import Predictions


class Rate(NamedTuple):
    """A rate that groups are compared by, its name in tables, and the rows that it is a share of:
    `all`, `positive` or `negative` ones."""

    of: Callable
    label: str
    rows: str


RATES = {
    "selection_rate": Rate(selection_rate, "selection rate", "all"),
    "true_positive_rate": Rate(true_positive_rate, "sensitivity", "positive"),
    "false_positive_rate": Rate(false_positive_rate, "false-positive rate", "negative"),
    "false_negative_rate": Rate(false_negative_rate, "false-negative rate", "positive"),
    "accuracy": Rate(accuracy_score, "accuracy", "all"),
    "f1": Rate(f1_score, "F1", "positive"),
}


class Gap(NamedTuple):
    """Largest difference and smallest ratio of a rate between the groups that could be judged.

    `judged` are their codes, `rates` their rates; `lowest` and `highest` the codes of the
    extremes, -1 without two groups.
    """

    difference: float
    ratio: float
    judged: tuple[int, ...]
    rates: tuple[float, ...]
    lowest: int
    highest: int


def rate_gap(
    rate: str, target: np.ndarray, decision: np.ndarray, codes: np.ndarray, min_rows: int = 1
) -> Gap:
    """The gap in one of `RATES` between groups with `min_rows` rows of its kind or more.

    `target` and `decision` are bool [N], `codes` int [N] with -1 for rows of no group, which are
    left out. fairlearn would take the undefined rate of a group without such rows for 0, which
    makes a perfect classifier look unfair. NaN with fewer than two groups left.
    """
    of, _, kind = RATES[rate]
    counted = {"all": np.full(len(target), True), "positive": target, "negative": ~target}[kind]
    found, n_rows = np.unique(codes[counted & (codes >= 0)], return_counts=True)
    judged = found[n_rows >= min_rows]
    if len(judged) < 2:
        return Gap(float("nan"), float("nan"), tuple(judged.tolist()), (), -1, -1)
    rows = np.isin(codes, judged)
    frame = MetricFrame(
        metrics=of,
        y_true=target[rows],
        y_pred=decision[rows],
        sensitive_features=codes[rows],
    )
    rates = frame.by_group
    return Gap(
        float(frame.difference()),
        ratio(frame.group_min(), frame.group_max()),
        tuple(judged.tolist()),
        tuple(rates.tolist()),
        int(rates.idxmin()),
        int(rates.idxmax()),
    )


def gaps(predictions: Predictions) -> dict:
    """Gaps between tone groups in deciding for the positive class.

    `demographic_parity_difference`: of selection rates; `equal_opportunity_difference`: of
    recalls (Hardt et al. 2016), over the `equal_opportunity_groups`, which have a positive row.
    """
    target = predictions.labels == predictions.positive
    decision = predictions.decisions == predictions.positive
    parity, opportunity = (
        rate_gap(rate, target, decision, predictions.groups)
        for rate in ("selection_rate", "true_positive_rate")
    )
    return {
        "demographic_parity_difference": parity.difference,
        "equal_opportunity_difference": opportunity.difference,
        "equal_opportunity_groups": [predictions.group_names[g] for g in opportunity.judged],
    }


def group_metrics(predictions: Predictions) -> dict[str, dict]:
    """`compute_metrics` of every tone group that has rows, by name; `unknown` for rows without."""
    names = dict(enumerate(predictions.group_names)) | {-1: "unknown"}
    present = sorted(set(predictions.groups.tolist()), key=lambda g: (g < 0, g))
    parts = {names[g]: subset(predictions, predictions.groups == g) for g in present}
    return {name: compute_metrics(part) for name, part in parts.items()}


def subset(predictions: Predictions, keep: np.ndarray) -> Predictions:
    """The rows where the boolean `keep` [N] holds."""
    return predictions.at(np.flatnonzero(keep))


def evaluate(predictions: Predictions) -> dict:
    """Overall metrics, gaps between tone groups, and under `groups` the metrics of each."""
    return {
        **compute_metrics(predictions),
        **gaps(predictions),
        "groups": group_metrics(predictions),
    }
