"""The metrics: each is a row (name, label, unit, needs) and one function of weighted rows.

A function gives float64 [n_resamples], NaN where a resample lacks what it needs. The estimate is
that of weights of one. To add a metric, add a function here: trainer, `--monitor`, evaluator,
tables and page take it from its row.
"""

import numpy as np

from ..core.errors import UserError, nearest
from .calibration import reliability_of
from .metric_row import METRICS, metric
from .weighted import Curve, Weighted, mean_of_known, ratios

FIXED_RATE = 0.9  # where sensitivity is read at a specificity, and the other way round
_ALMOST = 1e-9  # a rate that is reached but for rounding is reached


@metric(label="accuracy", unit="%", counts="all", compares_groups=True)
def accuracy(w: Weighted) -> np.ndarray:
    """Rows that are decided rightly, of all."""
    return ratios(w.n_right, w.n)


@metric(label="balanced accuracy", unit="%")
def balanced_accuracy(w: Weighted) -> np.ndarray:
    """Mean recall of the classes that have rows."""
    return mean_of_known(ratios(w.hits, w.labelled))


@metric(label="precision", unit="%", per_class=True)
def precision(w: Weighted) -> np.ndarray:
    """Positive rows among those decided positive."""
    return ratios(w.tp, w.n_selected)


@metric(label="sensitivity", unit="%", counts="positive", per_class=True, compares_groups=True)
def sensitivity(w: Weighted) -> np.ndarray:
    """Positive rows that are decided positive."""
    return ratios(w.tp, w.n_positive)


@metric(label="F1", counts="positive", per_class=True, compares_groups=True)
def f1(w: Weighted) -> np.ndarray:
    """Harmonic mean of precision and sensitivity; NaN without positive rows."""
    return np.where(w.n_positive > 0, ratios(2 * w.tp, w.n_positive + w.n_selected), np.nan)


@metric(label="specificity", unit="%", counts="negative")
def specificity(w: Weighted) -> np.ndarray:
    """Negative rows that are not decided positive."""
    return ratios(w.n_negative - w.fp, w.n_negative)


@metric(
    label="false-positive rate",
    unit="%",
    counts="negative",
    higher_is_better=False,
    compares_groups=True,
)
def false_positive_rate(w: Weighted) -> np.ndarray:
    """Negative rows that are decided positive."""
    return ratios(w.fp, w.n_negative)


@metric(
    label="false-negative rate",
    unit="%",
    counts="positive",
    higher_is_better=False,
    compares_groups=True,
)
def false_negative_rate(w: Weighted) -> np.ndarray:
    """Positive rows that are not decided positive."""
    return ratios(w.fn, w.n_positive)


@metric(label="selection rate", unit="%", counts="all", higher_is_better=None, compares_groups=True)
def selection_rate(w: Weighted) -> np.ndarray:
    """Rows that are decided positive, of all."""
    return ratios(w.n_selected, w.n)


@metric(label="AUROC", needs="probabilities", per_class=True)
def auroc(w: Weighted) -> np.ndarray:
    """Share of pairs of a positive and a negative row that are in order, ties counting half."""
    curve = w.curve
    hits_before = curve.hits - curve.positives / 2
    in_order = np.einsum("rs,rs->r", curve.negatives, hits_before, dtype=np.float64)
    return ratios(in_order, curve.n_positive * curve.n_negative)


@metric(label="partial AUROC above 80 % sensitivity", needs="probabilities")
def partial_auroc(w: Weighted) -> np.ndarray:
    """Area between the ROC curve and a sensitivity of 0.8, 0 to 0.2 (ISIC 2024 challenge)."""
    curve = w.curve
    least = (0.8 * curve.n_positive).astype(curve.hits.dtype)
    above = np.maximum(curve.hits - least[:, None], 0)
    before = np.maximum(above - curve.positives, 0)
    # of a step that crosses 0.8 only the part above it counts
    part = np.minimum(np.where(curve.positives > 0, ratios(above, curve.positives), 1), 1)
    area = np.einsum("rs,rs,rs->r", curve.negatives, part, above + before, dtype=np.float64)
    return ratios(area / 2, curve.n_positive * curve.n_negative)


