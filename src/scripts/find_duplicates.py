"""python -m src.scripts.find_duplicates --data_path DIR: one photograph in two files, in splits.

Compares what images show, whatever their names, patients and lesions. The trainer's flags and
--config give data, whose split is judged as training would use it; --images DIR takes any folder.
Writes `duplicates.csv` and `duplicates.png` into --output_dir.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..core.config import Data
from ..core.errors import UserError, run_main
from ..core.files import make_folder, write_text
from ..core.flags import make_parser, resolve
from ..core.image_files import images_below
from ..core.options import parse_flags
from ..datasets.adapters import DATASETS
from ..datasets.load import with_known_groups, with_split
from ..datasets.loaders import n_processes
from ..duplicates.figure import ImagePair, plot_image_pairs
from ..duplicates.perceptual_hash import (
    HASH_SIDE,
    ORIENTATIONS,
    oriented,
    perceptual_hashes,
    row_blocks,
    thumbnail,
)
from ..duplicates.search import (
    MAX_DISTANCE,
    MIN_SIMILARITY,
    Duplicates,
    details,
    duplicates_of,
)
from ..duplicates.table import describe, pair_table
from ..preprocess.image import ImageError, read_reduced

DECODED_SIDE = 128  # pixels of the longer side, at least: a large JPEG is not decoded in full
SHOWN_SIDE = 256
MOST_SHOWN, MOST_LISTED = 24, 10
DATA_FLAGS = ("config", "data_path", "dataset", "skin_color_csv")


@dataclass(frozen=True)
class Options:
    """The folder of images, None for the trainer's data, and what a duplicate is."""

    images: Path | None
    max_distance: int
    min_similarity: float


def main(argv: list[str] | None) -> int:
    """2 where a pair crosses the splits, else 1 where images could not be read, else 0."""
    given = parse_flags(make_duplicates_parser(), argv)
    options = take_options(given)
    cfg = resolve(given)
    output = Path(cfg.run.output_dir)
    if options.images:
        refuse_inside(output, options.images)
        rows, unread = rows_of_folder(options.images), []
    else:
        rows, unread = rows_of_data(cfg.data)
    n_threads = max(1, n_processes(cfg.data.num_workers))
    folder = make_folder(output)
    rows, thumbnails, damaged = read_all(rows, n_threads)
    pairs = pair_table(rows, find(thumbnails, options, n_threads))
    write_text(folder / "duplicates.csv", pairs.to_csv(index=False))
    write_figure(pairs, rows, folder / "duplicates.png")
    print(f"{describe(pairs, len(rows))}\nwritten to {folder}")
    unread += damaged
    print(f"not read: {len(unread)}" + "".join(f"\n  {n}: {r}" for n, r in unread[:MOST_LISTED]))
    if (pairs["same_split"] == "no").any():
        return 2
    return 1 if unread else 0


def make_duplicates_parser() -> argparse.ArgumentParser:
    """The trainer's flags and those of the search."""
    parser = make_parser(__doc__.splitlines()[0])
    group = parser.add_argument_group("Duplicates")
    group.add_argument(
        "--images", metavar="DIR", help="a folder of images, at any depth, instead of data"
    )
    group.add_argument(
        "--max_distance",
        metavar="BITS",
        help=f"by which the hashes of duplicates differ, of 64 (default: {MAX_DISTANCE})",
    )
    group.add_argument(
        "--min_similarity",
        metavar="SHARE",
        help=f"of the details of duplicates, 0 to 1 (default: {MIN_SIMILARITY})",
    )
    return parser


def take_options(given: dict) -> Options:
    """The search's own flags, taken out of `given`. Raises `UserError` for wrong values."""
    images = given.pop("images", None)
    both = [name for name in DATA_FLAGS if name in given]
    if images is not None and both:
        raise UserError(f"--images and --{both[0]} both choose the images: give one of them")
    distance = given.pop("max_distance", str(MAX_DISTANCE))
    if not (distance.isdecimal() and int(distance) <= HASH_SIDE**2):
        raise UserError(f"--max_distance {distance}: expected a whole number, 0 to {HASH_SIDE**2}")
    share = given.pop("min_similarity", str(MIN_SIMILARITY))
    try:
        similarity = float(share)
    except ValueError:
        similarity = np.nan
    if not 0 < similarity <= 1:
        raise UserError(f"--min_similarity {share}: expected a number above 0, up to 1")
    return Options(None if images is None else Path(images), int(distance), similarity)


def refuse_inside(output: Path, images: Path) -> None:
    """Raise `UserError` where the figure would count as an image when the search is repeated."""
    if output.resolve().is_relative_to(images.resolve()):
        raise UserError(f"--output_dir {output} lies in {images}: expected a folder outside")


