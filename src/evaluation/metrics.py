"""Metrics on plain arrays; what is undefined is NaN, and every count is given."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from src.evaluation.predictions import Predictions

# Names that can pick the best epoch, and whether a higher value is better.
MONITORED = {
    "loss": False,
    "log_loss": False,
    "accuracy": True,
    "balanced_accuracy": True,
    "malignant_precision": True,
    "malignant_recall": True,
    "malignant_f1": True,
    "specificity": True,
    "auroc": True,
    "auprc": True,
    "auroc_macro": True,
    "demographic_parity_difference": False,
    "equal_opportunity_difference": False,
}


def ratio(part: float, whole: float) -> float:
    """part / whole, NaN where there is nothing to divide by."""
    return float(part / whole) if whole else float("nan")


def binary_metrics(target: np.ndarray, decision: np.ndarray, score: np.ndarray) -> dict:
    """Metrics of detecting a class: `target` and `decision` bool [N], `score` float [N].

    AUROC is NaN without both kinds of rows; AUPRC, recall, F1 without positives; specificity
    without negatives; precision without a positive decision; AUROC, AUPRC where a score is NaN.
    """
    tp = int((target & decision).sum())
    fp = int((~target & decision).sum())
    fn = int((target & ~decision).sum())
    tn = int((~target & ~decision).sum())
    positives, negatives = tp + fn, fp + tn
    ranked = not np.isnan(score).any()
    auroc = roc_auc_score(target, score) if ranked and positives and negatives else np.nan
    auprc = average_precision_score(target, score) if ranked and positives else np.nan
    return {
        "malignant_precision": ratio(tp, tp + fp),
        "malignant_recall": ratio(tp, positives),
        "malignant_f1": ratio(2 * tp, 2 * tp + fp + fn) if positives else float("nan"),
        "specificity": ratio(tn, negatives),
        "auroc": float(auroc),
        "auprc": float(auprc),
        "selection_rate": ratio(tp + fp, len(target)),
        "n": len(target),
        "n_malignant": positives,
    }


def compute_metrics(predictions: Predictions) -> dict:
    """All metrics of a predictions table without regard to groups.

    The malignant ones judge the positive class against the rest. `balanced_accuracy` is the mean
    recall of the classes that occur; `log_loss` the mean negative log probability of the label,
    in nats; `confusion_matrix` counts rows by [label][decision].
    """
    labels, decisions = predictions.labels, predictions.decisions
    probabilities = predictions.probabilities
    rows = np.arange(len(labels))
    own = np.clip(probabilities[rows, labels].astype(np.float64), 1e-15, 1.0)
    positive = predictions.positive
    metrics = {
        "accuracy": ratio((labels == decisions).sum(), len(labels)),
        "balanced_accuracy": _balanced_accuracy(labels, decisions),
        **binary_metrics(labels == positive, decisions == positive, probabilities[:, positive]),
        "log_loss": float(-np.log(own).mean()) if len(labels) else float("nan"),
    }
    n_classes = len(predictions.classes)
    if n_classes > 2:
        metrics["auroc_macro"] = _macro_auroc(labels, probabilities)
    counts = np.bincount(labels * n_classes + decisions, minlength=n_classes**2)
    metrics["confusion_matrix"] = counts.reshape(n_classes, n_classes).tolist()
    return metrics


def _balanced_accuracy(labels: np.ndarray, decisions: np.ndarray) -> float:
    # not scikit-learn's, which warns of decided classes without a row
    recalls = [(decisions[labels == label] == label).mean() for label in np.unique(labels)]
    return float(np.mean(recalls)) if recalls else float("nan")


def _macro_auroc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean one-vs-rest AUROC over the classes that have rows, NaN where one class is all."""
    if np.isnan(probabilities).any():
        return float("nan")
    present = [c for c in np.unique(labels) if (labels != c).any()]
    scores = [roc_auc_score(labels == c, probabilities[:, c]) for c in present]
    return float(np.mean(scores)) if scores else float("nan")
