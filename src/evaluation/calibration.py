"""How far confidence is from the share that is right, and temperatures that bring them together."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from ..core.errors import UserError
from ..core.registry import Registry
from .predictions import Predictions
from .weighted import LEAST_PROBABILITY, ratios

CALIBRATIONS = Registry("calibration")
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
BINS = ("equal_width", "equal_mass", "positive")


@dataclass(frozen=True)
class Reliability:
    """Bins (lower, upper] of confidence, all arrays [bins]; the first has its lower edge too.

    `n` int: rows; `confidence` their mean, `accuracy` their share that is right, both NaN in an
    empty bin.
    """

    lower: np.ndarray
    upper: np.ndarray
    n: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error (Guo et al. 2017): mean distance of confidence and accuracy.

        Bins are weighted by their rows. NaN without rows.
        """
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float(ratios((self.n * gaps).sum(), self.n.sum()))

    def to_dict(self) -> dict:
        """`ece` and `bins`, a dict for each bin, of JSON types (and NaN)."""
        columns = {name: values.tolist() for name, values in vars(self).items()}
        rows = zip(*columns.values(), strict=True)
        return {"ece": self.ece, "bins": [dict(zip(columns, row, strict=True)) for row in rows]}


def reliability_of(
    predictions: Predictions, bins: str, n_bins: int, weights: np.ndarray | None = None
) -> Reliability:
    """The reliability of one of `BINS`, each row counting `weights` [N] times (default: once).

    `equal_width` and `equal_mass` are of the most probable class, `positive` of the positive one,
    in bins of equal width.
    """
    if bins == "positive":
        confidence = predictions.probabilities[:, predictions.positive]
        correct = predictions.labels == predictions.positive
    else:
        confidence, correct = top_label(predictions.labels, predictions.probabilities)
    is_equal_mass = bins == "equal_mass"
    edges = equal_mass_edges(confidence, n_bins) if is_equal_mass else np.linspace(0, 1, n_bins + 1)
    return reliability(confidence, correct, edges, weights)


def reliability(
    confidence: np.ndarray,
    correct: np.ndarray,
    edges: np.ndarray,
    weights: np.ndarray | None = None,
) -> Reliability:
    """The bins between `edges` [bins + 1] with the rows of `confidence` [N], `correct` bool [N].

    Confidence and `correct` are those of `top_label`, or the probability of a class and whether
    the row is of it. With a NaN among the confidences every bin is empty: nothing is known.
    """
    weights = np.ones(len(confidence)) if weights is None else weights
    if np.isnan(confidence).any():
        confidence, correct, weights = confidence[:0], correct[:0], weights[:0]
    places = np.searchsorted(edges[1:-1], confidence, side="left")
    n, confidences, n_correct = (
        np.bincount(places, weights * values, minlength=len(edges) - 1)
        for values in (1, confidence, correct)
    )
    n = n.astype(np.int64)
    return Reliability(edges[:-1], edges[1:], n, ratios(confidences, n), ratios(n_correct, n))


def equal_mass_edges(confidence: np.ndarray, n_bins: int) -> np.ndarray:
    """Edges from 0 to 1 of bins with about as many rows each (Nguyen & O'Connor 2015).

    The inner ones are quantiles of `confidence` [N] that occur in it. Equal values share a bin,
    so that there are fewer than `n_bins` where values repeat, and no bin is empty. A single bin
    without rows and with a NaN.
    """
    if not len(confidence) or np.isnan(confidence).any():
        return np.array([0.0, 1.0])
    shares = np.arange(1, n_bins) / n_bins
    inner = np.unique(np.quantile(confidence.astype(np.float64), shares, method="inverted_cdf"))
    return np.array([0, *inner[inner < confidence.max()], 1], np.float64)


def top_label(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(confidence [N], correct bool [N]) of the most probable class, the first of equal ones.

    `labels` int [N], `probabilities` [N, classes].
    """
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature T of `scaled` with the least mean negative log-likelihood (Guo et al. 2017).

    `labels` int [N], `probabilities` [N, classes]. That mean is convex in 1/T, so that its slope
    has one root. T is 0.05 or 20 where it still falls there: 0.05 where the label always is the
    most probable class, 20 where probabilities say less than nothing; and 1 where all are
    uniform. Raises `UserError` without rows and for NaN.
    """
    if not len(labels):
        raise UserError("no rows to fit a temperature on: expected a split with some")
    if np.isnan(probabilities).any():
        raise UserError("a temperature needs the probabilities of every row; found only decisions")
    logs = _logs(probabilities)
    if np.ptp(logs, axis=1).max() < 1e-12:
        return 1.0
    own = logs[np.arange(len(labels)), labels].mean()

    def slope(inverse: float) -> float:
        return float((softmax(inverse * logs, axis=1) * logs).sum(axis=1).mean() - own)

    if slope(1 / MAX_TEMPERATURE) >= 0:
        return MAX_TEMPERATURE
    if slope(1 / MIN_TEMPERATURE) <= 0:
        return MIN_TEMPERATURE
    return 1 / brentq(slope, 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE, xtol=1e-12)


def scaled(probabilities: np.ndarray, temperatures: float | np.ndarray) -> np.ndarray:
    """softmax(log p / T) [N, classes], with one T or one for each row; above 1 it is less sure.

    The most probable class stays; a probability below 1e-15 counts as 1e-15; NaN stays NaN.
    """
    return softmax(_logs(probabilities) / np.reshape(temperatures, (-1, 1)), axis=1)


@CALIBRATIONS.register
def temperature(
    labels: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    n_groups: int,
    min_rows: int,
    *,
    by: str = "all",
) -> np.ndarray:
    """[n_groups + 1] temperature of each group, so that `[groups]` of it is that of each row.

    `groups` int [N], -1 unknown. The last one is that of all rows, for rows of unknown group. All
    are equal with `by` `all`; with `group` a group with fewer than `min_rows` rows or only one
    class has the temperature of all too.
    """
    if by not in ("all", "group"):
        raise UserError(f"temperature(by='{by}'): expected 'all' or 'group'")
    temperatures = np.full(n_groups + 1, fit_temperature(labels, probabilities))
    for group in groups_with_own(labels, groups, n_groups, min_rows) if by == "group" else ():
        rows = groups == group
        temperatures[group] = fit_temperature(labels[rows], probabilities[rows])
    return temperatures


def groups_with_own(
    labels: np.ndarray, groups: np.ndarray, n_groups: int, min_rows: int
) -> list[int]:
    """The groups with enough rows, of several classes, for a temperature of their own."""
    own = [labels[groups == group] for group in range(n_groups)]
    return [g for g, y in enumerate(own) if len(y) >= min_rows and len(np.unique(y)) > 1]


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY))
