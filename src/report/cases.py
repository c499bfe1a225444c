"""Figures of single decisions: the confusion matrix and the images decided wrongly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .style import BAND, MAIN, SMALL, SOFT_INK, WRONG, saved_figure, short

_MOST_COLUMNS, _MOST_CLASSES = 4, 30


def plot_confusion(evaluation: dict, path: Path) -> None:
    """Save a PNG: images by class and decision; the shade is the share of the class's images.

    Of more than 30 classes only the shades.
    """
    classes = [short(name, 14) for name in evaluation["source"]["classes"]]
    counts = np.array(evaluation["overall"]["confusion_matrix"])
    totals, n = counts.sum(axis=1), len(classes)
    shares = np.divide(counts, totals[:, None], out=np.zeros(counts.shape), where=counts > 0)
    are_named = n <= _MOST_CLASSES
    texts = np.array(
        [
            f"{count:,}\n" + (f"{100 * share:.1f} %" if total else "–")
            for count, share, total in zip(counts.flat, shares.flat, totals.repeat(n), strict=True)
        ]
    ).reshape(n, n)
    side = max(3.6, 1.7 + 0.72 * min(n, _MOST_CLASSES))
    with saved_figure((side + 1.3, side), path) as figure:
        import seaborn  # takes a second, which no other figure has to wait for

        axes = figure.subplots()
        seaborn.heatmap(
            shares,
            ax=axes,
            vmin=0,
            vmax=1,
            cmap="Blues",
            square=True,
            linewidths=1.5 if are_named else 0,
            annot=texts if are_named else None,
            fmt="",
            annot_kws={"fontsize": max(6, min(10, 13 - 0.7 * n))},
            xticklabels=classes if are_named else False,
            yticklabels=[f"{c}\n{t:,}" for c, t in zip(classes, totals, strict=True)]
            if are_named
            else False,
            cbar_kws={"shrink": 0.75, "ticks": [0, 0.5, 1], "label": "share of the class"},
        )
        axes.set(xlabel="decision", ylabel="true class and its images")
        axes.tick_params(axis="x", length=0, rotation=35 if n > 4 else 0)
        axes.tick_params(axis="y", length=0, rotation=0)
        axes.collections[0].colorbar.ax.set_yticklabels(["0 %", "50 %", "100 %"])


def plot_hard_cases(
    evaluation: dict, image_of: Callable[[str], np.ndarray | None], path: Path
) -> None:
    """Save a PNG: the images decided wrongly, in the order of the hard cases.

    `image_of` gives a name's image, RGB uint8 [H, W, 3], or None; then its place is empty.
    """
    cases = evaluation["hard_cases"]
    n_columns = min(_MOST_COLUMNS, len(cases))
    n_rows = -(-len(cases) // n_columns)
    positive = evaluation["source"]["positive"]
    with saved_figure((max(4.6, 2.3 * n_columns), 2.45 * n_rows), path) as figure:
        grid = figure.add_gridspec(n_rows, n_columns)
        for place, case in enumerate(cases):
            axes = figure.add_subplot(grid[divmod(place, n_columns)])
            axes.set(xticks=[], yticks=[])
            color = WRONG if case["label"] == positive else MAIN
            _picture(axes, image_of(case["name"]))
            for spine in axes.spines.values():
                spine.set(visible=True, color=color, linewidth=2)
            _caption(axes, case, color)


def _picture(axes, image: np.ndarray | None) -> None:
    if image is not None:
        height, width = image.shape[:2]
        axes.imshow(
            image, aspect="auto" if max(height, width) > 4 * min(height, width) else "equal"
        )
        return
    axes.set(xlim=(0, 4), ylim=(0, 3), facecolor=BAND, aspect="equal")
    middle = {"ha": "center", "va": "center", "fontsize": SMALL, "color": SOFT_INK}
    axes.text(2, 1.5, "image not available", **middle)


def _caption(axes, case: dict, color: str) -> None:
    label, decision = short(case["label"], 14), short(case["decision"], 14)
    diagnosis = case.get("diagnosis", "")
    if diagnosis and diagnosis.casefold() != case["label"].casefold():
        label = short(f"{label} ({diagnosis})", 26)
    axes.set_title(
        f"True: {label}\nPredicted: {decision}{_probability(case)}", fontsize=SMALL, color=color
    )
    group = short(case["group"], 20)
    tone = "skin tone unknown" if group == "unknown" else f"{group} skin"
    axes.set_xlabel(f"{short(Path(case['name']).name, 24)}\n{tone}", fontsize=SMALL - 1)


def _probability(case: dict) -> str:
    probability = case["probability"]
    if np.isnan(probability):
        return ""
    return " (p > 0.99)" if probability > 0.995 else f" (p = {probability:.2f})"
