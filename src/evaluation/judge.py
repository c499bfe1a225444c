"""An evaluation: how good, for whom and how sure, of one predictions table.

What comes back is the content of `evaluation_metrics.json` (docs/EVALUATION.md).
"""

from collections.abc import Sequence

import numpy as np

from .bootstrap import percentile_interval
from .draws import class_metrics_of_draws
from .gaps import judge_gaps
from .groupings import UNKNOWN, Grouping
from .metrics import CALIBRATION_ERRORS, class_metrics, compute_metrics, reliabilities
from .power import exact_interval, power_notes
from .predictions import Predictions
from .sample import Sample, Settings

NO_DRAWS = np.zeros(0)
MOST_HARD_CASES = 12
# of these rates the rows that they are shares of: see `figure`
_ROWS_OF_RATE = {
    "accuracy": "all",
    "selection_rate": "all",
    "malignant_recall": "positive",
    "false_negative_rate": "positive",
    "specificity": "negative",
    "false_positive_rate": "negative",
}


def judge(sample: Sample, groupings: Sequence[Grouping], settings: Settings) -> dict:
    """`overall`, `groups`, `gaps`, `calibration`, `hard_cases`, `notes`, `group_notes` of a sample.

    Each figure is a dict of `value`, `low` and `high`. Intervals are the middle `level` of the
    draws; rows of unknown group are shown and left out of gaps.
    """
    predictions = sample.predictions
    parts = {
        grouping.name: {level: sample.part(rows) for level, rows in grouping.rows().items()}
        for grouping in groupings
    }
    groups = {
        name: {level: judge_part(part, settings) for level, part in found.items()}
        for name, found in parts.items()
    }
    return {
        "overall": judge_part(sample, settings) | {"per_class": _per_class(sample, settings)},
        "groups": groups,
        "gaps": {
            grouping.name: judge_gaps(sample, grouping, parts[grouping.name], settings)
            for grouping in groupings
        },
        "calibration": calibration_bins(predictions, settings.n_bins),
        "hard_cases": hard_cases(predictions),
        "notes": _notes(predictions),
        "group_notes": {
            grouping.name: _group_notes(predictions, grouping, settings.min_group)
            for grouping in groupings
        },
    }


def judge_part(sample: Sample, settings: Settings) -> dict:
    """The metrics of a sample with their intervals, and its counts."""
    predictions = sample.predictions
    metrics = compute_metrics(predictions, settings.n_bins)
    drawn = sample.metrics()
    errors = {name: figure(metrics[name], NO_DRAWS, settings.level) for name in CALIBRATION_ERRORS}
    n_units = {
        kind: sample.n_units(kind, predictions.positive) for kind in ("all", "positive", "negative")
    }
    return {
        "n": metrics["n"],
        "n_malignant": metrics["n_malignant"],
        "n_units": n_units["all"],
        "metrics": {
            name: figure(
                metrics[name], values, settings.level, n_units.get(_ROWS_OF_RATE.get(name), 0)
            )
            for name, values in drawn.items()
        }
        | errors,
        "confusion_matrix": metrics["confusion_matrix"],
    }


def figure(value: float, draws: np.ndarray, level: float, n_units: int = 0) -> dict[str, float]:
    """`value` with the interval of its draws [n_draws].

    Where all draws are alike the bootstrap knows nothing of what lies beyond. A rate of 0 or 1 of
    `n_units` units then has the exact interval of so many (Clopper & Pearson 1934); another
    figure, with `n_units` 0, has none.
    """
    low, high = percentile_interval(draws, level)
    if low == high:
        low = high = float("nan")
        if n_units and value in (0, 1):
            low, high = exact_interval(int(value * n_units), n_units, level)
    return {"value": float(value), "low": low, "high": high}


def _per_class(sample: Sample, settings: Settings) -> dict[str, dict]:
    predictions = sample.predictions
    drawn = class_metrics_of_draws(predictions, sample.units, sample.draws)
    found = {}
    for c, (name, values) in enumerate(class_metrics(predictions).items()):
        n_units = {"recall": sample.n_units("positive", c)}
        found[name] = {"n": values["n"]} | {
            metric: figure(values[metric], draws, settings.level, n_units.get(metric, 0))
            for metric, draws in drawn[name].items()
        }
    return found


def calibration_bins(predictions: Predictions, n_bins: int) -> dict[str, dict]:
    """`ece` and `bins` of the likeliest class, in bins of `equal_width` and of `equal_mass`, and of
    the `positive` class."""
    names = {"ece": "equal_width", "ece_equal_mass": "equal_mass", "ece_malignant": "positive"}
    found = reliabilities(predictions, n_bins)
    return {names[name]: bins.to_dict() for name, bins in found.items()}


def hard_cases(predictions: Predictions) -> list[dict]:
    """The wrongly decided rows with the highest probability of the decision, at most a dozen.

    Where probabilities are not known, those of the positive class first.
    """
    rows = np.flatnonzero(predictions.labels != predictions.decisions)
    sure = predictions.probabilities[rows, predictions.decisions[rows]]
    is_missed = predictions.labels[rows] == predictions.positive
    first = rows[np.lexsort((~is_missed, -sure))][:MOST_HARD_CASES]
    tones = {**dict(enumerate(predictions.group_names)), -1: UNKNOWN}
    return [
        {
            "name": predictions.names[row],
            "label": predictions.classes[predictions.labels[row]],
            "decision": predictions.classes[predictions.decisions[row]],
            "probability": float(predictions.probabilities[row, predictions.decisions[row]]),
            "group": tones[int(predictions.groups[row])],
        }
        for row in first
    ]


def _notes(predictions: Predictions) -> list[str]:
    """What a reader must know of all figures, in sentences."""
    if not np.isnan(predictions.probabilities).any():
        return []
    return [
        "Only decisions are known, no probabilities: AUROC, AUPRC, Brier score, log-loss and "
        "calibration are not defined."
    ]


def _group_notes(predictions: Predictions, grouping: Grouping, min_group: int) -> list[str]:
    """What a reader must know of the figures by one grouping, in sentences."""
    target = predictions.labels == predictions.positive
    found = target & (predictions.decisions == predictions.positive)
    rows = grouping.rows()
    n_unknown = int(rows.pop(UNKNOWN, np.zeros(0)).sum())
    notes = power_notes(
        list(rows),
        [int((target & inside).sum()) for inside in rows.values()],
        [int((found & inside).sum()) for inside in rows.values()],
        min_group,
    )
    if n_unknown:
        notes.append(f"{n_unknown:,} of {len(target):,} images have no known {grouping.name}.")
    return notes
