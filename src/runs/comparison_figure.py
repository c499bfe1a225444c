"""A figure of objectives side by side: AUROC against the gap between tone groups."""

from itertools import chain, cycle
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from ..report.style import SMALL, save_figure


def plot_gain_against_gap(rows: pd.DataFrame, path: Path) -> None:
    """Save a PNG: AUROC against the equal-opportunity difference of each line of `compare`.

    Crosses are 95 % CIs; the first line, which others are compared with, is black.
    """

    def draw(figure: Figure) -> None:
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
            xlabel="equal-opportunity difference between tone groups (lower is fairer)",
            ylabel="AUROC",
            title="AUROC against equal-opportunity difference, with 95 % CIs",
        )
        figure.legend(loc="outside right upper", fontsize=SMALL, frameon=False)

    save_figure(draw, (9, 5.4), path)
