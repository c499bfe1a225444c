"""Lesion masks drawn by experts, in a folder beside the images'."""

from pathlib import Path

import numpy as np

from ..core.errors import UserError
from ..core.image_files import masks_by_stem
from ..preprocess.image import ImageError, read_image
from ..preprocess.steps import resize


def expert_masks(folder: Path | None, paths: list[Path]) -> dict[str, Path]:
    """The mask of each image by its stem, none without a folder.

    Raises `UserError` that names an image without a mask.
    """
    if not folder:
        return {}
    found = masks_by_stem(folder)
    lacking = [path for path in paths if path.stem not in found]
    if lacking:
        raise UserError(
            f"{lacking[0]}: no mask in {folder} ({len(lacking)} of {len(paths)} images have none): "
            f"expected {lacking[0].stem}_mask.png"
        )
    return found


def mask_times(masks: dict[str, Path]) -> list:
    """What tells whether masks have changed: path and time of each, as JSON types."""
    return sorted([str(path.resolve()), path.stat().st_mtime_ns] for path in masks.values())


def read_lesion(path: Path, size: tuple[int, int], wanted: tuple[int, int]) -> np.ndarray:
    """bool [wanted]: a mask file as large as its image (height, width), for its reduced copy."""
    mask = read_image(path)
    if mask.shape[:2] != size:
        found = f"{mask.shape[1]}x{mask.shape[0]}"
        raise ImageError(f"its mask has {found} pixels, the image {size[1]}x{size[0]}")
    return resize(mask, height=wanted[0], width=wanted[1])[..., 0] > 127
