"""Figures of a sweep: values over its trials, and over each setting."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import NullFormatter

from ..report.style import MAIN, SMALL, WRONG, saved_figure, short

_MOST_COLUMNS = 4
_LONGEST_TEXT = 24
_PRUNED_COLOR = "#b9bec6"


def plot_history(trials: pd.DataFrame, metric: str, is_better_higher: bool, path: Path) -> None:
    """Save a PNG: the value of each trial, by state, and the best complete one so far.

    `trials` has the columns number, state (complete, pruned, fail) and value.
    """
    with saved_figure((8, 4.2), path) as figure:
        axes = figure.subplots()
        complete = trials[trials["state"] == "complete"]
        pruned = trials[(trials["state"] == "pruned") & trials["value"].notna()]
        failed = trials[trials["state"] == "fail"]
        values = complete["value"].astype(float)
        best = values.cummax() if is_better_higher else values.cummin()
        _points(axes, complete["number"], values, "complete")
        _points(axes, pruned["number"], pruned["value"], "pruned")
        axes.step(complete["number"], best, where="post", color=WRONG, label="best so far")
        for number in failed["number"]:
            axes.axvline(number, color=WRONG, linewidth=0.8, linestyle=":")
        better = "higher" if is_better_higher else "lower"
        axes.set(
            xlabel="trial",
            ylabel=f"validation {metric} ({better} is better)",
            title=f"{len(complete)} trials complete, {(trials['state'] == 'pruned').sum()} pruned"
            + (f", {len(failed)} failed (dotted)" if len(failed) else ""),
        )
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside right upper", fontsize=SMALL, frameon=False)


def plot_slices(trials: pd.DataFrame, scales: dict[str, str], metric: str, path: Path) -> None:
    """Save a PNG: the trials' values over each setting, a panel for each of `scales`.

    A scale is linear, log or choices.
    """
    n_columns = min(_MOST_COLUMNS, len(scales))
    n_rows = -(-len(scales) // n_columns)
    shown = trials[trials["value"].notna()]
    with saved_figure((max(4.5, 3.2 * n_columns), 0.4 + 3 * n_rows), path) as figure:
        panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
        for axes in panels.flat[len(scales) :]:
            axes.set_visible(False)
        for axes, (name, scale) in zip(panels.flat, scales.items(), strict=False):
            places = _places(axes, shown[name], scale)
            for state in ("pruned", "complete"):
                own = (shown["state"] == state).to_numpy()
                _points(axes, places[own], shown["value"][own], state)
            axes.set_xlabel(name)
        for axes in panels[:, 0]:
            axes.set_ylabel(metric)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        look = {"ncols": 2, "fontsize": SMALL, "frameon": False}
        figure.legend(handles, labels, loc="outside upper right", **look)


def _places(axes, values: pd.Series, scale: str) -> np.ndarray:
    """Where values lie along x: themselves, or the index of a choice, whose axis is labelled."""
    if scale != "choices":
        axes.set_xscale(scale)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        return values.to_numpy(float)
    texts = values.map(str)
    choices = [str(value) for value in sorted(set(values), key=_order)]
    names = [short(text, _LONGEST_TEXT) for text in choices]
    axes.set_xticks(range(len(choices)), names, rotation=30, ha="right", fontsize=8)
    axes.set_xlim(-0.5, max(len(choices), 1) - 0.5)
    return texts.map(choices.index).to_numpy(float)


def _order(value) -> tuple:
    """Numbers by size, before texts by letters."""
    is_number = isinstance(value, (int, float))
    return (not is_number, value if is_number else 0, str(value))


def _points(axes, x, y, state: str) -> None:
    color = MAIN if state == "complete" else _PRUNED_COLOR
    axes.scatter(x, y, s=26, color=color, alpha=0.85, linewidths=0, label=state)
