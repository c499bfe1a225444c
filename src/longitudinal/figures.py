"""Figures of severity over time and of its distribution under each treatment."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..report.style import INK, SMALL, SOFT_INK, line_style, saved_figure, short
from .severity import WORST


def plot_trajectories(rows: pd.DataFrame, baseline: str, path: Path) -> None:
    """Save a PNG: every patient's severity by day, thin, and their mean on each day, bold."""
    with saved_figure((7.5, 3.8), path) as figure:
        axes = figure.add_subplot()
        for place, name in enumerate(_order(rows, baseline)):
            color = line_style(place)["color"]
            own = rows[rows["treatment"] == name]
            for _, days in own.groupby("patient"):
                axes.plot(days["day"], days["severity"], color=color, linewidth=0.6, alpha=0.35)
            mean = own.groupby("day")["severity"].mean()
            axes.plot(mean.index, mean, color=color, linewidth=2.2, label=short(name))
        axes.set(xlabel="Day", ylabel="Severity (0–3)", ylim=(0, WORST))
        axes.set_title(f"Severity of {rows['patient'].nunique()} patients; bold: mean of a day")
        axes.legend(frameon=False, fontsize=SMALL)


def plot_distributions(rows: pd.DataFrame, baseline: str, path: Path) -> None:
    """Save a PNG: a box of all days under each treatment, and a dot for each patient's mean."""
    names = _order(rows, baseline)
    rng = np.random.default_rng(0)
    with saved_figure((1.5 + 1.6 * len(names), 3.8), path) as figure:
        axes = figure.add_subplot()
        for place, name in enumerate(names):
            own = rows[rows["treatment"] == name]
            color = line_style(place)["color"]
            axes.boxplot(
                own["severity"],
                positions=[place],
                widths=0.5,
                showfliers=False,
                medianprops={"color": INK},
                boxprops={"color": SOFT_INK},
            )
            means = own.groupby("patient")["severity"].mean()
            axes.plot(place + rng.uniform(-0.15, 0.15, len(means)), means, "o", color=color)
        axes.set_xticks(range(len(names)), [short(name) for name in names])
        axes.set(ylabel="Severity (0–3)", ylim=(0, WORST), xlim=(-0.6, len(names) - 0.4))
        axes.set_title("Box: all days. Dots: patients' means")


def _order(rows: pd.DataFrame, baseline: str) -> list[str]:
    return [baseline, *(name for name in rows["treatment"].unique() if name != baseline)]
