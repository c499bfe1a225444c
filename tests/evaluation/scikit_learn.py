"""Every metric as scikit-learn has it: the oracle of `src.evaluation.metrics`."""

import math

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

from src.evaluation.calibration import reliability_of
from src.evaluation.predictions import Predictions

NAN = math.nan


def metrics_of(predictions: Predictions) -> dict[str, float]:
    """All metrics of a table, NaN where they are undefined."""
    labels, decisions = predictions.labels, predictions.decisions
    probabilities, positive = predictions.probabilities, predictions.positive
    target, decision = labels == positive, decisions == positive
    macro, weighted = _averages(predictions)
    found = {
        "accuracy": _mean(labels == decisions),
        "balanced_accuracy": macro["recall_macro"],
        **_rates(target, decision),
        **_areas(target, probabilities[:, positive]),
        **_losses(labels, probabilities),
        **_agreement(labels, decisions),
    }
    for name, bins in (
        ("ece", "equal_width"),
        ("ece_equal_mass", "equal_mass"),
        ("ece_positive", "positive"),
    ):
        found[name] = reliability_of(predictions, bins, 15).ece  # held in test_calibration
    if len(predictions.classes) > 2:
        areas = [_areas(labels == c, probabilities[:, c])["auroc"] for c in np.unique(labels)]
        known = [area for area in areas if not math.isnan(area)]
        found |= {**macro, **weighted, "auroc_macro": _mean(known)}
    return found


def class_metrics_of(predictions: Predictions) -> dict[str, dict[str, float]]:
    """Figures of each class against the rest."""
    precision, recall, f1, support = _by_class(predictions)
    found = {}
    for c, name in enumerate(predictions.classes):
        areas = _areas(predictions.labels == c, predictions.probabilities[:, c])
        rates = {"precision": precision[c], "sensitivity": recall[c], "f1": f1[c]}
        found[name] = {"n": support[c], **rates, "auroc": areas["auroc"], "auprc": areas["auprc"]}
    return found


def _rates(target: np.ndarray, decision: np.ndarray) -> dict[str, float]:
    counts = (
        confusion_matrix(target, decision, labels=[False, True]) if len(target) else [[0, 0]] * 2
    )
    (tn, fp), (fn, tp) = counts
    return {
        "precision": _ratio(tp, tp + fp),
        "sensitivity": _ratio(tp, tp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn) if tp + fn else NAN,
        "specificity": _ratio(tn, tn + fp),
        "false_positive_rate": _ratio(fp, tn + fp),
        "false_negative_rate": _ratio(fn, tp + fn),
        "selection_rate": _ratio(tp + fp, len(target)),
    }


def _areas(target: np.ndarray, score: np.ndarray) -> dict[str, float]:
    names = ("auroc", "auprc", "partial_auroc")
    names += ("sensitivity_at_specificity", "specificity_at_sensitivity")
    undefined = dict.fromkeys(names, NAN)
    if np.isnan(score).any() or not target.any():
        return undefined
    auprc = average_precision_score(target, score)
    if target.all():
        return undefined | {"auprc": auprc}
    alarms, hits, _ = roc_curve(target, score, drop_intermediate=False)
    return {
        "auroc": roc_auc_score(target, score),
        "auprc": auprc,
        "partial_auroc": _area_above(alarms, hits, 0.8),
        "sensitivity_at_specificity": hits[1 - alarms >= 0.9 - 1e-9].max(),
        "specificity_at_sensitivity": (1 - alarms)[hits >= 0.9 - 1e-9].max(),
    }


def _area_above(alarms: np.ndarray, hits: np.ndarray, least: float) -> float:
    """Area between a ROC curve and a sensitivity, as the ISIC 2024 challenge has it."""
    start = np.interp(least, hits, alarms)  # of equal sensitivities the last false-positive rate
    place = np.searchsorted(hits, least)
    points = np.r_[start, alarms[place:]], np.r_[least, hits[place:]]
    return float(np.trapezoid(points[1] - least, points[0]))


def _losses(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    n_classes = probabilities.shape[1]
    brier = ((probabilities - np.eye(n_classes)[labels]) ** 2).sum(axis=1)
    own = np.clip(probabilities[np.arange(len(labels)), labels], 1e-15, 1)
    return {"brier": _mean(brier / (2 if n_classes == 2 else 1)), "log_loss": _mean(-np.log(own))}


def _by_class(predictions: Predictions) -> tuple[np.ndarray, ...]:
    n_classes = len(predictions.classes)
    if not len(predictions.labels):
        return (*np.full((3, n_classes), NAN), np.zeros(n_classes, int))
    precision, recall, f1, support = precision_recall_fscore_support(
        predictions.labels, predictions.decisions, labels=range(n_classes), zero_division=np.nan
    )
    return precision, recall, np.where(support > 0, f1, NAN), support


def _averages(predictions: Predictions) -> tuple[dict, dict]:
    *figures, support = _by_class(predictions)
    macro, weighted = {}, {}
    for name, values in zip(("precision", "recall", "f1"), figures, strict=True):
        values = np.nan_to_num(values)
        macro[f"{name}_macro"] = _mean(values[support > 0])
        weighted[f"{name}_weighted"] = _ratio((values * support).sum(), support.sum())
    return macro, weighted


def _agreement(labels: np.ndarray, decisions: np.ndarray) -> dict[str, float]:
    seen, decided = np.unique(labels), np.unique(decisions)
    has_kappa = len({*seen, *decided}) > 1
    has_correlation = min(len(seen), len(decided)) > 1
    return {
        "cohen_kappa": cohen_kappa_score(labels, decisions) if has_kappa else NAN,
        "matthews": matthews_corrcoef(labels, decisions) if has_correlation else NAN,
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def _mean(values) -> float:
    return float(np.mean(values)) if len(values) else NAN
