"""A figure of images with the lesion that an expert outlined and the one that was found."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from ..batch.mask_agreement import DEFAULT
from ..batch.mask_files import read_lesion
from ..preprocess.image import read_image
from ..skin.masks import lesion_mask
from .style import saved_figure

EXPERT, FOUND = (0, 158, 115), (213, 94, 0)  # apart for the colour-blind (Okabe & Ito 2008)


def plot_worst_masks(
    folder: Path, masks: dict[str, Path], rows: pd.DataFrame, output: Path
) -> None:
    """Save a PNG of at most twelve images (`image`, `DEFAULT`'s overlap) with both outlines."""
    with saved_figure((9.6, 5.76), output) as figure:
        panels = figure.subplots(3, 4)
        for panel in panels.flat:
            panel.set_axis_off()
        for panel, row in zip(panels.flat, rows.itertuples(), strict=False):
            image = read_image(folder / row.image)
            expert = read_lesion(masks[Path(row.image).stem], image.shape[:2], image.shape[:2])
            for mask, color in ((expert, EXPERT), (lesion_mask(image), FOUND)):
                outline = cv2.findContours(
                    mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
                )
                width = max(1, round(max(image.shape) / 150))
                cv2.drawContours(image, outline[0], -1, color, width)
            panel.imshow(image)
            title = f"{Path(row.image).stem}: {getattr(row, DEFAULT):.2f}"
            panel.set_title(title, loc="center", fontsize=7.2, fontweight="normal")
        figure.suptitle("Least overlap: lesion of the expert (green) and segmented (orange)")