@metric(label="AUPRC", needs="probabilities", per_class=True)
def auprc(w: Weighted) -> np.ndarray:
    """Average precision: mean over the positive rows of the precision down to their score."""
    curve = w.curve
    steps = curve.positives.any(axis=0)  # it moves at positive rows alone
    found = curve.hits[:, steps]
    at_steps = ratios(found, found + curve.alarms[:, steps])
    area = np.nansum(curve.positives[:, steps] * at_steps, axis=1, dtype=np.float64)
    return ratios(area, curve.n_positive)


@metric(
    label=f"sensitivity at {100 * FIXED_RATE:.0f} % specificity", unit="%", needs="probabilities"
)
def sensitivity_at_specificity(w: Weighted) -> np.ndarray:
    """The best sensitivity of one threshold with this specificity, without interpolation."""
    curve = w.curve
    allowed = (1 - FIXED_RATE + _ALMOST) * curve.n_negative
    n_thresholds = (curve.alarms <= allowed[:, None]).sum(axis=1)
    hits = np.where(n_thresholds > 0, _pick(curve.hits, n_thresholds - 1), 0)
    return _of_both(curve, ratios(hits, curve.n_positive))


@metric(
    label=f"specificity at {100 * FIXED_RATE:.0f} % sensitivity", unit="%", needs="probabilities"
)
def specificity_at_sensitivity(w: Weighted) -> np.ndarray:
    """The best specificity of one threshold with this sensitivity, without interpolation."""
    curve = w.curve
    wanted = (FIXED_RATE - _ALMOST) * curve.n_positive
    alarms = _pick(curve.alarms, (curve.hits < wanted[:, None]).sum(axis=1))
    return _of_both(curve, 1 - ratios(alarms, curve.n_negative))


@metric(label="Brier score", higher_is_better=False, counts="all", needs="probabilities")
def brier(w: Weighted) -> np.ndarray:
    """Mean squared distance of probabilities from the label, as in `Rows.losses`."""
    return ratios(w.losses[:, 0], w.n)


@metric(label="log loss", higher_is_better=False, counts="all", needs="probabilities")
def log_loss(w: Weighted) -> np.ndarray:
    """Mean negative log probability of the label, in nats."""
    return ratios(w.losses[:, 1], w.n)


@metric(label="Cohen's κ", counts="all")
def cohen_kappa(w: Weighted) -> np.ndarray:
    """Agreement of labels and decisions beyond chance, -1 to 1 (Cohen 1960)."""
    by_chance = (w.labelled * w.decided).sum(axis=1)
    return ratios(w.n * w.n_right - by_chance, w.n**2 - by_chance)


@metric(label="Matthews correlation", counts="all")
def matthews(w: Weighted) -> np.ndarray:
    """Correlation of labels and decisions, -1 to 1 (Gorodkin 2004)."""
    by_chance = (w.labelled * w.decided).sum(axis=1)
    spread = [w.n**2 - (counts**2).sum(axis=1) for counts in (w.labelled, w.decided)]
    return ratios(w.n * w.n_right - by_chance, np.sqrt(spread[0] * spread[1]))


@metric(
    label="calibration error", higher_is_better=False, needs="probabilities", has_interval=False
)
def ece(w: Weighted) -> np.ndarray:
    """Expected calibration error of the most probable class (Guo et al. 2017)."""
    return _calibration_error(w, "equal_width")


@metric(
    label="calibration error, bins of equal size",
    higher_is_better=False,
    needs="probabilities",
    has_interval=False,
)
def ece_equal_mass(w: Weighted) -> np.ndarray:
    """As `ece`, in bins of about as many rows each (Nguyen & O'Connor 2015)."""
    return _calibration_error(w, "equal_mass")


@metric(
    label="calibration error of the positive class",
    higher_is_better=False,
    needs="probabilities",
    has_interval=False,
)
def ece_positive(w: Weighted) -> np.ndarray:
    """As `ece`, of the probability of the positive class."""
    return _calibration_error(w, "positive")


