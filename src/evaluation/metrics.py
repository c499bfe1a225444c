"""Metrics on plain arrays; what is undefined is NaN, and every count is given."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    confusion_matrix,
    matthews_corrcoef,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from .calibration import (
    LEAST_PROBABILITY,
    Reliability,
    equal_mass_edges,
    equal_width_edges,
    reliability,
    top_label,
)
from .predictions import Predictions

FIXED_RATE = 0.9  # where sensitivity is read at a specificity, and the other way round
N_BINS = 15
# resampling only adds to them, so that their draws lie above the truth: they have no interval
CALIBRATION_ERRORS = ("ece", "ece_equal_mass", "ece_malignant")


class Metric(NamedTuple):
    """What a metric is called in tables, whether a higher value is better (None: neither), and its
    unit: `%` for shares, which a report tells in percent."""

    label: str
    higher_is_better: bool | None
    unit: str = ""


METRICS = {
    "accuracy": Metric("accuracy", True, "%"),
    "balanced_accuracy": Metric("balanced accuracy", True, "%"),
    "malignant_precision": Metric("precision", True, "%"),
    "malignant_recall": Metric("sensitivity", True, "%"),
    "malignant_f1": Metric("F1", True),
    "specificity": Metric("specificity", True, "%"),
    "false_positive_rate": Metric("false-positive rate", False, "%"),
    "false_negative_rate": Metric("false-negative rate", False, "%"),
    "selection_rate": Metric("selection rate", None, "%"),
    "auroc": Metric("AUROC", True),
    "auprc": Metric("AUPRC", True),
    "sensitivity_at_specificity": Metric("sensitivity at 90 % specificity", True, "%"),
    "specificity_at_sensitivity": Metric("specificity at 90 % sensitivity", True, "%"),
    "brier": Metric("Brier score", False),
    "log_loss": Metric("log loss", False),
    "cohen_kappa": Metric("Cohen's κ", True),
    "matthews": Metric("Matthews correlation", True),
    "ece": Metric("calibration error", False),
    "ece_equal_mass": Metric("calibration error, bins of equal size", False),
    "ece_malignant": Metric("calibration error of the positive class", False),
}
MULTICLASS_METRICS = {
    "precision_macro": Metric("precision, mean of the classes", True, "%"),
    "recall_macro": Metric("sensitivity, mean of the classes", True, "%"),
    "f1_macro": Metric("F1, mean of the classes", True),
    "precision_weighted": Metric("precision, weighted by class size", True, "%"),
    "recall_weighted": Metric("sensitivity, weighted by class size", True, "%"),
    "f1_weighted": Metric("F1, weighted by class size", True),
    "auroc_macro": Metric("AUROC, mean of the classes", True),
}
# Names that can pick the best epoch, and whether a higher value is better.
MONITORED = {
    "loss": False,
    "demographic_parity_difference": False,
    "equal_opportunity_difference": False,
} | {
    name: metric.higher_is_better
    for name, metric in (METRICS | MULTICLASS_METRICS).items()
    if metric.higher_is_better is not None
}


def title_of(name: str) -> str:
    """What tables and figures call a metric."""
    known = METRICS | MULTICLASS_METRICS
    return known[name].label if name in known else name.replace("_", " ")


def compute_metrics(predictions: Predictions, n_bins: int = N_BINS) -> dict:
    """`METRICS` of a predictions table, of more than two classes `MULTICLASS_METRICS` too.

    All without regard to groups, beside `n`, `n_malignant` and `confusion_matrix` (rows by
    [label][decision]). The malignant ones, the rates, AUROC, AUPRC, `selection_rate` and
    `ece_malignant` judge the positive class against the rest. `balanced_accuracy` is the mean
    recall of the classes that have rows; macro figures are over these classes too. `log_loss` is
    the mean negative log probability of the label, in nats; `brier` that of `brier_scores`; `ece`
    and `ece_equal_mass` are of the most probable class (Guo et al. 2017).
    """
    labels, decisions = predictions.labels, predictions.decisions
    probabilities, positive = predictions.probabilities, predictions.positive
    target, decision = labels == positive, decisions == positive
    recalls, weighted = _class_averages(predictions)
    metrics = {
        "accuracy": _mean(labels == decisions),
        "balanced_accuracy": recalls["recall_macro"],
        **_rates(target, decision),
        **ranking_metrics(target, probabilities[:, positive]),
        "brier": _mean(brier_scores(labels, probabilities)),
        "log_loss": _mean(-np.log(own_probability(labels, probabilities))),
        **_agreement(labels, decisions),
        **{name: found.ece for name, found in reliabilities(predictions, n_bins).items()},
    }
    if len(predictions.classes) > 2:
        ranked = (ranking_metrics(labels == c, probabilities[:, c]) for c in np.unique(labels))
        areas = [figures["auroc"] for figures in ranked if not np.isnan(figures["auroc"])]
        metrics |= {**recalls, **weighted, "auroc_macro": _mean(areas)}
    counts = _confusion(predictions)
    return {
        **metrics,
        "n": len(labels),
        "n_malignant": int(target.sum()),
        "confusion_matrix": counts.tolist(),
    }


def class_metrics(predictions: Predictions) -> dict[str, dict]:
    """Precision, recall, F1, AUROC and AUPRC of each class against the rest, and its rows `n`."""
    found = {}
    precision, recall, f1, support = _by_class(predictions)
    for c, name in enumerate(predictions.classes):
        areas = ranking_metrics(predictions.labels == c, predictions.probabilities[:, c])
        found[name] = {
            "n": int(support[c]),
            "precision": float(precision[c]),
            "recall": float(recall[c]),
            "f1": float(f1[c]),
            "auroc": areas["auroc"],
            "auprc": areas["auprc"],
        }
    return found


def ranking_metrics(target: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """What depends on the order of scores alone: `target` bool [N], `score` float [N].

    The two rates at the other's `FIXED_RATE` are the best that one threshold reaches, without
    interpolation. AUPRC is average precision. All are NaN without positive rows or where a score
    is NaN, all but AUPRC without negative ones.
    """
    names = ("auroc", "auprc", "sensitivity_at_specificity", "specificity_at_sensitivity")
    undefined = dict.fromkeys(names, float("nan"))
    if np.isnan(score).any() or not target.any():
        return undefined
    auprc = float(average_precision_score(target, score))
    if target.all():
        return undefined | {"auprc": auprc}
    false_positive, true_positive, _ = roc_curve(target, score, drop_intermediate=False)
    specific = 1 - false_positive >= FIXED_RATE - 1e-9
    sensitive = true_positive >= FIXED_RATE - 1e-9
    return {
        "auroc": float(roc_auc_score(target, score)),
        "auprc": auprc,
        "sensitivity_at_specificity": float(true_positive[specific].max()),
        "specificity_at_sensitivity": float((1 - false_positive)[sensitive].max()),
    }


def reliabilities(predictions: Predictions, n_bins: int) -> dict[str, Reliability]:
    """The bins behind each of `CALIBRATION_ERRORS`, by its name.

    `ece` and `ece_equal_mass` are of the most probable class, `ece_malignant` of the positive one.
    """
    confidence, right = top_label(predictions.labels, predictions.probabilities)
    target = predictions.labels == predictions.positive
    width = equal_width_edges(n_bins)
    found = (
        reliability(confidence, right, width),
        reliability(confidence, right, equal_mass_edges(confidence, n_bins)),
        reliability(predictions.probabilities[:, predictions.positive], target, width),
    )
    return dict(zip(CALIBRATION_ERRORS, found, strict=True))


def own_probability(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float64 [N]: what each row's own class was given, `LEAST_PROBABILITY` at least."""
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return np.clip(own, LEAST_PROBABILITY, 1.0)


