"""python -m src.scripts.evaluate_masks DIR --masks DIR --output_dir OUT: masks against experts'.

Writes `masks_by_image.csv` (overlap of every method, the skin tone outside of the expert's and of
the found lesion, and that of the skin after skin-former), `worst_masks.png`, and prints a summary.
"""

import argparse
import os
from functools import partial
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..batch.per_image_csv import images_below, run_folder_job
from ..core.errors import UserError, refuse_in_words, run_main
from ..preprocess.image import read_image
from ..skin.masks import LESION_METHODS, lesion_mask, skin_mask
from ..skin.skin_former import darken_skin
from ..skin.tone import ToneEstimate, estimate_tone
from .estimate_ita import expert_masks, mask_times, read_lesion

DEFAULT = "darker_than_skin"
COLUMNS = (
    *LESION_METHODS,
    *("ita_expert", "ita_found", "group_expert", "group_found"),
    *("ita_darkened", "lesion_untouched"),
)
TARGET = 10.0  # degrees, of skin that skin-former darkens
N_WORST = 12


def main(argv: list[str] | None) -> int:
    """0 once the files are written; 1 where some images could not be read."""
    args = parse_args(argv)
    paths = images_below(args.folder)
    masks = expert_masks(args.masks, paths)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    rows = run_folder_job(
        partial(compare, masks=masks),
        paths,
        args.folder,
        args.output_dir / "masks_by_image.csv",
        COLUMNS,
        {"masks": mask_times(masks)},
        args.num_workers,
        "comparing",
    )
    read = rows[rows["status"] == "ok"].infer_objects()
    if read.empty:
        first = f"{rows['image'][0]}: {rows['status'][0]}"
        raise UserError(f"{args.folder}: none of {len(rows)} images could be read (first: {first})")
    worst = read.nsmallest(N_WORST, DEFAULT)
    draw(args.folder, masks, worst, args.output_dir / "worst_masks.png")
    print(summary(read))
    print(f"the {N_WORST} worst of {DEFAULT}, drawn in {args.output_dir / 'worst_masks.png'}:")
    print(worst[["image", *LESION_METHODS]].to_string(index=False, float_format="%.3f"))
    return 1 if len(read) < len(rows) else 0


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    refuse_in_words(parser)
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="folder of images")
    add("--masks", type=Path, required=True, help="experts' lesion masks, named after their images")
    add("--output_dir", "--output-dir", type=Path, required=True, help="folder to write to")
    workers_help = "processes (default: one per CPU core)"
    add("--num_workers", "--num-workers", type=int, default=os.cpu_count() or 1, help=workers_help)
    return parser.parse_args(argv)


def compare(path: Path, masks: dict[str, Path]) -> dict:
    """The `COLUMNS` of one image."""
    image = read_image(path)
    expert = read_lesion(masks[path.stem], image.shape[:2], image.shape[:2])
    found = {name: lesion_mask(image, name) for name in LESION_METHODS}
    skin = skin_mask(image, expert)
    by_expert = estimate_tone(image, skin)
    darker = darken_skin(image, expert, skin, TARGET)
    by_found = estimate_tone(image, skin_mask(image, found[DEFAULT]))
    overlaps = {name: overlap(mask, expert) for name, mask in found.items()}
    return {
        **overlaps,
        "ita_expert": valid_angle(by_expert),
        "ita_found": valid_angle(by_found),
        "group_expert": by_expert.group,
        "group_found": by_found.group,
        "ita_darkened": np.nan if darker is None else estimate_tone(darker, skin).ita,
        "lesion_untouched": None
        if darker is None
        else np.array_equal(darker[expert], image[expert]),
    }


def overlap(found: np.ndarray, expert: np.ndarray) -> float:
    """Intersection over union of two masks, 0 to 1; 1 where both are empty."""
    union = np.count_nonzero(found | expert)
    return np.count_nonzero(found & expert) / union if union else 1.0


def valid_angle(tone: ToneEstimate) -> float:
    return tone.ita if tone.valid else np.nan


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
    lines.append(
        f"skin tone outside of the found lesion against outside of the expert's, {len(valid):,} "
        f"images valid in both ({only_one} in one only):"
    )
    lines.append(
        f"  median absolute difference {difference.median():.2f} degrees, 95th percentile "
        f"{difference.quantile(0.95):.2f}, {same:.1%} in the same group"
    )
    darkened = rows[rows["ita_darkened"].notna()]
    missed = (darkened["ita_darkened"] - TARGET).abs()
    lines.append(
        f"skin-former to {TARGET:g} degrees, {len(darkened):,} images: median distance "
        f"{missed.median():.2f} degrees, 95th percentile {missed.quantile(0.95):.2f}; lesion "
        f"untouched in {darkened['lesion_untouched'].astype(bool).sum():,}"
    )
    return "\n".join(lines)


def draw(folder: Path, masks: dict[str, Path], rows: pd.DataFrame, output: Path) -> None:
    """None once `output` shows the images of `rows` with the expert's outline and the found."""
    figure, panels = plt.subplots(3, 4, figsize=(12, 7.2), layout="constrained")
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, row in zip(panels.flat, rows.itertuples(), strict=False):
        image = read_image(folder / row.image)
        expert = read_lesion(masks[Path(row.image).stem], image.shape[:2], image.shape[:2])
        for mask, color in ((expert, (0, 158, 115)), (lesion_mask(image), (213, 94, 0))):
            outline = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            width = max(1, round(max(image.shape) / 150))
            cv2.drawContours(image, outline[0], -1, color, width)
        panel.imshow(image)
        panel.set_title(f"{Path(row.image).stem}: {getattr(row, DEFAULT):.2f}", fontsize=9)
    figure.suptitle("Least overlap: expert's lesion (green) and found (orange)")
    figure.savefig(output, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    run_main(main)
