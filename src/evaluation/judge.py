"""An evaluation: how good, for whom and how sure, of one predictions table.

What comes back is the content of `evaluation_metrics.json` (docs/EVALUATION.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.evaluation.draws import (
    class_metrics_of_draws,
    confusion_of_draws,
    metrics_of_draws,
    rates_of_draws,
)
from src.evaluation.fairness import RATES, Gap, rate_gap, subset
from src.evaluation.groupings import UNKNOWN, Grouping
from src.evaluation.intervals import gap_interval, percentile_interval, unit_draws
from src.evaluation.metrics import N_BINS, class_metrics, compute_metrics, reliabilities
from src.evaluation.power import exact_interval, power_notes
from src.evaluation.predictions import Predictions

NAN = float("nan")
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


@dataclass(frozen=True)
class Settings:
    """How an evaluation is made: draws of the bootstrap and their seed, the level of intervals,
    the rows that a group needs to enter a gap, the bins of calibration errors."""

    n_draws: int = 2000
    seed: int = 0
    level: float = 0.95
    min_group: int = 10
    n_bins: int = N_BINS


@dataclass(frozen=True)
class Sample:
    """Predictions, the patient, lesion or image that each row is of (int [N]), and draws of those
    (float32 [n_draws, units])."""

    predictions: Predictions
    units: np.ndarray
    draws: np.ndarray

    def part(self, keep: np.ndarray) -> "Sample":
        """The rows where `keep` [N] holds, with the units that they have."""
        kept, units = np.unique(self.units[keep], return_inverse=True)
        return Sample(subset(self.predictions, keep), units, self.draws[:, kept])

    def metrics(self, n_bins: int) -> dict[str, np.ndarray]:
        """Each metric of each draw."""
        return metrics_of_draws(self.predictions, self.units, self.draws, n_bins)

    def n_units(self, keep: np.ndarray) -> int:
        """Units that have a row where `keep` [N] holds."""
        return len(np.unique(self.units[keep]))


def draw(predictions: Predictions, units: np.ndarray, settings: Settings) -> Sample:
    """The predictions with draws of their units, numbers from 0."""
    rng = np.random.default_rng(settings.seed)
    n_units = int(units.max(initial=-1)) + 1
    return Sample(predictions, units, unit_draws(n_units, settings.n_draws, rng))


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
    classes = [predictions.positive]
    if len(predictions.classes) > 2:
        classes = range(len(predictions.classes))
    return {
        "overall": judge_part(sample, settings) | {"per_class": _per_class(sample, settings)},
        "groups": groups,
        "gaps": {
            grouping.name: {
                predictions.classes[c]: judge_gaps(
                    sample, grouping, parts[grouping.name], c, settings
                )
                for c in classes
            }
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
    drawn = sample.metrics(settings.n_bins)
    target = predictions.labels == predictions.positive
    kinds = {"all": np.full(len(target), True), "positive": target, "negative": ~target}
    n_units = {name: sample.n_units(rows) for name, rows in kinds.items()}
    return {
        "n": metrics["n"],
        "n_malignant": metrics["n_malignant"],
        "n_units": n_units["all"],
        "metrics": {
            name: figure(
                metrics[name], values, settings.level, n_units.get(_ROWS_OF_RATE.get(name), 0)
            )
            for name, values in drawn.items()
        },
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


def judge_gaps(
    sample: Sample,
    grouping: Grouping,
    parts: dict[str, Sample],
    positive: int,
    settings: Settings,
) -> dict:
    """Gaps between the levels of a grouping in deciding for the class `positive`.

    A level is judged by a rate where it has `min_group` rows of the rate's kind. Equalized odds
    are the larger difference, and the smaller ratio, of the true- and false-positive rates (Hardt
    et al. 2016).
    """
    predictions = sample.predictions
    target, decision = predictions.labels == positive, predictions.decisions == positive
    drawn = {
        level: rates_of_draws(confusion_of_draws(p.predictions, p.units, p.draws), positive)
        for level, p in parts.items()
    }
    present = [level for level in drawn if level != UNKNOWN]
    names = {**dict(enumerate(grouping.levels)), -1: ""}
    rates = {}
    for rate in RATES:
        gap = rate_gap(rate, target, decision, grouping.codes, settings.min_group)
        judged = [names[code] for code in gap.judged]
        draws = np.array([drawn[level][rate] for level in judged])
        rates[rate] = {
            **_gap_figures(gap, draws, settings.level),
            "groups": judged,
            "left_out": [level for level in present if level not in judged],
            "lowest": names[gap.lowest],
            "highest": names[gap.highest],
        }
    return {"rates": rates} | _named_gaps(rates)


def _gap_figures(gap: Gap, draws: np.ndarray, level: float) -> dict[str, dict]:
    """`difference` and `ratio` of a rate, whose draws are [judged groups, n_draws]."""
    nothing = {"value": NAN, "low": NAN, "high": NAN}
    if len(gap.judged) < 2:
        return {"difference": nothing, "ratio": nothing}
    low, high = gap_interval(np.array(gap.rates), draws, level)
    difference = {"value": gap.difference, "low": low, "high": min(1.0, high)}
    if min(gap.rates) == 0:  # no logarithm
        return {"difference": difference, "ratio": nothing | {"value": gap.ratio}}
    with np.errstate(divide="ignore"):
        low, high = gap_interval(np.log(gap.rates), np.log(draws), level)
    ratio = {"value": gap.ratio, "low": np.exp(-high), "high": np.exp(-low)}
    return {"difference": difference, "ratio": ratio}


def _named_gaps(rates: dict[str, dict]) -> dict[str, dict]:
    """The gaps that have names of their own, of those by rate."""
    found = {}
    for kind, worse in (("difference", max), ("ratio", min)):
        selection, true_positive, false_positive = (
            rates[rate][kind]
            for rate in ("selection_rate", "true_positive_rate", "false_positive_rate")
        )
        found[f"demographic_parity_{kind}"] = selection
        found[f"equal_opportunity_{kind}"] = true_positive
        found[f"equalized_odds_{kind}"] = {
            part: NAN
            if math.isnan(one + false_positive[part])
            else worse(one, false_positive[part])
            for part, one in true_positive.items()
        }
    return found


def _per_class(sample: Sample, settings: Settings) -> dict[str, dict]:
    predictions = sample.predictions
    drawn = class_metrics_of_draws(predictions, sample.units, sample.draws)
    found = {}
    for c, (name, values) in enumerate(class_metrics(predictions).items()):
        n_units = {"recall": sample.n_units(predictions.labels == c)}
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
    """The wrongly decided rows with the highest probability of the decision, at most a dozen."""
    rows = np.flatnonzero(predictions.labels != predictions.decisions)
    sure = predictions.probabilities[rows, predictions.decisions[rows]]
    first = rows[np.argsort(-sure, kind="stable")][:MOST_HARD_CASES]
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
