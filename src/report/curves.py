"""ROC and precision-recall curves with their intervals and operating points."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke
from sklearn.metrics import precision_recall_curve, roc_curve

from ..evaluation.metrics import METRICS
from ..evaluation.predictions import Predictions
from .style import (
    INK,
    OTHER,
    SMALL,
    SOFT_INK,
    interval_text,
    line_style,
    saved_figure,
    short,
    tone_color,
)

SIDE, LINE = 4.8, 0.24  # inches, of the square and of a line of the table below
_DOTTED = (0, (1, 2))


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
    everything = np.full(len(predictions.labels), True)
    if len(predictions.classes) > 2:
        per_class = evaluation["overall"]["per_class"]
        looks = [{**line_style(label), "linewidth": 1.6} for label in range(len(per_class))]
        return [
            curve_of(predictions, name, everything, label, per_class[name], looks[label])
            for label, name in enumerate(predictions.classes)
        ]
    positive = predictions.positive
    parts = evaluation["groups"].get("skin tone", {})
    overall = evaluation["overall"]["metrics"]
    black = {"color": INK, "linewidth": 2.2, "zorder": 4}
    curves = [curve_of(predictions, "All", everything, positive, overall, black)]
    for group, name in enumerate(predictions.group_names):
        if name in parts:
            look = {"color": tone_color(group, len(predictions.group_names)), "linewidth": 1.6}
            rows = predictions.groups == group
            curves.append(curve_of(predictions, name, rows, positive, parts[name]["metrics"], look))
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
        curves.append(curve_of(other, name, everything, positive, areas, look))
    return curves


def curve_of(
    predictions: Predictions, name: str, rows: np.ndarray, label: int, areas: dict, look: dict
) -> Curve:
    return Curve(
        name,
        predictions.labels[rows] == label,
        predictions.decisions[rows] == label,
        predictions.probabilities[rows, label],
        areas,
        look,
    )


def can_be_ranked(curve: Curve) -> bool:
    """Whether there are rows of both kinds and every score is known."""
    return curve.target.any() and not curve.target.all() and not np.isnan(curve.score).any()


def plot_roc(curves: list[Curve], path: Path) -> None:
    """Save a PNG: ROC curves, chance as a diagonal, decisions as dots."""
    with _ranking(curves, "auroc", path) as axes:
        draw_roc(axes, curves)


def draw_roc(axes: Axes, curves: list[Curve]) -> None:
    """ROC curves, chance as a diagonal, decisions as dots."""
    axes.plot([0, 1], [0, 1], color=SOFT_INK, linewidth=1, linestyle=(0, (2, 2)), zorder=0)
    axes.text(0.62, 0.585, "chance", rotation=45, fontsize=SMALL, color=SOFT_INK)
    axes.set(xlabel="1 − specificity (false-positive rate)", ylabel="sensitivity")
    for curve in filter(can_be_ranked, curves):
        false_positive, true_positive, _ = roc_curve(curve.target, curve.score)
        draw_curve(axes, false_positive, true_positive, curve)
        place = curve.decision[~curve.target].mean(), curve.decision[curve.target].mean()
        mark_decisions(axes, *place, curve)


def plot_precision_recall(curves: list[Curve], path: Path) -> None:
    """Save a PNG: precision-recall curves, prevalence as dotted lines."""
    with _ranking(curves, "auprc", path) as axes:
        axes.set(xlabel="sensitivity (recall)", ylabel="precision")
        for curve in filter(can_be_ranked, curves):
            precision, recall, _ = precision_recall_curve(curve.target, curve.score)
            draw_curve(axes, recall, precision, curve)
            share, color = curve.target.mean(), curve.look["color"]
            axes.plot(
                [0, 1], [share, share], color=color, linewidth=0.9, linestyle=_DOTTED, zorder=1
            )
            if curve.decision.any():
                hits = (curve.decision & curve.target).sum()
                place = hits / curve.target.sum(), hits / curve.decision.sum()
                mark_decisions(axes, *place, curve)


@contextmanager
def _ranking(curves: list[Curve], area: str, path: Path) -> Iterator[Axes]:
    """The square to draw curves on; below it a table of swatch, name, counts and area."""
    heights = heights_of(curves)
    with saved_figure((5.4, sum(heights)), path) as figure:
        axes, table = figure.subplots(2, 1, height_ratios=heights)
        set_up(axes, table, curves, area)
        yield axes


def heights_of(curves: list[Curve]) -> tuple[float, float]:
    """Inches of the square to draw these curves on, and of the table below it."""
    return SIDE, LINE * (len(curves) + 4)


def set_up(axes: Axes, table: Axes, curves: list[Curve], area: str) -> None:
    """Make `axes` the square to draw curves on, and write the table of them."""
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal")
    table.axis("off")
    table.set(xlim=(0, 1), ylim=(len(curves) + 4, 0))
    _write_table(table, curves, area)


def draw_curve(axes, x: np.ndarray, y: np.ndarray, curve: Curve) -> None:
    """A line with a thin dark edge, so that the lightest tone is seen on white paper."""
    edge = [Stroke(linewidth=curve.look["linewidth"] + 0.8, foreground=INK), Normal()]
    is_solid = curve.look.get("linestyle", "solid") == "solid"
    effects = {"path_effects": edge} if is_solid else {}
    axes.plot(x, y, solid_joinstyle="round", **{"zorder": 2, **curve.look, **effects})


def mark_decisions(axes, x: float, y: float, curve: Curve) -> None:
    look = {"mfc": curve.look["color"], "mec": "white", "mew": 1.1, "clip_on": False}
    axes.plot(
        x,
        y,
        "o",
        markersize=5 + 1.5 * curve.look["linewidth"],
        zorder=curve.look.get("zorder", 2) + 3,
        **look,
    )


def _write_table(table: Axes, curves: list[Curve], area: str) -> None:
    own = {"fontsize": SMALL, "va": "center"}
    headings = ("images", "positives", f"{METRICS[area].label} (95 % CI)")
    cells: list[tuple] = [("", *headings, {**own, "color": SOFT_INK})]
    for curve in curves:
        counts = (f"{count:,}" for count in (len(curve.target), curve.target.sum()))
        cells.append((short(curve.name, 19), *counts, interval_text(curve.areas[area]), own))
    for y, (name, n, n_positive, value, look) in enumerate(cells, start=1):
        table.text(0.09, y, name, **look)
        table.text(0.55, y, n, ha="right", **look)
        table.text(0.715, y, n_positive, ha="right", **look)
        table.text(0.74, y, value, **look)
    for y, curve in enumerate(curves, start=2):
        if can_be_ranked(curve):
            draw_curve(table, np.array([0, 0.06]), np.array([y, y]), curve)
    below = len(curves) + 2.4
    table.plot(0.03, below, "o", mfc=SOFT_INK, mec="white", markersize=7)
    table.text(0.09, below, "decisions", **own)
    if area == "auprc":
        table.plot([0, 0.06], [below + 1, below + 1], color=SOFT_INK, linestyle=_DOTTED)
        table.text(0.09, below + 1, "chance: prevalence", **own)
