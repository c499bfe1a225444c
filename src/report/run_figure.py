"""Figures of predictions."""

from itertools import chain, cycle
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from ..core.files import replacing
from ..evaluation.predictions import Predictions

# tone groups from very light to dark
GROUP_COLORS = ("#e8b894", "#c98e62", "#9c6239", "#553018")
UNKNOWN_COLOR = "#8a8f98"


def plot_by_group(predictions: Predictions, metrics: dict, path: Path) -> None:
    """Save a PNG: ROC curves and, for each group, sensitivity and specificity with counts."""
    with matplotlib.rc_context({"font.size": 10, "axes.spines.top": False}):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        curves, bars = figure.subplots(1, 2)
        _roc_curves(curves, predictions, metrics)
        _rates(bars, metrics)
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=130, format="png")


def plot_gain_against_gap(rows: pd.DataFrame, path: Path) -> None:
    """Save a PNG: AUROC against the equal-opportunity difference of each line of `compare`.

    Crosses are 95 % intervals; the first line, which others are compared with, is black.
    """
    with matplotlib.rc_context({"font.size": 10, "axes.spines.top": False}):
        figure = Figure(figsize=(9, 5.4), layout="constrained")
        axes = figure.subplots()
        colors = chain(["black"], cycle(matplotlib.colormaps["tab20"].colors))
        for (_, row), color in zip(rows.iterrows(), colors, strict=False):
            x, y = row["equal_opportunity_difference"], row["auroc"]
            reach = {
                side: [
                    [max(0, row[name] - row[f"{name}_low"])],
                    [max(0, row[f"{name}_high"] - row[name])],
                ]
                for side, name in (("xerr", "equal_opportunity_difference"), ("yerr", "auroc"))
            }
            axes.errorbar(x, y, **reach, fmt="none", color=color, alpha=0.35, linewidth=1)
            axes.plot(x, y, "o", color=color, markersize=7, label=row["objective"])
        axes.set(
            xlabel="equal-opportunity difference between tone groups (less is fairer)",
            ylabel="AUROC",
            title="Accuracy against gap, with 95 % intervals",
        )
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=130, format="png")


def _roc_curves(axes, predictions: Predictions, metrics: dict) -> None:
    target = predictions.labels == predictions.positive
    score = predictions.probabilities[:, predictions.positive]
    parts = {"all": (np.full(len(target), True), "black", metrics)}
    colors = {-1: UNKNOWN_COLOR} | dict(enumerate(GROUP_COLORS))
    for group, name in [*enumerate(predictions.group_names), (-1, "unknown")]:
        if name in metrics["groups"]:
            color = colors.get(group, GROUP_COLORS[-1])
            parts[name] = (predictions.groups == group, color, metrics["groups"][name])
    for name, (rows, color, values) in parts.items():
        label = f"{name} (n={values['n']}, {values['n_malignant']} malignant)"
        if np.isnan(values["auroc"]):
            axes.plot([], [], color=color, label=f"{label}: undefined")
            continue
        false_positive, true_positive, _ = roc_curve(target[rows], score[rows])
        width = 2.5 if name == "all" else 1.6
        text = f"{label}: {values['auroc']:.3f}"
        axes.plot(false_positive, true_positive, color=color, linewidth=width, label=text)
    axes.plot([0, 1], [0, 1], color="#cccccc", linewidth=1, zorder=0)
    name = predictions.classes[predictions.positive]
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title=f"ROC, {name} (AUROC)")
    axes.legend(loc="lower right", fontsize=8, frameon=False)


def _rates(axes, metrics: dict) -> None:
    lines = {"all": metrics, **metrics["groups"]}
    places = np.arange(len(lines))
    for shift, (key, name, color) in enumerate(
        (("malignant_recall", "sensitivity", "#b5403a"), ("specificity", "specificity", "#46698c"))
    ):
        heights = [values[key] for values in lines.values()]
        drawn = axes.bar(places + 0.4 * (shift - 0.5), np.nan_to_num(heights), 0.36, color=color)
        drawn.set_label(name)
        texts = ["undefined" if np.isnan(height) else f"{height:.2f}" for height in heights]
        axes.bar_label(drawn, texts, fontsize=8)
    labels = [f"{name}\nn={v['n']}\n{v['n_malignant']} malignant" for name, v in lines.items()]
    axes.set_xticks(places, labels, fontsize=8)
    axes.set(ylim=(0, 1.2), yticks=np.linspace(0, 1, 6), title="At the decision threshold")
    axes.legend(loc="upper right", fontsize=8, ncols=2, frameon=False)
