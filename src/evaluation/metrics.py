"""The metrics: each is a row (name, label, unit, needs) and one function of weighted rows.

A function gives float64 [n_resamples], NaN where a resample lacks what it needs. The estimate is
that of weights of one. To add a metric, add a function here: trainer, `--monitor`, evaluator,
tables and page take it from its row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..core.errors import UserError, nearest
from .calibration import reliability_of
from .weighted import Curve, Weighted, mean_of_known, ratios

FIXED_RATE = 0.9  # where sensitivity is read at a specificity, and the other way round
_ALMOST = 1e-9  # a rate that is reached but for rounding is reached


@dataclass(frozen=True)
class Metric:
    """A metric's row.

    `label` is its name in tables; `unit` `%` for shares, which a report tells in percent;
    `higher_is_better` None where neither is; `counts` the rows that it counts (`all`, `positive`,
    `negative`; `both` where it needs positive and negative ones); `needs` `decisions` or
    `probabilities`. `of_classes` is one for more than two classes alone, `per_class` also told of
    each class, `compares_groups` a rate that groups are compared by. One without `has_interval`
    grows under resampling, so that resamples lie above the truth.
    """

    measure: Callable[[Weighted], np.ndarray]
    label: str
    unit: str = ""
    higher_is_better: bool | None = True
    counts: str = "both"
    needs: str = "decisions"
    of_classes: bool = False
    per_class: bool = False
    compares_groups: bool = False
    has_interval: bool = True


METRICS: dict[str, Metric] = {}


def metric(label: str, unit: str = "", **row) -> Callable:
    """Decorator that adds a function to `METRICS` under its own name, with its row."""

    def register(measure: Callable[[Weighted], np.ndarray]) -> Callable:
        METRICS[measure.__name__] = Metric(measure, label, unit, **row)
        return measure

    return register


@metric("accuracy", "%", counts="all", compares_groups=True)
def accuracy(w: Weighted) -> np.ndarray:
    """Rows that are decided rightly, of all."""
    return ratios(w.n_right, w.n)


@metric("balanced accuracy", "%")
def balanced_accuracy(w: Weighted) -> np.ndarray:
    """Mean recall of the classes that have rows."""
    return mean_of_known(ratios(w.hits, w.labelled))


@metric("precision", "%", per_class=True)
def precision(w: Weighted) -> np.ndarray:
    """Positive rows among those decided positive."""
    return ratios(w.tp, w.n_selected)


@metric("sensitivity", "%", counts="positive", per_class=True, compares_groups=True)
def sensitivity(w: Weighted) -> np.ndarray:
    """Positive rows that are decided positive."""
    return ratios(w.tp, w.n_positive)


@metric("F1", counts="positive", per_class=True, compares_groups=True)
def f1(w: Weighted) -> np.ndarray:
    """Harmonic mean of precision and sensitivity; NaN without positive rows."""
    return np.where(w.n_positive > 0, ratios(2 * w.tp, w.n_positive + w.n_selected), np.nan)


@metric("specificity", "%", counts="negative")
def specificity(w: Weighted) -> np.ndarray:
    """Negative rows that are not decided positive."""
    return ratios(w.n_negative - w.fp, w.n_negative)


@metric("false-positive rate", "%", counts="negative", higher_is_better=False, compares_groups=True)
def false_positive_rate(w: Weighted) -> np.ndarray:
    """Negative rows that are decided positive."""
    return ratios(w.fp, w.n_negative)


@metric("false-negative rate", "%", counts="positive", higher_is_better=False, compares_groups=True)
def false_negative_rate(w: Weighted) -> np.ndarray:
    """Positive rows that are not decided positive."""
    return ratios(w.n_positive - w.tp, w.n_positive)


@metric("selection rate", "%", counts="all", higher_is_better=None, compares_groups=True)
def selection_rate(w: Weighted) -> np.ndarray:
    """Rows that are decided positive, of all."""
    return ratios(w.n_selected, w.n)


@metric("AUROC", needs="probabilities", per_class=True)
def auroc(w: Weighted) -> np.ndarray:
    """Share of pairs of a positive and a negative row that are in order, ties counting half."""
    curve = w.curve
    hits_before = curve.hits - curve.positives / 2
    in_order = np.einsum("rs,rs->r", curve.negatives, hits_before, dtype=np.float64)
    return ratios(in_order, curve.n_positive * curve.n_negative)


@metric("partial AUROC above 80 % sensitivity", needs="probabilities")
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


@metric("AUPRC", needs="probabilities", per_class=True)
def auprc(w: Weighted) -> np.ndarray:
    """Average precision: mean over the positive rows of the precision down to their score."""
    curve = w.curve
    precision = ratios(curve.hits, curve.hits + curve.alarms)
    area = np.nansum(curve.positives * precision, axis=1, dtype=np.float64)
    return ratios(area, curve.n_positive)


@metric(f"sensitivity at {100 * FIXED_RATE:.0f} % specificity", "%", needs="probabilities")
def sensitivity_at_specificity(w: Weighted) -> np.ndarray:
    """The best sensitivity of one threshold with this specificity, without interpolation."""
    curve = w.curve
    allowed = (1 - FIXED_RATE + _ALMOST) * curve.n_negative
    n_thresholds = (curve.alarms <= allowed[:, None]).sum(axis=1)
    hits = np.where(n_thresholds > 0, _pick(curve.hits, n_thresholds - 1), 0)
    return _of_both(curve, ratios(hits, curve.n_positive))


@metric(f"specificity at {100 * FIXED_RATE:.0f} % sensitivity", "%", needs="probabilities")
def specificity_at_sensitivity(w: Weighted) -> np.ndarray:
    """The best specificity of one threshold with this sensitivity, without interpolation."""
    curve = w.curve
    wanted = (FIXED_RATE - _ALMOST) * curve.n_positive
    alarms = _pick(curve.alarms, (curve.hits < wanted[:, None]).sum(axis=1))
    return _of_both(curve, 1 - ratios(alarms, curve.n_negative))


@metric("Brier score", higher_is_better=False, counts="all", needs="probabilities")
def brier(w: Weighted) -> np.ndarray:
    """Mean squared distance of probabilities from the label, as in `Rows.losses`."""
    return ratios(w.losses[:, 0], w.n)


@metric("log loss", higher_is_better=False, counts="all", needs="probabilities")
def log_loss(w: Weighted) -> np.ndarray:
    """Mean negative log probability of the label, in nats."""
    return ratios(w.losses[:, 1], w.n)


@metric("Cohen's κ", counts="all")
def cohen_kappa(w: Weighted) -> np.ndarray:
    """Agreement of labels and decisions beyond chance, -1 to 1 (Cohen 1960)."""
    by_chance = (w.labelled * w.decided).sum(axis=1)
    return ratios(w.n * w.n_right - by_chance, w.n**2 - by_chance)


@metric("Matthews correlation", counts="all")
def matthews(w: Weighted) -> np.ndarray:
    """Correlation of labels and decisions, -1 to 1 (Gorodkin 2004)."""
    by_chance = (w.labelled * w.decided).sum(axis=1)
    spread = [w.n**2 - (counts**2).sum(axis=1) for counts in (w.labelled, w.decided)]
    return ratios(w.n * w.n_right - by_chance, np.sqrt(spread[0] * spread[1]))


def _calibration_error(name: str, bins: str, label: str) -> None:
    """Register the expected calibration error (Guo et al. 2017) in these bins of `BINS`."""

    def measure(w: Weighted) -> np.ndarray:
        rows = w.rows
        of_rows = w.weights[:, rows.clusters]
        found = [reliability_of(rows.predictions, bins, rows.n_bins, each) for each in of_rows]
        return np.array([one.ece for one in found])

    METRICS[name] = Metric(
        measure, label, higher_is_better=False, needs="probabilities", has_interval=False
    )


_calibration_error("ece", "equal_width", "calibration error")
_calibration_error("ece_equal_mass", "equal_mass", "calibration error, bins of equal size")
_calibration_error("ece_positive", "positive", "calibration error of the positive class")


def _macro(w: Weighted, wholes: np.ndarray) -> np.ndarray:
    """Mean over the classes with rows of hits / wholes [n_resamples, classes], 0 of nothing."""
    values = np.nan_to_num(ratios(w.hits, wholes))
    return mean_of_known(np.where(w.labelled > 0, values, np.nan))


def _by_class_size(w: Weighted, wholes: np.ndarray) -> np.ndarray:
    """Mean over all rows of hits / wholes [n_resamples, classes] of their class, 0 of nothing."""
    return ratios((np.nan_to_num(ratios(w.hits, wholes)) * w.labelled).sum(axis=1), w.n)


def _averaged(mean: Callable, wholes: Callable) -> Callable[[Weighted], np.ndarray]:
    return lambda w: mean(w, wholes(w))


def _averages(suffix: str, mean: Callable, label: str) -> None:
    """Register precision, recall and F1 of each class against the rest, averaged by `mean`."""
    wholes_of = {
        "precision": lambda w: w.decided,
        "recall": lambda w: w.labelled,
        "F1": lambda w: (w.labelled + w.decided) / 2,
    }
    for name, wholes in wholes_of.items():
        METRICS[f"{name.lower()}_{suffix}"] = Metric(
            _averaged(mean, wholes),
            f"{name}, {label}",
            unit="" if name == "F1" else "%",
            of_classes=True,
        )


_averages("macro", _macro, "mean of the classes")
_averages("weighted", _by_class_size, "weighted by class size")


@metric("AUROC, mean of the classes", needs="probabilities", of_classes=True)
def auroc_macro(w: Weighted) -> np.ndarray:
    """Mean AUROC of each class against the rest, of those that have it."""
    return mean_of_known(np.stack([auroc(one) for one in w.by_class], axis=1))


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
