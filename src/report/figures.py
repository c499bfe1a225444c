"""The figures of an evaluation, as files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..evaluation.predictions import Predictions
from .cases import plot_confusion, plot_hard_cases
from .curves import can_be_ranked, curves_of, plot_precision_recall, plot_roc
from .forest import plot_fairness, plot_per_class
from .reliability import plot_calibration

FIGURES = ("confusion_matrix", "fairness_by_group", "per_class_metrics", "roc_curves", "pr_curves")
FIGURES += ("calibration_curve", "hard_cases")


def write_figures(
    folder: Path,
    predictions: Predictions,
    evaluation: dict,
    image_of: Callable[[str], np.ndarray | None],
    other: Predictions | None = None,
) -> list[Path]:
    """The PNGs written into an existing folder, in a reader's order; all from one evaluation.

    `confusion_matrix`, `per_class_metrics` and `fairness_by_group` always; `roc_curves` and
    `pr_curves` where something can be ranked; `calibration_curve` where probabilities are known;
    `hard_cases` where a decision is wrong, with the images that `image_of` gives for names.
    `other` are the predictions of the compared model for the same rows.
    """
    curves = curves_of(predictions, evaluation, other)
    can_rank = any(can_be_ranked(curve) for curve in curves)
    tones = predictions.group_names
    bins = evaluation["calibration"]["positive"]["bins"]
    drawn = {
        "confusion_matrix": lambda path: plot_confusion(evaluation, path),
        "fairness_by_group": lambda path: plot_fairness(evaluation, tones, path),
        "per_class_metrics": lambda path: plot_per_class(evaluation, path),
    }
    if can_rank:
        drawn["roc_curves"] = lambda path: plot_roc(curves, path)
        drawn["pr_curves"] = lambda path: plot_precision_recall(curves, path)
    if any(b["n"] for b in bins):
        drawn["calibration_curve"] = lambda path: plot_calibration(evaluation, path)
    if evaluation["hard_cases"]:
        drawn["hard_cases"] = lambda path: plot_hard_cases(evaluation, image_of, path)
    for name, draw in drawn.items():
        draw(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]
