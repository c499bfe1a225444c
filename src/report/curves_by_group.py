"""ROC curves of the groups of each attribute, and beside them those of the compared model."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..evaluation.groupings import SKIN_TONE, Grouping
from ..evaluation.measure import estimates
from ..evaluation.predictions import Predictions
from ..evaluation.weighted import rows_of
from .curves import Curve, can_be_ranked, curve_of, draw_roc, heights_of, set_up
from .sentences import plain
from .style import line_style, saved_figure, short, tone_color

MOST_GROUPS = 8  # more curves than that are a tangle: those with the most positive images are drawn
_WIDTH = 5.4


class Panel(NamedTuple):
    """A title and the curves below it."""

    title: str
    curves: list[Curve]


def roc_panels(
    predictions: Predictions,
    evaluation: dict,
    groupings: Sequence[Grouping],
    other: Predictions | None = None,
) -> list[list[Panel]]:
    """A line of panels, of this model and of the `other`, for each attribute.

    Attributes with fewer than two groups that can be ranked are left out, and so are all of models
    of more than two classes; skin tones of one model, which `curves_of` has already.
    """
    if len(predictions.classes) > 2:
        return []
    if other is not None and np.isnan(other.probabilities).any():
        other = None
    name = evaluation["comparison"]["name"] if other is not None else ""
    found = []
    for grouping in groupings:
        if other is None and grouping.name == SKIN_TONE:
            continue
        curves = _curves(predictions, grouping, evaluation["groups"][grouping.name])
        if len(curves) < 2:
            continue
        title = plain(grouping.name)
        title = short(title[:1].upper() + title[1:])
        panels = [Panel(title, curves)]
        if other is not None:
            panels.append(Panel(f"{title}, {short(name, 24)}", _curves(other, grouping)))
        found.append(panels)
    return found


def _curves(predictions: Predictions, grouping: Grouping, parts: dict | None = None) -> list[Curve]:
    """The curves of the groups, with the areas of `parts`, else without intervals."""
    curves = []
    for place, level in enumerate(grouping.levels):
        rows = grouping.codes == place
        is_tone = grouping.name == SKIN_TONE
        look = {"color": tone_color(place, len(grouping.levels))} if is_tone else line_style(place)
        if parts is None:
            nan = float("nan")
            area = estimates(rows_of(predictions.where(rows)), ["auroc"])["auroc"]
            areas = {"auroc": {"value": area, "low": nan, "high": nan}}
        else:
            areas = parts.get(level, {"metrics": {}})["metrics"]
        look = {**look, "linewidth": 1.6}
        curves.append(curve_of(predictions, level, rows, predictions.positive, areas, look))
    ranked = [curve for curve in curves if can_be_ranked(curve)]
    largest = sorted(ranked, key=lambda curve: -curve.target.sum())[:MOST_GROUPS]
    return [curve for curve in ranked if any(curve is other for other in largest)]


def plot_roc_by_group(panels: list[list[Panel]], path: Path) -> None:
    """Save a PNG: a line of `roc_panels` for each attribute."""
    heights = [height for line in panels for height in heights_of(line[0].curves)]
    n_columns = len(panels[0])
    with saved_figure((_WIDTH * n_columns, sum(heights)), path) as figure:
        grid = figure.subplots(len(heights), n_columns, height_ratios=heights, squeeze=False)
        for place, line in enumerate(panels):
            for column, panel in enumerate(line):
                axes, table = grid[2 * place][column], grid[2 * place + 1][column]
                set_up(axes, table, panel.curves, "auroc")
                draw_roc(axes, panel.curves)
                axes.set_title(panel.title)
