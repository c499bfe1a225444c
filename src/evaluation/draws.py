"""Every metric of every bootstrap draw at once: the same figures as `metrics`, without a loop.

Tests hold each of them against scikit-learn on the rows that a draw has.
"""

import numpy as np

from .bootstrap import Ranking, rank_draws, ratios, sums_of_draws
from .metrics import FIXED_RATE, brier_scores, own_probability
from .predictions import Predictions


def metrics_of_draws(
    predictions: Predictions, units: np.ndarray, draws: np.ndarray
) -> dict[str, np.ndarray]:
    """Each metric of `compute_metrics` but counts and `CALIBRATION_ERRORS`, float64 [n_draws].

    `units` int [N] are the rows' columns of `draws` [n_draws, n_units].
    """
    labels, probabilities = predictions.labels, predictions.probabilities
    positive = predictions.positive
    confusion = confusion_of_draws(predictions, units, draws)
    n_rows = confusion.sum(axis=(1, 2))
    target = labels == positive
    rates = rates_of_draws(confusion, positive)
    by_class = class_rates_of_draws(confusion)
    found = {
        "accuracy": ratios(np.trace(confusion, axis1=1, axis2=2), n_rows),
        "balanced_accuracy": _mean_of_known(by_class["recall"]),
        "malignant_precision": by_class["precision"][:, positive],
        "malignant_recall": rates["true_positive_rate"],
        "malignant_f1": rates["f1"],
        "specificity": 1 - rates["false_positive_rate"],
        "false_positive_rate": rates["false_positive_rate"],
        "false_negative_rate": rates["false_negative_rate"],
        "selection_rate": rates["selection_rate"],
        **_rank(target, probabilities[:, positive], units, draws)._asdict(),
        **_losses(predictions, units, draws, n_rows),
        **_agreement(confusion),
    }
    if len(predictions.classes) > 2:
        found |= _averages(confusion, by_class)
        classes = range(len(predictions.classes))
        areas = [_rank(labels == c, probabilities[:, c], units, draws).auroc for c in classes]
        found["auroc_macro"] = _mean_of_known(np.stack(areas, axis=1))
    return found


def class_metrics_of_draws(
    predictions: Predictions, units: np.ndarray, draws: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """Each figure of `class_metrics` but the counts, float64 [n_draws], by class and name."""
    by_class = class_rates_of_draws(confusion_of_draws(predictions, units, draws))
    found = {}
    for c, name in enumerate(predictions.classes):
        score = predictions.probabilities[:, c]
        ranking = _rank(predictions.labels == c, score, units, draws)
        rates = {figure: values[:, c] for figure, values in by_class.items()}
        found[name] = {**rates, "auroc": ranking.auroc, "auprc": ranking.auprc}
    return found


def confusion_of_draws(
    predictions: Predictions, units: np.ndarray, draws: np.ndarray
) -> np.ndarray:
    """float64 [n_draws, label, decision]: rows of each draw."""
    n_classes, n_units = len(predictions.classes), draws.shape[1]
    cells = predictions.labels * n_classes + predictions.decisions
    counts = np.bincount(units * n_classes**2 + cells, minlength=n_units * n_classes**2)
    drawn = draws @ counts.reshape(n_units, n_classes**2).astype(np.float32)
    return drawn.astype(np.float64).reshape(-1, n_classes, n_classes)


def rates_of_draws(confusion: np.ndarray, positive: int) -> dict[str, np.ndarray]:
    """The rates that groups are compared by, of one class against the rest, each [n_draws]."""
    tp = confusion[:, positive, positive]
    n, n_positive = confusion.sum(axis=(1, 2)), confusion[:, positive].sum(axis=1)
    n_selected = confusion[:, :, positive].sum(axis=1)
    fp, fn = n_selected - tp, n_positive - tp
    return {
        "selection_rate": ratios(n_selected, n),
        "true_positive_rate": ratios(tp, n_positive),
        "false_positive_rate": ratios(fp, n - n_positive),
        "false_negative_rate": ratios(fn, n_positive),
        "accuracy": ratios(n - fp - fn, n),
        "f1": np.where(n_positive > 0, ratios(2 * tp, 2 * tp + fp + fn), np.nan),
    }


def class_rates_of_draws(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1, each [n_draws, classes]; the last two NaN for an absent class."""
    right = np.diagonal(confusion, axis1=1, axis2=2)
    labelled, decided = confusion.sum(axis=2), confusion.sum(axis=1)
    return {
        "precision": ratios(right, decided),
        "recall": ratios(right, labelled),
        "f1": np.where(labelled > 0, ratios(2 * right, labelled + decided), np.nan),
    }


def _losses(predictions: Predictions, units, draws, n_rows: np.ndarray) -> dict[str, np.ndarray]:
    labels, probabilities = predictions.labels, predictions.probabilities
    brier = brier_scores(labels, probabilities)
    losses = np.stack([brier, -np.log(own_probability(labels, probabilities))], axis=1)
    means = ratios(sums_of_draws(losses, units, draws), n_rows[:, None])
    return {"brier": means[:, 0], "log_loss": means[:, 1]}


def _rank(target, score, units, draws) -> Ranking:
    if np.isnan(score).any():
        return Ranking(*np.full((len(Ranking._fields), len(draws)), np.nan))
    return rank_draws(target, score, units, draws, FIXED_RATE)


def _averages(confusion: np.ndarray, by_class: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Macro averages, and those weighted by rows, of the classes that have rows."""
    rows, found = confusion.sum(axis=2), {}
    for name, figures in by_class.items():
        values = np.nan_to_num(figures)  # a class that has rows and is never decided counts as 0
        found[f"{name}_macro"] = _mean_of_known(np.where(rows > 0, values, np.nan))
        found[f"{name}_weighted"] = ratios((values * rows).sum(axis=1), rows.sum(axis=1))
    return found


def _agreement(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Cohen's κ and the Matthews correlation of more classes (Gorodkin 2004), each [n_draws]."""
    n = confusion.sum(axis=(1, 2))
    labelled, decided = confusion.sum(axis=2), confusion.sum(axis=1)
    right = np.trace(confusion, axis1=1, axis2=2)
    chance = (labelled * decided).sum(axis=1)
    spread = (n**2 - (labelled**2).sum(axis=1)) * (n**2 - (decided**2).sum(axis=1))
    return {
        "cohen_kappa": ratios(n * right - chance, n**2 - chance),
        "matthews": ratios(n * right - chance, np.sqrt(spread)),
    }


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean over classes [n_draws] of values [n_draws, classes] that are not NaN."""
    known = ~np.isnan(values)
    return ratios(np.nan_to_num(values).sum(axis=1), known.sum(axis=1))
