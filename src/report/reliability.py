"""Reliability diagrams: observed against predicted probabilities."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import binomtest

from .style import INK, MAIN, RULE, SMALL, SOFT_INK, WRONG, saved_figure, short

_DIAGONAL = {"color": SOFT_INK, "linewidth": 1, "linestyle": (0, (2, 2)), "zorder": 0}


def plot_calibration(evaluation: dict, path: Path) -> None:
    """Save a PNG: reliability of the positive class and of the most probable one, counts below.

    Where a temperature was fitted and `temperature["before"]` has bins of the same two names
    (`positive`, `equal_width`), these are drawn too. Whiskers are 95 % Wilson (1927) CIs of
    a bin's share; bins with fewer than `min_group` images are hollow.
    """
    found, least = evaluation["calibration"], evaluation["settings"]["min_group"]
    before = (found["temperature"] or {}).get("before", {})
    positive = short(evaluation["source"]["positive"], 16)
    panels = {
        "positive": (f"Probability of {positive}", f"observed share of {positive}"),
        "equal_width": ("Probability of the most probable class", "observed accuracy"),
    }
    with saved_figure((9, 6), path) as figure:
        grid = figure.subplots(2, 2, height_ratios=(3.4, 1), sharex=True)
        for (curve, counts), (key, (title, share)) in zip(grid.T, panels.items(), strict=True):
            curve.plot([0, 1], [0, 1], **_DIAGONAL)
            error = f"calibration error {found[key]['ece']:.3f}"
            if key in before:
                error += f", before scaling {before[key]['ece']:.3f}"
                _dots(curve, _of_at_least(before[key], least), least, WRONG, "s")
            _dots(curve, found[key], least, MAIN, "o")
            curve.set(ylabel=share, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            curve.set_title(title, pad=20)
            place = {"transform": curve.transAxes, "fontsize": SMALL, "color": SOFT_INK}
            curve.text(0, 1.03, error, **place)
            _counts(counts, found[key]["bins"])
        _legend(figure, found["temperature"], before, least)


def _of_at_least(reliability: dict, least: int) -> dict:
    return {"bins": [b for b in reliability["bins"] if b["n"] >= least]}


def _dots(axes, reliability: dict, least: int, color: str, marker: str) -> None:
    """A dot for each bin, with a whisker; a line through those with enough images."""
    enough = _of_at_least(reliability, max(least, 1))["bins"]
    x, y = ([b[key] for b in enough] for key in ("confidence", "accuracy"))
    axes.plot(x, y, color=color, linewidth=1.2, alpha=0.55, zorder=2)
    for b in reliability["bins"]:
        if not b["n"]:
            continue
        face = color if b["n"] >= least else "white"
        dot = {"marker": marker, "markersize": 6, "mfc": face, "mec": color, "clip_on": False}
        axes.plot(b["confidence"], b["accuracy"], zorder=3, **dot)
        if marker == "o":
            ends = binomtest(round(b["accuracy"] * b["n"]), b["n"]).proportion_ci(method="wilson")
            axes.plot([b["confidence"]] * 2, [*ends], color=color, linewidth=1, zorder=2.5)


def _legend(figure: Figure, temperature: dict | None, before: dict, least: int) -> None:
    look = {"linewidth": 1.2, "markersize": 6}
    name = "after temperature scaling" if temperature else "as predicted"
    keys = [Line2D([], [], color=MAIN, marker="o", label=name, **look)]
    hollow = {"marker": "o", "mfc": "white", "mec": MAIN, "linestyle": "none"}
    keys.append(Line2D([], [], label=f"fewer than {least} images", **hollow))
    if "positive" in before:
        keys.append(Line2D([], [], color=WRONG, marker="s", label="before", **look))
    keys.append(Line2D([], [], label="perfect calibration", **_DIAGONAL))
    figure.legend(handles=keys, loc="outside lower center", ncols=4, frameon=False, fontsize=SMALL)


def _counts(axes, bins: list[dict]) -> None:
    """How many images a bin has; on a logarithmic axis, since most may be in one."""
    lefts, widths = [b["lower"] for b in bins], [b["upper"] - b["lower"] for b in bins]
    counts = np.array([b["n"] for b in bins])
    look = {"align": "edge", "color": RULE, "edgecolor": "white", "linewidth": 0.8}
    bars = axes.bar(lefts, counts, widths, **look)
    axes.set_yscale("log")
    axes.set(ylim=(0.7, max(15, 4 * counts.max())), xlabel="predicted probability")
    axes.set_ylabel("images")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    texts = [f"{n:,}" if n else "" for n in counts]
    axes.bar_label(bars, texts, padding=1.5, fontsize=6, color=INK)
