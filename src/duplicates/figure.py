"""A figure of image pairs side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..report.style import printable, saved_figure

_COLUMNS = 3
_GAP = 0.04  # between the two images, of the first one's width


class ImagePair(NamedTuple):
    """Two images RGB uint8 [H, W, 3], of any two sizes, and lines of text on them."""

    first: np.ndarray
    second: np.ndarray
    caption: str


def plot_image_pairs(pairs: Sequence[ImagePair], title: str, path: Path) -> None:
    """Save a PNG: each pair side by side at the height of its first image, the caption above."""
    n_rows = -(-len(pairs) // _COLUMNS)
    with saved_figure((4.6 * _COLUMNS, 0.6 + 2.5 * n_rows), path) as figure:
        figure.suptitle(title, fontsize=12)
        for place, pair in enumerate(pairs, start=1):
            axes = figure.add_subplot(n_rows, _COLUMNS, place)
            width, height = pair.first.shape[1] / pair.first.shape[0], 1
            left = width * (1 + _GAP)
            right = left + pair.second.shape[1] / pair.second.shape[0]
            axes.imshow(pair.first, extent=(0, width, height, 0))
            axes.imshow(pair.second, extent=(left, right, height, 0))
            axes.set(xlim=(0, right), ylim=(height, 0), aspect="equal")
            caption = "\n".join(map(printable, pair.caption.split("\n")))
            axes.set_title(caption, fontsize=8, fontweight="normal", loc="center")
            axes.axis("off")
