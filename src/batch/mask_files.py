"""Files of masks: one for every image below a folder, listed in a CSV; those of experts."""

from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from ..core.files import clear_unfinished, make_folder
from ..preprocess.image import ImageError, read_image, read_reduced, write_png
from ..preprocess.steps import resize
from ..skin.domains import CLINICAL, domain_of
from ..skin.masks import BY_DOMAIN, hair_mask, lesion_mask, skin_mask
from ..skin.shapes import HAIR_SIDE, enlarged, reduced
from .per_image_csv import run_folder_job

COLUMNS = ("mask", "share", "domain")
# no row filters: one-bit rows compress best without
ONE_BIT = (cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)


def write_masks(
    folder: Path, paths: list[Path], output_dir: Path, n_workers: int, **choices: Any
) -> pd.DataFrame:
    """The table `image, *COLUMNS, status` that `output_dir/masks.csv` then lists the masks in.

    The choices `kind`, `domain` and `method` are names in `MASK_KINDS`, `DOMAINS` or "auto", and
    `LESION_METHODS` or `BY_DOMAIN`. Stems of `paths` differ.
    """
    clear_unfinished(make_folder(output_dir))
    csv, kind = output_dir / "masks.csv", choices["kind"]
    work = partial(mask_row, **choices, output_dir=output_dir)

    def is_kept(cells: list) -> bool:  # the mask of a finished row may be gone
        return cells[0] is None or (output_dir / cells[0]).is_file()

    title = f"{kind} masks"
    return run_folder_job(work, paths, folder, csv, COLUMNS, choices, n_workers, title, is_kept)


def mask_row(path: Path, kind: str, domain: str, method: str, output_dir: Path) -> dict:
    """Writes the mask of one image, as large as it; its file name, white share and domain."""
    image, size = read_reduced(path, HAIR_SIDE)
    image = reduced(image)
    domain = domain_of(image, domain)
    if kind == "hair":
        mask = hair_mask(image)
    elif (kind, domain, method) == ("skin", CLINICAL, BY_DOMAIN):
        mask = skin_mask(image, domain=domain)
    else:
        mask = lesion_mask(image, method, domain)
        mask = skin_mask(image, mask, domain) if kind == "skin" else mask
    share = float(mask.mean())
    whole = enlarged(mask, size).view(np.uint8)
    whole *= 255  # in place: of a large image it takes as long as finding the lesion
    target = output_dir / f"{path.stem}_mask.png"
    write_png(target, whole, ONE_BIT)
    return {"mask": target.name, "share": share, "domain": domain}


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
