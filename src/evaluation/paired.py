"""Two models on the same rows: how far apart they are, and whether that is more than chance."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from ..core.errors import UserError
from ..core.image_files import image_stem
from .bootstrap import percentile_interval
from .fairness import subset
from .groupings import Grouping
from .metrics import compute_metrics
from .predictions import Predictions
from .sample import Sample, Settings
from .significance import delong, mcnemar

NAN = float("nan")
GROUP_METRICS = ("malignant_recall", "specificity", "balanced_accuracy", "auroc")


def compare_pair(
    sample: Sample, other: Predictions, groupings: Sequence[Grouping], settings: Settings
) -> dict:
    """Every metric of a sample minus that of `other`, which has the same rows in the same order.

    Intervals and p-values of `differences` are those of the same draws of patients, lesions or
    images for both; DeLong's test of the AUROCs and McNemar's exact one of the decisions, of all,
    malignant and benign rows, take rows as independent.
    """
    predictions = sample.predictions
    target = predictions.labels == predictions.positive
    positive = predictions.positive
    right, other_right = (table.labels == table.decisions for table in (predictions, other))
    kinds = {"all": np.full(len(target), True), "malignant": target, "benign": ~target}
    scores = (table.probabilities[:, positive] for table in (predictions, other))
    areas = delong(target, *scores, settings.level)
    return {
        "n": len(target),
        "n_malignant": int(target.sum()),
        "differences": _differences(sample, other, settings),
        "by_group": {
            grouping.name: _by_group(sample, other, grouping, settings) for grouping in groupings
        },
        "delong": asdict(areas),
        "mcnemar": {
            name: asdict(mcnemar(right[rows], other_right[rows])) for name, rows in kinds.items()
        },
    }


def in_order_of(other: Predictions, predictions: Predictions) -> Predictions:
    """The rows of `other` for the images of `predictions`, in their order.

    Images are the same whose names are, whatever the folders and suffix. Raises `UserError` where
    the two have other images, other classes, another class to detect or another truth.
    """
    if other.classes != predictions.classes:
        raise UserError(
            f"--compare: its classes are {', '.join(other.classes)}: expected "
            f"{', '.join(predictions.classes)}"
        )
    if other.positive != predictions.positive:
        theirs, ours = (table.classes[table.positive] for table in (other, predictions))
        raise UserError(f"--compare: its class to detect is {theirs}: expected {ours}")
    if other.names != predictions.names:
        other = other.at(_places(other, predictions))
    wrong = np.flatnonzero(other.labels != predictions.labels)
    if len(wrong):
        raise UserError(
            f"--compare: {len(wrong)} images have another label than here (first: "
            f"{predictions.names[wrong[0]]!r}): expected the same truth for both"
        )
    return other


def _places(other: Predictions, predictions: Predictions) -> np.ndarray:
    """int [N]: the row of `other` for each image of `predictions`; each has its row once."""
    theirs, ours = ([image_stem(name) for name in t.names] for t in (other, predictions))
    place = {name: row for row, name in enumerate(theirs)}
    if len(place) < len(theirs) or len(set(ours)) < len(ours):
        raise UserError("--compare: images share a name, so that rows cannot be matched")
    absent = [name for name in ours if name not in place]
    surplus = sorted(place.keys() - set(ours))
    for what, names in (("has no prediction for", absent), ("also predicts", surplus)):
        if names:
            raise UserError(
                f"--compare: it {what} {len(names)} images (first: {names[0]!r}): expected the "
                f"{len(ours)} judged ones"
            )
    return np.array([place[name] for name in ours])


def _differences(sample: Sample, other: Predictions, settings: Settings) -> dict[str, dict]:
    tables = sample.predictions, other
    values = [compute_metrics(table) for table in tables]
    drawn = [replace(sample, predictions=table).metrics() for table in tables]
    return {
        name: difference(
            values[0][name] - values[1][name], drawn[0][name] - drawn[1][name], settings.level
        )
        for name in drawn[0]
    }


def difference(value: float, draws: np.ndarray, level: float = 0.95) -> dict[str, float]:
    """A difference with the interval of its draws [n_draws] and a two-sided p-value.

    p is twice the share of draws on the other side of 0, the data counted among them (Davison &
    Hinkley 1997, 4.2). Interval and p are NaN where all draws are undefined, and where all are
    alike although there is a difference: too few rows differ to say anything.
    """
    known = draws[~np.isnan(draws)]
    low, high = percentile_interval(draws, level)
    if low == high != 0:
        return {"value": float(value), "low": NAN, "high": NAN, "p": NAN}
    tail = min((known <= 0).sum(), (known >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (len(known) + 1)) if len(known) else float("nan")
    return {"value": float(value), "low": low, "high": high, "p": p}


def _by_group(
    sample: Sample, other: Predictions, grouping: Grouping, settings: Settings
) -> dict[str, dict]:
    """The main differences of each level with `min_group` rows of the positive class and as many
    others."""
    target, found = sample.predictions.labels == sample.predictions.positive, {}
    for level, rows in grouping.rows().items():
        if min((target & rows).sum(), (~target & rows).sum()) < settings.min_group:
            continue
        differences = _differences(sample.part(rows), subset(other, rows), settings)
        found[level] = {metric: differences[metric] for metric in GROUP_METRICS}
    return found