def rows_of_folder(folder: Path) -> pd.DataFrame:
    """A row for each image, of which nothing but `path` and `image` (its name) is known."""
    paths = images_below(folder)
    names = [path.relative_to(folder).as_posix() for path in paths]
    unknown = dict.fromkeys(("split", "patient_id", "lesion_id", "label"), "")
    return pd.DataFrame({"path": list(map(str, paths)), "image": names}).assign(**unknown)


def rows_of_data(data: Data) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Rows as the trainer would use them, whether they leak or not, and files that are missing.

    With `--kfold` the folds are the splits.
    """
    root = Path(data.data_path)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the data with --data_path, or --images DIR")
    table = DATASETS.build(data.dataset, data_path=root, skin_color_csv=data.skin_color_csv)
    table = with_split(with_known_groups(table) if data.known_groups_only else table, data)
    if table.is_split_drawn:
        print("the data have no split of their own: that which training would draw is judged")
    rows = table.rows
    split = rows["split"]
    if data.kfold:
        split = split.mask(rows["fold"] >= 0, "fold " + rows["fold"].astype(str))
    names = [os.path.relpath(path, root) for path in rows["image"]]
    labels = [table.classes[label] for label in rows["label"]]
    known = rows[["patient_id", "lesion_id"]].assign(split=split, label=labels)
    return known.assign(path=rows["image"], image=names), list(table.bad)


def read_all(
    rows: pd.DataFrame, n_threads: int
) -> tuple[pd.DataFrame, np.ndarray, list[tuple[str, str]]]:
    """The rows that can be read, their thumbnails, and (name, reason) of the others."""
    with ThreadPoolExecutor(n_threads) as pool:
        found = list(with_bar(pool.map(look_at, rows["path"]), "reading", len(rows)))
    is_read = np.array([not isinstance(each, str) for each in found])
    # a name that is not UTF-8 is a reason not to read the image
    names = [name.encode(errors="backslashreplace").decode() for name in rows["image"]]
    damaged = [(n, each) for n, each in zip(names, found, strict=True) if isinstance(each, str)]
    if not is_read.any():
        raise UserError(f"none of {len(rows)} images can be read (first: {': '.join(damaged[0])})")
    thumbnails = np.stack([each for each in found if not isinstance(each, str)])
    return rows[is_read].reset_index(drop=True), thumbnails, damaged


def look_at(path: str) -> np.ndarray | str:
    """The thumbnail of an image, or why there is none."""
    try:
        return thumbnail(read_reduced(path, DECODED_SIDE)[0])
    except ImageError as error:
        return str(error)


def find(thumbnails: np.ndarray, options: Options, n_threads: int) -> Duplicates:
    """All duplicates among the images of the thumbnails."""
    search = partial(
        duplicates_of,
        hashes=perceptual_hashes(thumbnails),
        all_details=details(thumbnails),
        max_distance=options.max_distance,
        min_similarity=options.min_similarity,
    )
    blocks = row_blocks(len(thumbnails))
    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(with_bar(pool.map(search, blocks), "comparing", len(blocks)))
    return Duplicates(*map(np.concatenate, zip(*parts, strict=True)))


def with_bar(found, title: str, total: int) -> tqdm:
    """The same, with a progress bar on a terminal."""
    return tqdm(found, title, total, disable=None, leave=False)


def write_figure(pairs: pd.DataFrame, rows: pd.DataFrame, path: Path) -> None:
    """Draw the first pairs; without any, remove what an earlier search drew."""
    if pairs.empty:
        path.unlink(missing_ok=True)
        return
    first = pairs.head(MOST_SHOWN)
    paths = dict(zip(rows["image"], rows["path"], strict=True))
    shown = [image_pair(pair, paths) for pair in first.itertuples()]
    plot_image_pairs(shown, f"{len(first):,} of {len(pairs):,} near-duplicate pairs", path)


def image_pair(pair: tuple, paths: dict[str, str]) -> ImagePair:
    """Both images of a line of the table, the second moved to look like the first."""
    images = [read_reduced(paths[name], SHOWN_SIDE)[0] for name in (pair.image_a, pair.image_b)]
    second = oriented(images[1][None], ORIENTATIONS.index(pair.orientation))[0]
    lines = [
        f"{side}: {Path(name).name[-40:]} {label} {split}"
        for side, name, label, split in (
            ("a", pair.image_a, pair.label_a, pair.split_a),
            ("b", pair.image_b, pair.label_b, pair.split_b),
        )
    ]
    fact = f"similarity {pair.similarity:.2f}, {pair.distance} bits, b {pair.orientation}"
    return ImagePair(images[0], second, "\n".join((*lines, fact)))


if __name__ == "__main__":
    run_main(main)
