"""Two models on the same rows: how far apart they are, and whether by more than chance."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import binomtest, norm, rankdata

from ..core.errors import UserError
from ..core.image_files import image_stem
from .bootstrap import percentile_interval
from .groupings import Grouping
from .measure import estimates, names_for, resampled
from .predictions import Predictions
from .results import Settings
from .weighted import KINDS, Weighted

NAN = float("nan")
GROUP_METRICS = ("sensitivity", "specificity", "balanced_accuracy", "auroc")


def compare_pair(
    w: Weighted, other: Predictions, groupings: Sequence[Grouping], settings: Settings
) -> dict:
    """Every metric of rows minus that of `other`, which has the same rows in the same order.

    Intervals and p-values of `differences` are those of the same resamples of patients, lesions or
    images for both; DeLong's test of the AUROCs and McNemar's exact one of the decisions, of all,
    positive and negative rows, take rows as independent.
    """
    rows, theirs = w.rows, replace(w.rows, predictions=other)
    right, other_right = (table.labels == table.decisions for table in (rows.predictions, other))
    kinds = {kind: rows.of_kind(kind) for kind in KINDS}
    areas = delong(rows.target, rows.score, theirs.score, settings.confidence)
    return {
        "n": rows.count("all"),
        "n_positive": rows.count("positive"),
        "differences": _differences(w, other, settings),
        "by_group": {
            grouping.name: _by_group(w, other, grouping, settings) for grouping in groupings
        },
        "delong": areas,
        "mcnemar": {kind: mcnemar(right[keep], other_right[keep]) for kind, keep in kinds.items()},
    }


def in_order_of(other: Predictions, predictions: Predictions) -> Predictions:
    """The rows of `other` for the images of `predictions`, in their order.

    Images are the same whose names are, whatever the folders and suffix. Raises `UserError` where
    the two have other images, other classes, another class to detect or another truth.
    """
    if other.classes != predictions.classes:
        raise UserError(
            f"--compare: its classes are {', '.join(other.classes)}; expected "
            f"{', '.join(predictions.classes)}"
        )
    if other.positive != predictions.positive:
        theirs, ours = (table.classes[table.positive] for table in (other, predictions))
        raise UserError(f"--compare: its positive class is {theirs}; expected {ours}")
    if other.names != predictions.names:
        other = other.at(_places(other, predictions))
    wrong = np.flatnonzero(other.labels != predictions.labels)
    if len(wrong):
        raise UserError(
            f"--compare: {len(wrong):,} images have different true labels (first: "
            f"{predictions.names[wrong[0]]!r}); expected the same for both models"
        )
    return other


def _places(other: Predictions, predictions: Predictions) -> np.ndarray:
    """int [N]: the row of `other` for each image of `predictions`; each has its row once."""
    theirs, ours = ([image_stem(name) for name in t.names] for t in (other, predictions))
    place = {name: row for row, name in enumerate(theirs)}
    if len(place) < len(theirs) or len(set(ours)) < len(ours):
        raise UserError("--compare: images share a name; expected unique names to match rows by")
    absent = [name for name in ours if name not in place]
    surplus = sorted(place.keys() - set(ours))
    for what, names in (("has no prediction for", absent), ("also predicts", surplus)):
        if names:
            raise UserError(
                f"--compare: it {what} {len(names):,} images (first: {names[0]!r}); expected "
                f"the {len(ours):,} evaluated ones"
            )
    return np.array([place[name] for name in ours])


def _differences(w: Weighted, other: Predictions, settings: Settings) -> dict[str, dict]:
    both = [w, replace(w, rows=replace(w.rows, predictions=other))]
    names = names_for(other)
    ours, theirs = (estimates(one.rows, names) for one in both)
    resamples, others = (resampled(one, names) for one in both)
    return {
        name: difference(
            ours[name] - theirs[name], resamples[name] - others[name], settings.confidence
        )
        for name in resamples
    }


def difference(value: float, resamples: np.ndarray, confidence: float = 0.95) -> dict[str, float]:
    """A difference with the interval of its resamples [n_resamples] and a two-sided p-value.

    p is twice the share of resamples on the other side of 0, the data counted among them (Davison
    & Hinkley 1997, 4.2). Interval and p are NaN where all resamples are undefined, and where all
    are alike although there is a difference: too few rows differ to say anything.
    """
    known = resamples[~np.isnan(resamples)]
    low, high = percentile_interval(resamples, confidence)
    if low == high != 0:
        return _difference(value, NAN, NAN, NAN)
    tail = min((known <= 0).sum(), (known >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (len(known) + 1)) if len(known) else NAN
    return _difference(value, low, high, p)


def _by_group(
    w: Weighted, other: Predictions, grouping: Grouping, settings: Settings
) -> dict[str, dict]:
    """The main differences of each group with `min_group` positive and as many negative rows."""
    target, found = w.rows.target, {}
    for name, keep in grouping.rows().items():
        if min((target & keep).sum(), (~target & keep).sum()) < settings.min_group:
            continue
        differences = _differences(w.part(keep), other.where(keep), settings)
        found[name] = {metric: differences[metric] for metric in GROUP_METRICS}
    return found


def delong(
    target: np.ndarray, score: np.ndarray, other: np.ndarray, confidence: float = 0.95
) -> dict[str, float]:
    """AUROC of `score` minus that of `other`: `value`, `low`, `high` and two-sided `p`.

    Scores are [N] for the same rows, `target` bool [N].
    By DeLong et al. (1988), with the midranks of Sun & Xu (2014). Rows count as independent: with
    several of a patient p is too small, and the bootstrap by patients is what holds. Interval and
    p are NaN where the variance is 0 but the difference is not; all is NaN with fewer than two
    rows of a kind and where a score is NaN.
    """
    scores = np.stack([score, other])
    if min(target.sum(), (~target).sum()) < 2 or np.isnan(scores).any():
        return _difference(NAN, NAN, NAN, NAN)
    positives, negatives = (_pairs_won(scores, kind) for kind in (target, ~target))
    n_positive, n_negative = len(positives), len(negatives)
    value = float(positives.sum()) / (n_positive * n_negative)
    variance = (
        positives.var(ddof=1) / n_positive / n_negative**2
        + negatives.var(ddof=1) / n_negative / n_positive**2
    )
    if variance == 0:
        return _difference(value, *([0.0, 0.0, 1.0] if value == 0 else [NAN] * 3))
    error = np.sqrt(variance)
    reach = norm.ppf((1 + confidence) / 2) * error
    p = 2 * norm.sf(abs(value) / error)
    return _difference(value, value - reach, value + reach, p)


def _difference(value: float, low: float, high: float, p: float) -> dict[str, float]:
    return {"value": float(value), "low": float(low), "high": float(high), "p": float(p)}


def _pairs_won(scores: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """For each row of `kind` the rows of the other kind that it exceeds, ties counting half.

    The first of two `scores` [2, N] minus the second; in halves, so sums of them are exact.
    """
    won = rankdata(scores, axis=1)[:, kind] - rankdata(scores[:, kind], axis=1)
    return won[0] - won[1]


def mcnemar(right: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """The rows that only one of two models has right, `right` and `other` bool [N], and `p`.

    It is two-sided, that of a fair coin for these rows (McNemar 1947, exact), 1 without any.
    """
    n_this, n_other = int((right & ~other).sum()), int((other & ~right).sum())
    p = binomtest(n_this, n_this + n_other).pvalue if n_this + n_other else 1.0
    return {"only_this_right": n_this, "only_other_right": n_other, "p": float(p)}
