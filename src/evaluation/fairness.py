"""Metrics by tone group and the gaps between groups."""

from dataclasses import replace

import numpy as np
from fairlearn.metrics import demographic_parity_difference, equal_opportunity_difference

from src.evaluation.metrics import compute_metrics
from src.evaluation.predictions import Predictions


def group_metrics(predictions: Predictions) -> dict[str, dict]:
    """`compute_metrics` of every group that has rows, by name; `unknown` for rows without one."""
    names = dict(enumerate(predictions.group_names)) | {-1: "unknown"}
    present = sorted(set(predictions.groups.tolist()), key=lambda g: (g < 0, g))
    parts = {names[g]: subset(predictions, predictions.groups == g) for g in present}
    return {name: compute_metrics(part) for name, part in parts.items()}


def subset(predictions: Predictions, keep: np.ndarray) -> Predictions:
    """The rows where the boolean `keep` [N] holds."""
    return replace(
        predictions,
        names=[name for name, kept in zip(predictions.names, keep, strict=True) if kept],
        labels=predictions.labels[keep],
        groups=predictions.groups[keep],
        probabilities=predictions.probabilities[keep],
        decisions=predictions.decisions[keep],
    )


def gaps(predictions: Predictions) -> dict:
    """Largest differences between groups in deciding for the positive class.

    `demographic_parity_difference`: of selection rates; `equal_opportunity_difference`: of
    recalls (Hardt et al. 2016), over the groups that have a positive row, since fairlearn counts
    an undefined recall as 0. NaN with fewer than two such groups. Rows of unknown group are out.
    """
    target = predictions.labels == predictions.positive
    decision = predictions.decisions == predictions.positive
    known = predictions.groups >= 0
    with_positives = np.unique(predictions.groups[known & target])
    estimable = known & np.isin(predictions.groups, with_positives)
    return {
        "demographic_parity_difference": _difference(
            demographic_parity_difference, target, decision, predictions.groups, known
        ),
        "equal_opportunity_difference": _difference(
            equal_opportunity_difference, target, decision, predictions.groups, estimable
        ),
        "equal_opportunity_groups": [predictions.group_names[g] for g in with_positives],
    }


def evaluate(predictions: Predictions) -> dict:
    """Overall metrics, gaps between groups, and under `groups` the metrics of each."""
    return {
        **compute_metrics(predictions),
        **gaps(predictions),
        "groups": group_metrics(predictions),
    }


def _difference(measure, target, decision, groups, keep) -> float:
    if len(np.unique(groups[keep])) < 2:
        return float("nan")
    return float(measure(target[keep], decision[keep], sensitive_features=groups[keep]))
