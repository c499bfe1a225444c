"""What is found of rows: every metric with its interval, by group, gaps, hard cases, notes."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.image_files import image_stem
from ..skin.tone import FORMER_NAMES
from .bootstrap import percentile_interval, resample_weights
from .calibration import BINS, reliability_of
from .gaps import gap_estimates, gaps_by_class
from .groupings import UNKNOWN, Grouping, tone_groups
from .measure import compute_metrics, counts_of, estimates, names_for, resampled
from .metrics import METRICS, PER_CLASS
from .power import exact_interval, power_notes
from .predictions import Predictions
from .weighted import KINDS, N_BINS, Rows, Weighted

MOST_HARD_CASES = 12
MIN_GROUP = 10


@dataclass(frozen=True)
class Settings:
    """How an evaluation is made: resamples of the bootstrap and their seed, the confidence of
    intervals, the rows that a group needs to enter a gap, the bins of calibration errors."""

    n_resamples: int = 2000
    seed: int = 0
    confidence: float = 0.95
    min_group: int = MIN_GROUP
    n_bins: int = N_BINS


def bootstrapped(predictions: Predictions, clusters: np.ndarray, settings: Settings) -> Weighted:
    """The rows of predictions with resamples of their clusters, int [N] from 0."""
    rows = Rows(predictions, clusters, settings.n_bins)
    rng = np.random.default_rng(settings.seed)
    return Weighted(rows, resample_weights(rows.n_clusters, settings.n_resamples, rng))


def point_estimates(predictions: Predictions) -> dict:
    """Every metric without intervals, gaps between tone groups, and under `groups` those of each.

    What a training records of a split.
    """
    by_tone = tone_groups(predictions).rows().items()
    return {
        **compute_metrics(predictions),
        **gap_estimates(predictions, MIN_GROUP),
        "groups": {name: compute_metrics(predictions.where(keep)) for name, keep in by_tone},
    }


def row_digests(predictions: Predictions, split: str, min_group: int = MIN_GROUP) -> dict[str, str]:
    """`rows_digest` and `groups_digest`: results are comparable where they are equal.

    The first is of the images' stems, their classes, the class to detect and the split; the second,
    for what is told of tone groups, also of each image's group and of `min_group`. Neither depends
    on the order of rows or classes.
    """
    classes, groups = predictions.classes, {**dict(enumerate(predictions.group_names)), -1: UNKNOWN}
    former = {present: name for name, present in FORMER_NAMES.items()}  # comparable with old runs
    groups = {code: former.get(name, name) for code, name in groups.items()}
    told = zip(predictions.names, predictions.labels, predictions.groups, strict=True)
    rows = sorted((image_stem(name), classes[y], groups[int(g)]) for name, y, g in told)
    evaluated = [split, classes[predictions.positive], [row[:2] for row in rows]]
    grouped = [*evaluated, min_group, [row[2] for row in rows]]
    digests = {"rows_digest": evaluated, "groups_digest": grouped}
    return {k: hashlib.sha256(json.dumps(v).encode()).hexdigest() for k, v in digests.items()}


def all_results(
    w: Weighted,
    groupings: Sequence[Grouping],
    lesions: np.ndarray,
    settings: Settings,
    diagnoses: Sequence[str] = (),
) -> dict:
    """`overall`, `groups`, `gaps`, `calibration`, `hard_cases`, `notes` and `group_notes` of rows.

    Each figure is a dict of `value`, `low` and `high`. Intervals are the middle `confidence` of
    the resamples; rows of unknown group are shown and left out of gaps. Hard cases show each of
    `lesions` (int [N]) once, with its own of `diagnoses` [N] where they are known.
    """
    predictions = w.rows.predictions
    parts = {
        grouping.name: {name: w.part(rows) for name, rows in grouping.rows().items()}
        for grouping in groupings
    }
    n_classes = len(predictions.classes)
    labels = list(range(n_classes)) if n_classes > 2 else [predictions.positive]
    names = [predictions.classes[label] for label in labels]
    gaps = {
        name: gaps_by_class(labels, groups, settings.min_group, settings.confidence)
        for name, groups in parts.items()
    }
    return {
        "overall": part_results(w, settings) | {"per_class": _per_class(w, settings.confidence)},
        "groups": {
            name: {level: part_results(part, settings) for level, part in groups.items()}
            for name, groups in parts.items()
        },
        "gaps": {name: dict(zip(names, found, strict=True)) for name, found in gaps.items()},
        "calibration": calibration_bins(predictions, settings.n_bins),
        "hard_cases": hard_cases(predictions, lesions, diagnoses),
        "notes": _notes(predictions),
        "group_notes": {
            grouping.name: _group_notes(predictions, grouping, settings.min_group)
            for grouping in groupings
        },
    }


def part_results(w: Weighted, settings: Settings) -> dict:
    """The counts of rows, and their metrics with intervals."""
    counts = counts_of(w.rows)
    metrics = figures(w, names_for(w.rows.predictions), settings.confidence)
    return counts | {"n_clusters": w.rows.count_clusters("all"), "metrics": metrics}


def figures(w: Weighted, names: Sequence[str], confidence: float) -> dict[str, dict]:
    """The metrics of rows with their intervals, by name."""
    values, resamples = estimates(w.rows, names), resampled(w, names)
    n_clusters = {kind: w.rows.count_clusters(kind) for kind in KINDS}
    return {
        name: figure(
            values[name],
            resamples.get(name, np.zeros(0)),
            confidence,
            # a share of rows of one kind has an exact interval
            n_clusters.get(METRICS[name].counts, 0) if METRICS[name].unit == "%" else 0,
        )
        for name in names
    }


def figure(
    value: float, resamples: np.ndarray, confidence: float, n_clusters: int = 0
) -> dict[str, float]:
    """`value` with the interval of its resamples [n_resamples].

    Where all resamples are alike the bootstrap knows nothing of what lies beyond. A rate of 0 or 1
    of `n_clusters` clusters then has the exact interval of so many (Clopper & Pearson 1934);
    another figure, with `n_clusters` 0, has none.
    """
    low, high = percentile_interval(resamples, confidence)
    if low == high:
        low = high = float("nan")
        if n_clusters and value in (0, 1):
            low, high = exact_interval(int(value * n_clusters), n_clusters, confidence)
    return {"value": float(value), "low": low, "high": high}


def _per_class(w: Weighted, confidence: float) -> dict[str, dict]:
    """By class the rows `n`, and each of `PER_CLASS` against the rest."""
    return {
        name: {"n": one.rows.count("positive")} | figures(one, PER_CLASS, confidence)
        for name, one in zip(w.rows.predictions.classes, w.by_class, strict=True)
    }


def calibration_bins(predictions: Predictions, n_bins: int) -> dict[str, dict]:
    """`ece` and `bins` of each of `BINS`."""
    return {name: reliability_of(predictions, name, n_bins).to_dict() for name in BINS}


def hard_cases(
    predictions: Predictions, lesions: np.ndarray, diagnoses: Sequence[str] = ()
) -> list[dict]:
    """The wrongly decided rows, at most a dozen and one of each lesion (int [N]).

    Missed ones of the positive class first; then by the probability of the decision, the highest
    first.
    """
    rows = np.flatnonzero(predictions.labels != predictions.decisions)
    confidence = predictions.probabilities[rows, predictions.decisions[rows]]
    is_missed = predictions.labels[rows] == predictions.positive
    ordered = rows[np.lexsort((-confidence, ~is_missed))]
    _, first = np.unique(lesions[ordered], return_index=True)
    tones = {**dict(enumerate(predictions.group_names)), -1: UNKNOWN}
    return [
        {
            "name": predictions.names[row],
            "label": predictions.classes[predictions.labels[row]],
            "diagnosis": diagnoses[row] if len(diagnoses) else "",
            "decision": predictions.classes[predictions.decisions[row]],
            "probability": float(predictions.probabilities[row, predictions.decisions[row]]),
            "group": tones[int(predictions.groups[row])],
        }
        for row in ordered[np.sort(first)][:MOST_HARD_CASES]
    ]


def _notes(predictions: Predictions) -> list[str]:
    if not np.isnan(predictions.probabilities).any():
        return []
    names = names_for(predictions)
    labels = [METRICS[n].label for n in names if METRICS[n].needs == "probabilities"]
    return [f"Only decisions are known, no probabilities. Not defined: {', '.join(labels)}."]


def _group_notes(predictions: Predictions, grouping: Grouping, min_group: int) -> list[str]:
    target = predictions.labels == predictions.positive
    found = target & (predictions.decisions == predictions.positive)
    rows = grouping.rows()
    n_unknown = int(rows.pop(UNKNOWN, np.zeros(0)).sum())
    counts = {
        name: (int((target & keep).sum()), int((found & keep).sum())) for name, keep in rows.items()
    }
    notes = power_notes(counts, predictions.classes[predictions.positive], min_group)
    if n_unknown:
        notes.append(f"{n_unknown:,} of {len(target):,} images have no known {grouping.name}.")
    return notes
