"""ROC and precision-recall curves with their intervals and operating points."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from sklearn.metrics import precision_recall_curve, roc_curve

from ..evaluation.predictions import Predictions
from .style import (
    INK,
    OTHER,
    SMALL,
    SOFT_INK,
    interval_text,
    line_style,
    save_figure,
    short,
    tone_color,
)

_SIDE, _LINE = 4.8, 0.24  # inches, of the square and of a line of the table below


class Curve(NamedTuple):
    """Rows to rank: `target`, `decision` bool [n] and `score` [n]; their areas, the line's look."""

    name: str
    target: np.ndarray
    decision: np.ndarray
    score: np.ndarray
    areas: dict[str, dict]
    look: dict


def curves_of(
    predictions: Predictions, evaluation: dict, other: Predictions | None = None
) -> list[Curve]:
    """Two classes: all rows, those of each skin tone, and of the compared model all rows.

    More classes: each against the rest.
    """
    if len(predictions.classes) > 2:
        return _class_curves(predictions, evaluation["overall"]["per_class"])
    parts = evaluation["groups"].get("skin tone", {})
    everything = np.full(len(predictions.labels), True)
    overall = evaluation["overall"]["metrics"]
    black = {"color": INK, "linewidth": 2.2, "zorder": 4}
    curves = [_curve(predictions, "All", everything, overall, black)]
    for group, name in enumerate(predictions.group_names):
        if name in parts:
            look = {"color": tone_color(group), "linewidth": 1.6}
            rows = predictions.groups == group
            curves.append(_curve(predictions, name, rows, parts[name]["metrics"], look))
    if other is not None:
        differences = evaluation["comparison"]["differences"]
        nan = float("nan")
        areas = {
            area: {"value": overall[area]["value"] - differences[area]["value"]}
            | {"low": nan, "high": nan}
            for area in ("auroc", "auprc")
        }
        look = {"color": OTHER, "linewidth": 1.6, "linestyle": (0, (4, 2))}
        name = f"vs. {evaluation['comparison']['name']}"
        curves.append(_curve(other, name, everything, areas, look))
    return curves


def _curve(predictions: Predictions, name: str, rows: np.ndarray, areas: dict, look: dict) -> Curve:
    positive = predictions.positive
    return Curve(
        name,
        predictions.labels[rows] == positive,
        predictions.decisions[rows] == positive,
        predictions.probabilities[rows, positive],
        areas,
        look,
    )


def _class_curves(predictions: Predictions, per_class: dict) -> list[Curve]:
    return [
        Curve(
            name,
            predictions.labels == place,
            predictions.decisions == place,
            predictions.probabilities[:, place],
            per_class[name],
            {**line_style(place), "linewidth": 1.6},
        )
        for place, name in enumerate(predictions.classes)
    ]


def can_be_ranked(curve: Curve) -> bool:
    """Whether there are rows of both kinds and every score is known."""
    return curve.target.any() and not curve.target.all() and not np.isnan(curve.score).any()


def plot_roc(curves: list[Curve], path: Path) -> None:
    """Save a PNG: ROC curves, chance as a diagonal, decisions as dots."""

    def trace(axes, curve: Curve) -> None:
        false_positive, true_positive, _ = roc_curve(curve.target, curve.score)
        _draw(axes, false_positive, true_positive, curve)
        place = curve.decision[~curve.target].mean(), curve.decision[curve.target].mean()
        _mark_decisions(axes, *place, curve)

    def draw(figure: Figure) -> None:
        axes, table = _panels(figure, curves)
        axes.plot([0, 1], [0, 1], color=SOFT_INK, linewidth=1, linestyle=(0, (2, 2)), zorder=0)
        axes.text(0.62, 0.585, "chance", rotation=45, fontsize=SMALL, color=SOFT_INK)
        _trace_all(axes, table, curves, trace, "auroc", "AUROC")
        axes.set(xlabel="1 − specificity (false-positive rate)", ylabel="sensitivity")

    save_figure(draw, _size(curves), path)