def brier_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float64 [N]: squared distance of each row's probabilities from its label, halved for two
    classes: 0 to 1 of two, 0 to 2 of more (Brier 1950)."""
    n_classes = probabilities.shape[1]
    distances = ((probabilities - np.eye(n_classes)[labels]) ** 2).sum(axis=1)
    return distances / 2 if n_classes == 2 else distances


def _rates(target: np.ndarray, decision: np.ndarray) -> dict[str, float]:
    """Rates of deciding for the positive class: `target` and `decision` bool [N]."""
    counts = (
        confusion_matrix(target, decision, labels=[False, True]) if len(target) else [[0, 0]] * 2
    )
    (tn, fp), (fn, tp) = np.asarray(counts).tolist()
    positives, negatives = tp + fn, fp + tn
    return {
        "malignant_precision": ratio(tp, tp + fp),
        "malignant_recall": ratio(tp, positives),
        "malignant_f1": ratio(2 * tp, 2 * tp + fp + fn) if positives else float("nan"),
        "specificity": ratio(tn, negatives),
        "false_positive_rate": ratio(fp, negatives),
        "false_negative_rate": ratio(fn, positives),
        "selection_rate": ratio(tp + fp, len(target)),
    }


def _confusion(predictions: Predictions) -> np.ndarray:
    if not len(predictions.labels):
        return np.zeros((len(predictions.classes),) * 2, int)
    indices = range(len(predictions.classes))
    return confusion_matrix(predictions.labels, predictions.decisions, labels=indices)


def _by_class(predictions: Predictions) -> tuple[np.ndarray, ...]:
    """(precision, recall, F1, rows), each [classes]; F1 is NaN for a class without rows."""
    n_classes = len(predictions.classes)
    if not len(predictions.labels):
        return (*np.full((3, n_classes), np.nan), np.zeros(n_classes, int))
    precision, recall, f1, support = precision_recall_fscore_support(
        predictions.labels,
        predictions.decisions,
        labels=range(n_classes),
        zero_division=np.nan,
    )
    return precision, recall, np.where(support > 0, f1, np.nan), support


def _class_averages(predictions: Predictions) -> tuple[dict, dict]:
    """Mean precision, recall and F1 of the classes that have rows: (macro, weighted by rows)."""
    *figures, support = _by_class(predictions)
    macro, weighted = {}, {}
    for name, values in zip(("precision", "recall", "f1"), figures, strict=True):
        values = np.nan_to_num(values)  # a class that has rows and is never decided counts as 0
        macro[f"{name}_macro"] = _mean(values[support > 0])
        weighted[f"{name}_weighted"] = ratio((values * support).sum(), support.sum())
    return macro, weighted


def _agreement(labels: np.ndarray, decisions: np.ndarray) -> dict[str, float]:
    """Cohen's κ (1960) and the Matthews correlation (Gorodkin 2004), -1 to 1.

    κ is NaN where labels and decisions are all of one class, the correlation where either is.
    """
    seen, decided = np.unique(labels), np.unique(decisions)
    one_class = len({*seen, *decided}) < 2
    no_spread = min(len(seen), len(decided)) < 2
    return {
        "cohen_kappa": float("nan") if one_class else float(cohen_kappa_score(labels, decisions)),
        "matthews": float("nan") if no_spread else float(matthews_corrcoef(labels, decisions)),
    }


def ratio(part: float, whole: float) -> float:
    """part / whole, NaN where there is nothing to divide by."""
    return float(part / whole) if whole else float("nan")


def _mean(values) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
