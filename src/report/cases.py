"""Figures of single decisions: the confusion matrix and the images judged wrongly."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from .style import (
    BAND,
    INK,
    MAIN,
    SMALL,
    SOFT_INK,
    WRONG,
    save_figure,
    short,
)

_MOST_COLUMNS, _MOST_CLASSES = 4, 30


def plot_confusion(evaluation: dict, path: Path) -> None:
    """Save a PNG: images by class and decision; the shade is the share of the class's images.

    Of more than 30 classes only the shades.
    """
    classes = [short(name, 14) for name in evaluation["source"]["classes"]]
    counts = np.array(evaluation["overall"]["confusion_matrix"])
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    n_shown = min(len(classes), _MOST_CLASSES)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(shares, cmap=matplotlib.colormaps["Blues"], vmin=0, vmax=1)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="decision", ylabel="class and its images")
        if n_shown == len(classes):
            _cells(axes, classes, counts, shares)
        bar = figure.colorbar(image, shrink=0.75, ticks=[0, 0.5, 1])
        bar.ax.set_yticklabels(["0 %", "50 %", "100 %"])
        bar.set_label("share of the class", color=SOFT_INK, fontsize=SMALL)
        bar.outline.set_visible(False)

    side = max(3.6, 1.7 + 0.72 * n_shown)
    save_figure(draw, (side + 1.3, side), path)


def _cells(axes, classes: list[str], counts: np.ndarray, shares: np.ndarray) -> None:
    """The classes along both axes, and in each cell its count and share."""
    n, totals = len(classes), counts.sum(axis=1)
    size = max(6, min(10, 13 - 0.7 * n))
    for row, column in np.ndindex(n, n):
        _cell(axes, row, column, counts[row, column], shares[row, column], totals[row], size)
    labels = [f"{name}\n{total:,}" for name, total in zip(classes, totals, strict=True)]
    turned = {"rotation": 35, "ha": "right"} if n > 4 else {}
    axes.set_xticks(range(n), classes, **turned)
    axes.set_yticks(range(n), labels)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)


def _cell(axes, row: int, column: int, count: int, share: float, total: int, size: float) -> None:
    color = "white" if share > 0.55 else INK
    weight = "bold" if row == column else "normal"
    text = f"{100 * share:.1f} %" if total else "–"
    place = {"ha": "center", "color": color}
    axes.text(column, row - 0.03, f"{count:,}", va="bottom", fontsize=size, weight=weight, **place)
    axes.text(column, row + 0.03, text, va="top", fontsize=0.85 * size, **place)


def plot_hard_cases(
    evaluation: dict, image_of: Callable[[str], np.ndarray | None], path: Path
) -> None:
    """Save a PNG: the images judged wrongly, the surest decision first.

    `image_of` gives a name's image, RGB uint8 [H, W, 3], or None; then its place is empty.
    """
    cases = evaluation["hard_cases"]
    n_columns = min(_MOST_COLUMNS, len(cases))
    n_rows = -(-len(cases) // n_columns)
    positive = evaluation["source"]["positive"]

    def draw(figure: Figure) -> None:
        grid = figure.add_gridspec(n_rows, n_columns)
        for place, case in enumerate(cases):
            axes = figure.add_subplot(grid[divmod(place, n_columns)])
            axes.set(xticks=[], yticks=[])
            color = WRONG if case["label"] == positive else MAIN
            _picture(axes, image_of(case["name"]))
            for spine in axes.spines.values():
                spine.set(visible=True, color=color, linewidth=2)
            _caption(axes, case, color)

    save_figure(draw, (max(4.6, 2.3 * n_columns), 2.45 * n_rows), path)


def _picture(axes, image: np.ndarray | None) -> None:
    if image is not None:
        height, width = image.shape[:2]
        axes.imshow(
            image, aspect="auto" if max(height, width) > 4 * min(height, width) else "equal"
        )
        return
    axes.set(xlim=(0, 4), ylim=(0, 3), facecolor=BAND, aspect="equal")
    axes.text(2, 1.5, "no image at hand", ha="center", va="center", fontsize=SMALL, color=SOFT_INK)


def _caption(axes, case: dict, color: str) -> None:
    label, decision = short(case["label"], 14), short(case["decision"], 14)
    sure = "" if np.isnan(case["probability"]) else f", {_percent(case['probability'])} sure"
    axes.set_title(f"{label}, taken for\n{decision}{sure}", fontsize=SMALL, color=color)
    group = short(case["group"], 20)
    tone = "skin tone unknown" if group == "unknown" else f"{group} skin"
    axes.set_xlabel(f"{short(Path(case['name']).name, 24)}\n{tone}", fontsize=SMALL - 1)


def _percent(probability: float) -> str:
    return ">99 %" if probability > 0.995 else f"{100 * probability:.0f} %"
