"""Seconds that skin tones and masks take, against plain recipes.

The recipes are those of earlier work, written as one would write them first.
"""

import tempfile
from functools import partial
from pathlib import Path
from timeit import timeit
from typing import Any

import cv2
import numpy as np
from kneed import KneeLocator

from ..preprocess.image import read_image
from ..skin.masks import value_otsu
from ..skin.tone import ita_opencv8
from .mask_files import mask_row
from .tone_estimates import tone_row

SMALL, LARGE = (200, 150), (3264, 2448)


def time_skin_tone(paths: list[Path]) -> list[str]:
    """A line for skin tones of small images and one for masks of large ones, a round an image."""
    cv2.setNumThreads(0)
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own_tone = partial(
            tone_row,
            method="cielab",
            color="median",
            color_constancy="none",
            masks={},
            domain="auto",
            white_reference="brightness",
        )
        lesion: dict[str, Any] = {"kind": "lesion", "domain": "auto", "method": "by_domain"}
        own_mask = partial(mask_row, **lesion, output_dir=folder)
        for title, size, plain, own in (
            ("skin tone", SMALL, plain_tone, own_tone),
            ("lesion mask", LARGE, partial(plain_mask, folder=folder), own_mask),
        ):
            files = [write_jpeg(path, size, folder) for path in paths]
            own(files[0])  # imports and caches are no part of it
            pairs = np.array(
                [[timeit(partial(work, file), number=1) for work in (plain, own)] for file in files]
            )
            lines.append(describe(title, size, pairs))
    return lines


def plain_tone(path: Path) -> None:
    """Three to nine k-means clusters of the skin at 128x256, ten starts each, and the elbow."""
    image = cv2.resize(read_image(path), (128, 256))
    pixels = image[~value_otsu(image)].astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 0.2)
    counts = range(3, 10)
    fits = [cv2.kmeans(pixels, n, None, stop, 10, cv2.KMEANS_PP_CENTERS) for n in counts]
    inertia = [fit[0] for fit in fits]
    elbow = KneeLocator(counts, inertia, curve="convex", direction="decreasing").elbow
    _, labels, centers = fits[counts.index(elbow) if elbow else -1]
    ita_opencv8(centers[np.bincount(labels.ravel()).argmax()])


def plain_mask(path: Path, folder: Path) -> None:
    """All of it at full size."""
    mask = value_otsu(read_image(path)).astype(np.uint8) * 255
    cv2.imwrite(str(folder / "plain_mask.png"), mask)


def write_jpeg(path: Path, size: tuple[int, int], folder: Path) -> Path:
    """The image at (width, height) `size` as a JPEG file in `folder`."""
    target = folder / f"{path.stem}_{size[0]}.jpg"
    image = cv2.resize(read_image(path), size, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(target), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return target


def describe(title: str, size: tuple[int, int], pairs: np.ndarray) -> str:
    """A line with medians and the range of the ratio, of [rounds, (plain, own)] seconds."""
    plain, own = np.median(pairs, axis=0) * 1e3
    ratios = pairs[:, 0] / pairs[:, 1]
    return (
        f"{title} at {size[0]}x{size[1]}: plain {plain:.0f} ms, own {own:.1f} ms, "
        f"ratio {np.median(ratios):.1f} ({ratios.min():.1f}-{ratios.max():.1f}), "
        f"{len(pairs)} rounds"
    )
