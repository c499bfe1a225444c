"""Files of masks: one for every image below a folder, listed in a CSV; those of experts."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from ..core.files import clear_unfinished, make_folder, replacing
from ..preprocess.image import ImageError, read_image, read_reduced
from ..preprocess.steps import resize
from ..skin.masks import HAIR_SIDE, enlarged, hair_mask, lesion_mask, reduced, skin_mask
from .per_image_csv import run_folder_job

COLUMNS = ("mask", "share")
# no row filters: one-bit rows compress best without
ONE_BIT = (cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)


def write_masks(
    folder: Path, paths: list[Path], output_dir: Path, kind: str, method: str, n_workers: int
) -> pd.DataFrame:
    """The table `image, mask, share, status` that `output_dir/masks.csv` then lists the masks in.

    `kind` and `method` are names in `MASK_KINDS` and `LESION_METHODS`. Stems of `paths` differ.
    """
    clear_unfinished(make_folder(output_dir))
    choices, csv = {"kind": kind, "method": method}, output_dir / "masks.csv"
    work = partial(mask_row, **choices, output_dir=output_dir)

    def is_kept(cells: list) -> bool:  # the mask of a finished row may be gone
        return cells[0] is None or (output_dir / cells[0]).is_file()

    title = f"{kind} masks"
    return run_folder_job(work, paths, folder, csv, COLUMNS, choices, n_workers, title, is_kept)


def mask_row(path: Path, kind: str, method: str, output_dir: Path) -> dict:
    """Writes the mask of one image, as large as it; its file name and its white share."""
    image, size = read_reduced(path, HAIR_SIDE)
    image = reduced(image)
    if kind == "hair":
        mask = hair_mask(image)
    else:
        mask = lesion_mask(image, method)
        mask = skin_mask(image, mask) if kind == "skin" else mask
    share = float(mask.mean())
    whole = enlarged(mask, size).view(np.uint8)
    whole *= 255  # in place: of a large image it takes as long as finding the lesion
    encoded = cv2.imencode(".png", whole, ONE_BIT)[1]
    target = output_dir / f"{path.stem}_mask.png"
    with replacing(target, one_of_many=True) as temporary:
        temporary.write_bytes(encoded)
    return {"mask": target.name, "share": share}


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
