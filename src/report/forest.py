"""Figures of rates with intervals, a line for each group or class."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..evaluation.metrics import METRICS, title_of
from .numbers import is_known, too_few
from .style import (
    BAND,
    INK,
    MAIN,
    RULE,
    SMALL,
    SOFT_INK,
    UNKNOWN_COLOR,
    saved_figure,
    short,
    tone_color,
)

_COLUMN_WIDTH, _COUNT_WIDTH, _ROW_HEIGHT = 2.0, 0.8, 0.25
_DASHED = {"color": INK, "linewidth": 1, "linestyle": (0, (4, 3))}
_BY_GROUP = ("sensitivity", "specificity", "auroc", "selection_rate")
# of each class, and the metric that is their mean
_OF_CLASSES = {"precision": "precision_macro", "sensitivity": "recall_macro", "f1": "f1_macro"}
_FAINT = "#9aa3ad"


class Line(NamedTuple):
    """A line of a forest plot: name, counts, and for each column a figure and whether enough rows
    count for it.

    A line without figures is a heading.
    """

    name: str
    counts: tuple[str, ...] = ()
    figures: tuple[dict, ...] = ()
    is_enough: tuple[bool, ...] = ()
    color: str = MAIN


def plot_fairness(evaluation: dict, tones: tuple[str, ...], path: Path) -> None:
    """Save a PNG: sensitivity, specificity, AUROC, selection rate of every group, with intervals.

    `tones` are all skin tones, lightest first. Hollow dots are figures of fewer rows than
    `min_group`; the dashed line is that of all rows.
    """
    least = evaluation["settings"]["min_group"]
    colors = {tone: tone_color(i, len(tones)) for i, tone in enumerate(tones)}
    colors["unknown"] = UNKNOWN_COLOR
    overall = evaluation["overall"]
    has_ranking = is_known(overall["metrics"]["auroc"]["value"])
    rates = [name for name in _BY_GROUP if has_ranking or METRICS[name].needs == "decisions"]
    lines = [_part_line("All", overall, rates, 1)]
    for attribute, levels in evaluation["groups"].items():
        lines.append(Line(attribute))
        for level, part in levels.items():
            color = colors.get(level, MAIN) if attribute == "skin tone" else MAIN
            lines.append(_part_line(level, part, rates, least, color))
    positive = short(evaluation["source"]["positive"], 10)
    middle = Line("all images", figures=lines[0].figures)
    _plot_forest(lines, ("images", positive), rates, middle, least, path)


def _part_line(name: str, part: dict, rates: list[str], least: int, color: str = MAIN) -> Line:
    counts = f"{part['n']:,}", f"{part['n_positive']:,}"
    is_enough = tuple(not too_few(rate, part, least) for rate in rates)
    return Line(name, counts, tuple(part["metrics"][rate] for rate in rates), is_enough, color)


def plot_per_class(evaluation: dict, path: Path) -> None:
    """Save a PNG: precision, sensitivity and F1 of every class, with intervals and their means."""
    least, overall = evaluation["settings"]["min_group"], evaluation["overall"]
    lines = [
        Line(
            name,
            (f"{values['n']:,}",),
            tuple(values[column] for column in _OF_CLASSES),
            (values["n"] >= least,) * len(_OF_CLASSES),
        )
        for name, values in overall["per_class"].items()
    ]
    nothing = {"value": float("nan")}
    means = tuple(overall["metrics"].get(mean, nothing) for mean in _OF_CLASSES.values())
    middle = Line("mean of the classes", figures=means)
    _plot_forest(lines, ("images",), [*_OF_CLASSES], middle, least, path)


def _plot_forest(
    lines: list[Line],
    counts: tuple[str, ...],
    columns: list[str],
    middle: Line,
    least: int,
    path: Path,
) -> None:
    """Dots with whiskers by [line][column], and dashed lines at the `middle`."""
    size = (
        2 + _COUNT_WIDTH * len(counts) + _COLUMN_WIDTH * len(columns),
        1.1 + _ROW_HEIGHT * len(lines),
    )
    with saved_figure(size, path) as figure:
        widths = [1.7 + _COUNT_WIDTH * len(counts), *[_COLUMN_WIDTH] * len(columns)]
        names, *panels = figure.subplots(1, 1 + len(columns), width_ratios=widths, sharey=True)
        _names(names, lines, counts, widths[0])
        for place, (axes, column) in enumerate(zip(panels, columns, strict=True)):
            _panel(axes, lines, place, middle.figures[place]["value"])
            axes.set_title(title_of(column), loc="center")
            if column == "selection_rate":  # rare: a scale of its own
                axes.set_xlim(0, _nice_end(lines, place))
                axes.xaxis.set_major_locator(MaxNLocator(4))
                axes.xaxis.set_major_formatter("{x:g}")
        names.set_ylim(len(lines) - 0.5, -1.0)
        figure.get_layout_engine().set(wspace=0.03)
        _legend(figure, lines, middle, least)


def _names(axes, lines: list[Line], counts: tuple[str, ...], width: float) -> None:
    axes.set(xlim=(0, width))
    axes.axis("off")
    rights = [width - 0.08 - _COUNT_WIDTH * place for place in range(len(counts))][::-1]
    for right, text in zip(rights, counts, strict=True):
        axes.text(right, -0.85, text, ha="right", fontsize=SMALL, color=SOFT_INK)
    for y, line in enumerate(lines):
        is_heading = not line.figures
        weight = "bold" if is_heading else "normal"
        left = 0 if is_heading else 0.08
        axes.text(left, y, short(line.name, 24), va="center", fontsize=SMALL + 0.5, weight=weight)
        for right, text in zip(rights, line.counts, strict=False):
            axes.text(right, y, text, ha="right", va="center", fontsize=SMALL)


def _panel(axes, lines: list[Line], place: int, middle: float) -> None:
    axes.set(
        xlim=(-0.02, 1.02), xticks=np.linspace(0, 1, 5), xticklabels=["0", ".25", ".5", ".75", "1"]
    )
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    if middle == middle:
        axes.axvline(middle, zorder=1.5, **_DASHED)
    for y, line in enumerate(lines):
        if y % 2:
            axes.axhspan(y - 0.5, y + 0.5, color=BAND, zorder=0, linewidth=0)
        if line.figures:
            _dot(axes, y, line.figures[place], line.is_enough[place], line.color)


def _dot(axes, y: int, figure: dict, is_enough: bool, color: str) -> None:
    if figure["value"] != figure["value"]:
        place = axes.get_yaxis_transform()
        grey = {"color": SOFT_INK, "style": "italic", "fontsize": SMALL - 1}
        back = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
        text = axes.text(0.5, y, "not defined", ha="center", va="center", transform=place, **grey)
        text.set_bbox(back)
        return
    ends = [figure["low"], figure["high"]]
    shade = INK if is_enough else _FAINT
    axes.plot(ends, [y, y], color=shade, linewidth=1.3, solid_capstyle="butt", zorder=2)
    axes.plot(ends, [y, y], "|", color=shade, markersize=5, zorder=2)
    face = color if is_enough else "white"
    axes.plot(
        figure["value"], y, "o", markersize=6.5, mfc=face, mec=shade, mew=1, zorder=3, clip_on=False
    )


def _nice_end(lines: list[Line], place: int) -> float:
    """The end of an axis from 0 that holds all intervals."""
    highs = [line.figures[place]["high"] for line in lines if line.figures]
    highest = max((high for high in highs if high == high), default=1.0)
    return min(1.02, max(0.05, 1.08 * highest))


def _legend(figure: Figure, lines: list[Line], middle: Line, least: int) -> None:
    dot = {"marker": "o", "linestyle": "none", "markersize": 6.5}
    keys = [Line2D([], [], mfc=MAIN, mec=INK, label="estimate and 95 % CI", **dot)]
    if not all(all(line.is_enough) for line in lines):
        text = f"fewer than {least} images to estimate it from"
        keys.append(Line2D([], [], mfc="white", mec=_FAINT, label=text, **dot))
    if any(value["value"] == value["value"] for value in middle.figures):
        keys.append(Line2D([], [], label=middle.name, **_DASHED))
    options = {"ncols": 3, "frameon": False, "fontsize": SMALL}
    figure.legend(handles=keys, loc="outside lower center", **options)
