"""python -m src.scripts.estimate_ita DIR -o CSV: the skin tone of every image in a folder."""

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ..batch.per_image_csv import images_below, run_folder_job
from ..core.errors import UserError, refuse_in_words, run_main
from ..preprocess.image import ImageError, masks_by_stem, read_image, read_reduced
from ..preprocess.steps import resize, shades_of_grey
from ..skin.masks import HAIR_SIDE, reduced, skin_mask
from ..skin.tone import GROUP_NAMES, ITA_METHODS, SKIN_COLORS, estimate_tone

COLUMNS = ("ita", "ita_spread", "valid", "reason", "color_r", "color_g", "color_b", "group")
COLOR_CONSTANCY: dict[str, Callable] = {
    "none": lambda image: image,
    "shades_of_grey": shades_of_grey,
}


def main(argv: list[str] | None) -> int:
    """0 once the CSV is written; 1 where some images could not be read."""
    args = parse_args(argv)
    paths = images_below(args.folder)
    masks = expert_masks(args.masks, paths) if args.masks else {}
    work = partial(
        tone_row,
        method=args.method,
        color=args.color,
        color_constancy=args.color_constancy,
        masks=masks,
    )
    settings = {name: getattr(args, name) for name in ("method", "color", "color_constancy")}
    settings["masks"] = mask_times(masks)
    rows = run_folder_job(
        work, paths, args.folder, args.output_csv, COLUMNS, settings, args.num_workers, "skin tone"
    )
    failed = rows[rows["status"] != "ok"]
    valid = rows[rows["valid"].eq(True)]
    counts = ", ".join(f"{(valid['group'] == i).sum()} {n}" for i, n in enumerate(GROUP_NAMES))
    print(f"{args.output_csv}: {len(rows)} images, {len(valid)} with a valid tone ({counts})")
    for reason, count in rows["reason"][rows["valid"].eq(False)].value_counts().items():
        print(f"  not valid: {count} for {reason}")
    for row in failed.head(10).itertuples():
        print(f"  not read: {row.image}: {row.status}")
    return 1 if len(failed) else 0


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    refuse_in_words(parser)
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="folder of images, searched at any depth")
    add("-o", "--output_csv", "--output-csv", type=Path, required=True, help="CSV to write")
    add("--method", choices=ITA_METHODS, default="cielab", help="from colour to angle")
    add("--color", choices=SKIN_COLORS, default="median", help="from pixels to skin colour")
    add(
        "--color_constancy",
        "--color-constancy",
        choices=COLOR_CONSTANCY,
        default="none",
        help="correction of the light before it",
    )
    masks_help = "lesion masks named after their images (default: found in the images)"
    add("--masks", type=Path, help=masks_help)
    workers_help = "processes (default: one per CPU core)"
    add("--num_workers", "--num-workers", type=int, default=os.cpu_count() or 1, help=workers_help)
    args = parser.parse_args(argv)
    if args.num_workers < 0:
        raise UserError(f"--num_workers {args.num_workers}: expected 0 or more")
    return args


def tone_row(path: Path, method: str, color: str, color_constancy: str, masks: dict) -> dict:
    """The `COLUMNS` of one image."""
    image, size = read_reduced(path, HAIR_SIDE)
    image = COLOR_CONSTANCY[color_constancy](reduced(image))
    lesion = read_lesion(masks[path.stem], size, image.shape[:2]) if masks else None
    tone = estimate_tone(image, skin_mask(image, lesion), method, color)
    red, green, blue = tone.color or (None, None, None)
    cells = (tone.ita, tone.ita_spread, tone.valid, tone.reason, red, green, blue, tone.group)
    return dict(zip(COLUMNS, cells, strict=True))


def read_lesion(path: Path, size: tuple[int, int], wanted: tuple[int, int]) -> np.ndarray:
    """bool [wanted]: a mask file as large as its image (height, width), for its reduced copy."""
    mask = read_image(path)
    if mask.shape[:2] != size:
        found = f"{mask.shape[1]}x{mask.shape[0]}"
        raise ImageError(f"its mask has {found} pixels, the image {size[1]}x{size[0]}")
    return resize(mask, height=wanted[0], width=wanted[1])[..., 0] > 127


def mask_times(masks: dict[str, Path]) -> list:
    """What tells whether masks have changed: path and time of each, as JSON types."""
    return sorted([str(path.resolve()), path.stat().st_mtime_ns] for path in masks.values())


def expert_masks(folder: Path, paths: list[Path]) -> dict[str, Path]:
    """The mask of each image by its stem; `UserError` that names an image without one."""
    if not folder.is_dir():
        raise UserError(f"--masks {folder}: no such folder; expected <image>_mask.png files")
    found = masks_by_stem(folder)
    lacking = [path for path in paths if path.stem not in found]
    if lacking:
        raise UserError(
            f"{lacking[0]}: no mask in {folder} ({len(lacking)} of {len(paths)} images have none): "
            f"expected {lacking[0].stem}_mask.png"
        )
    return found


if __name__ == "__main__":
    run_main(main)
