"""`find_duplicates`: from a folder or the trainer's data to a table and a figure of pairs."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..core.cells import csv_text
from ..core.config import Config, Data
from ..core.errors import UserError
from ..core.files import make_folder, write_text
from ..core.image_files import images_below
from ..core.progress import progress, working
from ..datasets.load import split_table
from ..datasets.splits import unit_keys
from ..loading.batches import n_processes
from ..preprocess.image import ImageError, read_reduced
from ..report.style import printable, saved_figure
from .options import SearchOptions
from .search import (
    ORIENTATIONS,
    Duplicates,
    details,
    duplicates_of,
    oriented,
    perceptual_hashes,
    row_blocks,
    thumbnail,
)
from .table import describe, pair_table

DECODED_SIDE = 128  # pixels of the longer side, at least: a large JPEG is not decoded in full
SHOWN_SIDE = 256
MOST_SHOWN, MOST_LISTED = 24, 10
COLUMNS, GAP = 3, 0.04  # of the figure; between two images, of the first one's width
ImagePair = tuple[np.ndarray, np.ndarray, str]  # two of any sizes, and lines of text on them
log = logging.getLogger(__name__)


class Found(NamedTuple):
    """What a search found: lines of text, whether a pair crosses the splits, unread images."""

    summary: str
    crosses_splits: bool
    n_unread: int


def find_duplicates(options: SearchOptions, cfg: Config) -> Found:
    """Search the images and write `duplicates.csv` and `duplicates.png` into `--output_dir`."""
    if options.images:
        rows = rows_of_folder(options.images)
        unread: list = []
    else:
        rows, unread = rows_of_data(cfg.data)
    n_threads = max(1, n_processes(cfg.data.num_workers))
    folder = make_folder(Path(cfg.run.output_dir))
    rows, thumbnails, damaged = read_all(rows, n_threads)
    pairs = pair_table(rows, find(thumbnails, options, n_threads))
    write_text(folder / "duplicates.csv", csv_text(pairs))
    write_figure(pairs, rows, folder / "duplicates.png")
    unread += damaged
    lines = [describe(pairs, len(rows)), f"written to {folder}", f"not read: {len(unread)}"]
    lines += [f"  {name}: {reason}" for name, reason in unread[:MOST_LISTED]]
    return Found("\n".join(lines), bool((pairs["same_split"] == "no").any()), len(unread))


def rows_of_folder(folder: Path) -> pd.DataFrame:
    """A row for each image, of which nothing but `path` and `image` (its name) is known."""
    paths = images_below(folder)
    names = [path.relative_to(folder).as_posix() for path in paths]
    unknown = dict.fromkeys(("split", "patient_id", "lesion_id", "label"), "")
    # objects: pandas' own text holds no names that are not UTF-8 where pyarrow is installed
    rows = pd.DataFrame({"path": list(map(str, paths)), "image": names}, dtype=object)
    return rows.assign(**unknown)


def rows_of_data(data: Data) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Rows as the trainer would use them, whether they leak or not, and files that are missing.

    With `--kfold` the folds are the splits.
    """
    root = Path(data.data_path)
    table = split_table(data)
    if table.is_split_drawn:
        log.info("The data have no split; checking the one that training would create.")
    rows = table.rows
    split = rows["split"]
    if data.kfold:
        split = split.mask(rows["fold"] >= 0, "fold " + rows["fold"].astype(str))
    names = [os.path.relpath(path, root) for path in rows["image"]]
    labels = [table.classes[label] for label in rows["label"]]
    known = unit_keys(rows).assign(split=split, label=labels)
    return known.assign(path=rows["image"], image=names), list(table.bad)


def read_all(
    rows: pd.DataFrame, n_threads: int
) -> tuple[pd.DataFrame, np.ndarray, list[tuple[str, str]]]:
    """The rows that can be read, their thumbnails, and (name, reason) of the others."""
    with ThreadPoolExecutor(n_threads) as pool:
        found = list(progress(pool.map(look_at, rows["path"]), "reading", len(rows), "image"))
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


def find(thumbnails: np.ndarray, options: SearchOptions, n_threads: int) -> Duplicates:
    """All duplicates among the images of the thumbnails."""
    with working("hashing"):
        hashes, all_details = perceptual_hashes(thumbnails), details(thumbnails)
    search = partial(
        duplicates_of,
        hashes=hashes,
        all_details=all_details,
        max_distance=options.max_distance,
        min_similarity=options.min_similarity,
    )
    blocks = row_blocks(len(thumbnails))
    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(progress(pool.map(search, blocks), "comparing", len(blocks)))
    return Duplicates(*map(np.concatenate, zip(*parts, strict=True)))


def write_figure(pairs: pd.DataFrame, rows: pd.DataFrame, path: Path) -> None:
    """Draw the first pairs; without any, remove what an earlier search drew."""
    if pairs.empty:
        path.unlink(missing_ok=True)
        return
    first = pairs.head(MOST_SHOWN)
    paths = dict(zip(rows["image"], rows["path"], strict=True))
    found = progress(first.itertuples(), "drawing pairs", len(first))
    shown = [image_pair(pair, paths) for pair in found]
    plot_image_pairs(shown, f"{len(first):,} of {len(pairs):,} near-duplicate pairs", path)


def image_pair(pair: Any, paths: dict[str, str]) -> ImagePair:
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
    return images[0], second, "\n".join((*lines, fact))


def plot_image_pairs(pairs: Sequence[ImagePair], title: str, path: Path) -> None:
    """Save a PNG: each pair side by side at the height of its first image, the caption above."""
    n_rows = -(-len(pairs) // COLUMNS)
    with saved_figure((4.6 * COLUMNS, 0.6 + 2.5 * n_rows), path) as figure:
        figure.suptitle(title, fontsize=12)
        for place, (first, second, caption) in enumerate(pairs, start=1):
            axes = figure.add_subplot(n_rows, COLUMNS, place)
            width, other_width = (image.shape[1] / image.shape[0] for image in (first, second))
            left = width * (1 + GAP)
            axes.imshow(first, extent=(0, width, 1, 0))
            axes.imshow(second, extent=(left, left + other_width, 1, 0))
            axes.set(xlim=(0, left + other_width), ylim=(1, 0), aspect="equal")
            caption = "\n".join(map(printable, caption.split("\n")))
            axes.set_title(caption, fontsize=8, fontweight="normal", loc="center")
            axes.axis("off")