@metric(label="precision, mean of the classes", unit="%", of_classes=True)
def precision_macro(w: Weighted) -> np.ndarray:
    """Mean precision of the classes that have rows; one that is never decided counts as 0."""
    return _macro(w, w.decided)


@metric(label="recall, mean of the classes", unit="%", of_classes=True)
def recall_macro(w: Weighted) -> np.ndarray:
    """Mean recall of the classes that have rows."""
    return balanced_accuracy(w)


@metric(label="F1, mean of the classes", of_classes=True)
def f1_macro(w: Weighted) -> np.ndarray:
    """Mean F1 of the classes that have rows."""
    return _macro(w, (w.labelled + w.decided) / 2)


@metric(label="precision, weighted by class size", unit="%", of_classes=True)
def precision_weighted(w: Weighted) -> np.ndarray:
    """Mean precision of the classes, each by its rows; one that is never decided counts as 0."""
    return _by_class_size(w, w.decided)


@metric(label="recall, weighted by class size", unit="%", of_classes=True)
def recall_weighted(w: Weighted) -> np.ndarray:
    """Mean recall of the classes, each by its rows: the accuracy."""
    return _by_class_size(w, w.labelled)


@metric(label="F1, weighted by class size", of_classes=True)
def f1_weighted(w: Weighted) -> np.ndarray:
    """Mean F1 of the classes, each by its rows."""
    return _by_class_size(w, (w.labelled + w.decided) / 2)


@metric(label="AUROC, mean of the classes", needs="probabilities", of_classes=True)
def auroc_macro(w: Weighted) -> np.ndarray:
    """Mean AUROC of each class against the rest, of those that have it."""
    return mean_of_known(np.stack([auroc(one) for one in w.by_class], axis=1))


def _calibration_error(w: Weighted, bins: str) -> np.ndarray:
    rows = w.rows
    of_rows = w.weights[:, rows.clusters]
    found = [reliability_of(rows.predictions, bins, rows.n_bins, weights) for weights in of_rows]
    return np.array([one.ece for one in found])


def _macro(w: Weighted, wholes: np.ndarray) -> np.ndarray:
    """Mean over the classes with rows of hits / wholes [n_resamples, classes], 0 of nothing."""
    values = np.nan_to_num(ratios(w.hits, wholes))
    return mean_of_known(np.where(w.labelled > 0, values, np.nan))


def _by_class_size(w: Weighted, wholes: np.ndarray) -> np.ndarray:
    """Mean over all rows of hits / wholes [n_resamples, classes] of their class, 0 of nothing."""
    return ratios((np.nan_to_num(ratios(w.hits, wholes)) * w.labelled).sum(axis=1), w.n)


def _pick(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """values[i, columns[i]] of each row i; the last column for those beyond."""
    if not values.shape[1]:
        return np.zeros(len(values))
    inside = np.clip(columns, 0, values.shape[1] - 1)
    return np.take_along_axis(values, inside[:, None], axis=1)[:, 0]


def _of_both(curve: Curve, values: np.ndarray) -> np.ndarray:
    """The values [n_resamples], NaN without rows of both kinds."""
    return np.where(curve.n_positive * curve.n_negative > 0, values, np.nan)


COMPARED = [name for name, row in METRICS.items() if row.compares_groups]
PER_CLASS = [name for name, row in METRICS.items() if row.per_class]
# Names that can pick the best epoch, and whether a higher value is better.
MONITORED = {
    "loss": False,
    "demographic_parity_difference": False,
    "equal_opportunity_difference": False,
    "equalized_odds_difference": False,
} | {n: row.higher_is_better for n, row in METRICS.items() if row.higher_is_better is not None}


def check_monitored(name: str) -> None:
    """Raise `UserError` that suggests the nearest of `MONITORED` unless `name` is one."""
    if name not in MONITORED:
        hint, known = nearest(name, MONITORED), ", ".join(MONITORED)
        raise UserError(f"--monitor {name}: no such metric{hint} (known: {known})")


def title_of(name: str) -> str:
    """What tables and figures call a metric."""
    return METRICS[name].label if name in METRICS else name.replace("_", " ")
