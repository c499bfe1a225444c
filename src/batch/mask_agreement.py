"""How well the lesions found agree with experts', and what that does to skin tones; as a CSV."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.errors import UserError
from ..preprocess.image import read_image
from ..skin.masks import LESION_METHODS, lesion_mask, skin_mask
from ..skin.skin_former import darken_skin, inner_lesion
from ..skin.tone import estimate_tone
from .mask_files import mask_times, read_lesion
from .per_image_csv import run_folder_job

DEFAULT = "darker_than_skin"
COLUMNS = (
    *LESION_METHODS,
    *("ita_expert", "ita_found", "group_expert", "group_found"),
    *("ita_darkened", "lesion_untouched"),
)
TARGET = 10.0  # degrees, of skin that skin-former darkens


def compare_masks(
    folder: Path, paths: list[Path], masks: dict[str, Path], output_csv: Path, n_workers: int
) -> pd.DataFrame:
    """The table that `output_csv` then holds: `image, *COLUMNS, status`.

    Overlap of every method with the expert's lesion, the skin tone outside of the expert's and of
    the found lesion, and that of the skin after skin-former.
    """
    work, settings = partial(compare, masks=masks), {"masks": mask_times(masks)}
    return run_folder_job(
        work, paths, folder, output_csv, COLUMNS, settings, n_workers, "comparing"
    )


def readable(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of images that could be read. Raises `UserError` where there are none."""
    read = rows[rows["status"] == "ok"].infer_objects()
    if read.empty:
        first = f"{rows['image'][0]}: {rows['status'][0]}"
        raise UserError(f"none of {len(rows)} images could be read (first: {first})")
    return read


def worst_of(rows: pd.DataFrame, n_most: int) -> pd.DataFrame:
    """`image` and the overlaps of the images that `DEFAULT` segments worst, the worst first."""
    return rows.nsmallest(n_most, DEFAULT)[["image", *LESION_METHODS]]


def compare(path: Path, masks: dict[str, Path]) -> dict:
    """The `COLUMNS` of one image."""
    image = read_image(path)
    expert = read_lesion(masks[path.stem], image.shape[:2], image.shape[:2])
    found = {name: lesion_mask(image, name) for name in LESION_METHODS}
    skin = skin_mask(image, expert)
    by_expert = estimate_tone(image, skin)
    darker = darken_skin(image, expert, skin, TARGET)
    by_found = estimate_tone(image, skin_mask(image, found[DEFAULT]))
    inner = inner_lesion(expert)
    untouched = None if darker is None else np.array_equal(darker[inner], image[inner])
    return {
        **{name: overlap(mask, expert) for name, mask in found.items()},
        "ita_expert": by_expert.ita if by_expert.valid else np.nan,
        "ita_found": by_found.ita if by_found.valid else np.nan,
        "group_expert": by_expert.group,
        "group_found": by_found.group,
        "ita_darkened": np.nan if darker is None else estimate_tone(darker, skin).ita,
        "lesion_untouched": untouched,
    }


def overlap(found: np.ndarray, expert: np.ndarray) -> float:
    """Intersection over union of two masks, 0 to 1; 1 where both are empty."""
    union = np.count_nonzero(found | expert)
    return np.count_nonzero(found & expert) / union if union else 1.0


def summary(rows: pd.DataFrame) -> str:
    """The overlaps and the agreement of skin tones as text."""
    lines = [f"{len(rows):,} images: intersection over union with the expert's lesion"]
    for name in LESION_METHODS:
        values = rows[name]
        lines.append(
            f"  {name:<18} mean {values.mean():.3f}, median {values.median():.3f}, "
            f"{(values < 0.5).mean():.1%} below .5"
        )
    valid = rows[rows["ita_expert"].notna() & rows["ita_found"].notna()]
    only_one = (rows["ita_expert"].notna() != rows["ita_found"].notna()).sum()
    difference = (valid["ita_expert"] - valid["ita_found"]).abs()
    same = (valid["group_expert"] == valid["group_found"]).mean()
    darkened = rows[rows["ita_darkened"].notna()]
    missed = (darkened["ita_darkened"] - TARGET).abs()
    return "\n".join(
        [
            *lines,
            "skin tone outside of the found lesion against outside of the expert's, "
            f"{len(valid):,} images valid in both ({only_one} in one only):",
            f"  median absolute difference {difference.median():.2f} degrees, 95th percentile "
            f"{difference.quantile(0.95):.2f}, {same:.1%} in the same group",
            f"skin-former to {TARGET:g} degrees, {len(darkened):,} images: median distance "
            f"{missed.median():.2f} degrees, 95th percentile {missed.quantile(0.95):.2f}; lesion "
            f"but for its rim untouched in {darkened['lesion_untouched'].astype(bool).sum():,}",
        ]
    )
