"""python -m src.scripts.generate_skin_masks --source_path DIR: a mask file for every image."""

import argparse
import os
from collections import Counter
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from ..batch.per_image_csv import images_below, run_folder_job
from ..core.errors import UserError, refuse_in_words, run_main
from ..preprocess.image import read_reduced
from ..skin.masks import (
    HAIR_SIDE,
    LESION_METHODS,
    enlarged,
    hair_mask,
    lesion_mask,
    reduced,
    skin_mask,
)

COLUMNS = ("mask", "share")
# no row filters: one-bit rows compress best without
ONE_BIT = (cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)


def main(argv: list[str] | None) -> int:
    """0 once every mask is written; 1 where some images could not be read."""
    args = parse_args(argv)
    paths = images_below(args.source_path)
    refuse_same_stems(paths)
    refuse_own_output(args.source_path.resolve(), args.output_dir.resolve())
    args.output_dir.mkdir(parents=True, exist_ok=True)
    work = partial(mask_row, kind=args.kind, method=args.method, output_dir=args.output_dir)
    rows = run_folder_job(
        work,
        paths,
        args.source_path,
        args.output_dir / "masks.csv",
        COLUMNS,
        {"kind": args.kind, "method": args.method},
        args.num_workers,
        f"{args.kind} masks",
        partial(has_mask, output_dir=args.output_dir),
    )
    failed = rows[rows["status"] != "ok"]
    print(
        f"{args.output_dir}: {len(rows) - len(failed)} masks of {len(rows)} images, and masks.csv"
    )
    for row in failed.head(10).itertuples():
        print(f"  not read: {row.image}: {row.status}")
    return 1 if len(failed) else 0


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    refuse_in_words(parser)
    add = parser.add_argument
    source_help = "folder of images, searched at any depth"
    add("--source_path", "--source-path", type=Path, required=True, help=source_help)
    output_help = "folder for <image>_mask.png (default ./masks)"
    add("--output_dir", "--output-dir", type=Path, default=Path("masks"), help=output_help)
    kinds = ("lesion", "hair", "skin")
    add("--kind", choices=kinds, default="lesion", help="what is white in a mask (default lesion)")
    add("--method", choices=LESION_METHODS, default="darker_than_skin", help="of finding lesions")
    workers_help = "processes (default: one per CPU core)"
    add("--num_workers", "--num-workers", type=int, default=os.cpu_count() or 1, help=workers_help)
    args = parser.parse_args(argv)
    if args.num_workers < 0:
        raise UserError(f"--num_workers {args.num_workers}: expected 0 or more")
    return args


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
    target.write_bytes(encoded)  # killed in here, it has no row yet: the next run writes it anew
    return {"mask": target.name, "share": share}


def has_mask(cells: list, output_dir: Path) -> bool:
    """Whether the mask of a finished row (its first cell) is still there, if it ever was."""
    return cells[0] is None or (output_dir / cells[0]).is_file()


def refuse_own_output(source: Path, output: Path) -> None:
    """Raise `UserError` where the next run would take masks for images."""
    inside = output.is_relative_to(source)
    if inside and "masks" not in output.relative_to(source).parts:
        raise UserError(
            f"--output_dir {output} lies in --source_path: its masks would be taken for images; "
            "expected a folder elsewhere, or one called masks"
        )


def refuse_same_stems(paths: list[Path]) -> None:
    """Raise `UserError` where two images would write one mask."""
    stem, count = Counter(path.stem for path in paths).most_common(1)[0]
    if count > 1:
        same = [str(path) for path in paths if path.stem == stem]
        raise UserError(
            f"{same[0]} and {same[1]} would both write {stem}_mask.png: give each folder its own "
            "--output_dir"
        )


if __name__ == "__main__":
    run_main(main)
