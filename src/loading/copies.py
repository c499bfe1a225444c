"""Virtual copies of training images of the positive class, each moved in its own way."""

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd

from ..core.errors import require
from ..core.registry import Registry
from ..datasets.table import Table

COPIES = Registry("copy")


@COPIES.register
def original() -> np.ndarray:
    """The image as it is."""
    return np.float64([[1, 0, 0], [0, 1, 0]])


@COPIES.register
def horizontal_flip(size: tuple[int, int]) -> np.ndarray:
    """Left and right exchanged."""
    return np.float64([[-1, 0, size[1] - 1], [0, 1, 0]])


@COPIES.register
def vertical_flip(size: tuple[int, int]) -> np.ndarray:
    """Top and bottom exchanged."""
    return np.float64([[1, 0, 0], [0, -1, size[0] - 1]])


@COPIES.register
def rotation(
    size: tuple[int, int], rng: np.random.Generator, *, degrees: float = 15.0
) -> np.ndarray:
    """Turned about the centre by an angle uniform in +-`degrees`."""
    require(0 <= degrees <= 180, f"rotation(degrees={degrees}): expected 0 to 180")
    centre = (size[1] - 1) / 2, (size[0] - 1) / 2
    return cv2.getRotationMatrix2D(centre, rng.uniform(-degrees, degrees), 1.0)


@COPIES.register
def translation(
    size: tuple[int, int], rng: np.random.Generator, *, share: float = 0.1
) -> np.ndarray:
    """Shifted by up to `share` of its sides."""
    require(0 <= share <= 1, f"translation(share={share}): expected 0 to 1")
    y, x = rng.uniform(-share, share, 2) * size
    return np.float64([[1, 0, x], [0, 1, y]])


def copy_names(text: str) -> list[str]:
    """The call strings in `original | rotation(degrees=10) | ...`; none for an empty text.

    Raises `UserError` for an unknown name, a wrong option and a copy given twice.
    """
    names = [part.strip() for part in text.split("|") if part.strip()]
    for name in names:
        COPIES.build(name, size=(1, 1), rng=np.random.default_rng(0))
    calls = [COPIES.resolve(name) for name in names]
    require(
        all(call not in calls[:place] for place, call in enumerate(calls)),
        f"--malignant_copies '{text}': expected each copy once",
    )
    return names


def with_copies(table: Table, text: str) -> Table:
    """The table with each row of its positive class once for every copy in `text`.

    Its column `copy` names the copy of each row. Labels, counts and what samplers draw are those
    of the longer table, in which the positive class is that many times as frequent.
    """
    names = copy_names(text)
    if not names:
        return table
    positive = table.rows["label"] == table.positive
    parts = [table.rows[positive].assign(copy=name) for name in names]
    rows = pd.concat([table.rows[~positive].assign(copy="original"), *parts])
    return replace(table, rows=rows.sort_values("image", kind="stable").reset_index(drop=True))


def moved(image: np.ndarray, name: str, seed: int) -> np.ndarray:
    """uint8 [H, W, 3] moved as the copy `name` is, a pure function of the three.

    What comes in at the edges is the image reflected.
    """
    size, rng = image.shape[:2], np.random.default_rng(seed)
    matrix = COPIES.build(name, size=size, rng=rng)
    return cv2.warpAffine(
        image, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