def plot_precision_recall(curves: list[Curve], path: Path) -> None:
    """Save a PNG: precision-recall curves, prevalence as dotted lines."""

    def trace(axes, curve: Curve) -> None:
        precision, recall, _ = precision_recall_curve(curve.target, curve.score)
        _draw(axes, recall, precision, curve)
        share = curve.target.mean()
        look = {"linewidth": 0.9, "linestyle": (0, (1, 2)), "color": curve.look["color"]}
        axes.plot([0, 1], [share, share], zorder=1, **look)
        if curve.decision.any():
            hits = curve.decision & curve.target
            place = hits.sum() / curve.target.sum(), hits.sum() / curve.decision.sum()
            _mark_decisions(axes, *place, curve)

    def draw(figure: Figure) -> None:
        axes, table = _panels(figure, curves)
        _trace_all(axes, table, curves, trace, "auprc", "AUPRC")
        axes.set(xlabel="sensitivity (recall)", ylabel="precision")

    save_figure(draw, _size(curves), path)


def _size(curves: list[Curve]) -> tuple[float, float]:
    return 5.4, _SIDE + _LINE * _n_lines(curves)


def _n_lines(curves: list[Curve]) -> int:
    return len(curves) + 4


def _panels(figure: Figure, curves: list[Curve]) -> list:
    heights = (_SIDE, _LINE * _n_lines(curves))
    axes, table = figure.subplots(2, 1, height_ratios=heights)
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal")
    table.axis("off")
    table.set(xlim=(0, 1), ylim=(_n_lines(curves), 0))
    return [axes, table]


def _draw(axes, x: np.ndarray, y: np.ndarray, curve: Curve) -> None:
    """A line with a thin dark edge, so that the lightest tone is seen on white paper."""
    edge = [Stroke(linewidth=curve.look["linewidth"] + 0.8, foreground=INK), Normal()]
    is_solid = curve.look.get("linestyle", "solid") == "solid"
    effects = {"path_effects": edge} if is_solid else {}
    axes.plot(x, y, solid_joinstyle="round", **{"zorder": 2, **curve.look, **effects})


def _mark_decisions(axes, x: float, y: float, curve: Curve) -> None:
    look = {"mfc": curve.look["color"], "mec": "white", "mew": 1.1, "clip_on": False}
    axes.plot(
        x,
        y,
        "o",
        markersize=5 + 1.5 * curve.look["linewidth"],
        zorder=curve.look.get("zorder", 2) + 3,
        **look,
    )


def _trace_all(axes, table, curves: list[Curve], trace, area: str, title: str) -> None:
    """Every curve, and below them a table of swatch, name, counts and area."""
    grey = {"fontsize": SMALL, "color": SOFT_INK, "va": "center"}
    table.text(0.55, 1, "images", ha="right", **grey)
    table.text(0.715, 1, "positives", ha="right", **grey)
    table.text(0.74, 1, f"{title} (95 % CI)", **grey)
    own = {"fontsize": SMALL, "va": "center"}
    for y, curve in enumerate(curves, start=2):
        n, n_positive = len(curve.target), int(curve.target.sum())
        table.text(0.09, y, short(curve.name, 19), **own)
        table.text(0.55, y, f"{n:,}", ha="right", **own)
        table.text(0.715, y, f"{n_positive:,}", ha="right", **own)
        table.text(0.74, y, interval_text(curve.areas[area]), **own)
        if can_be_ranked(curve):
            _draw(table, np.array([0, 0.06]), np.array([y, y]), curve)
            trace(axes, curve)
    y = len(curves) + 2.4
    look = {"mfc": SOFT_INK, "mec": "white", "markersize": 7}
    table.plot(0.03, y, "o", **look)
    table.text(0.09, y, "decisions", **own)
    if area == "auprc":
        table.plot([0, 0.06], [y + 1, y + 1], color=SOFT_INK, linestyle=(0, (1, 2)))
        table.text(0.09, y + 1, "chance: prevalence", **own)
