"""Rows of a table as decoded, masked, prepared and augmented: what the network really sees."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ..batch.mask_files import read_lesion
from ..core.config import Config
from ..core.errors import require
from ..core.progress import progress
from ..datasets.load import split_table, without_bad_images
from ..datasets.table import Table
from ..loading.augment import Augmentation
from ..loading.copies import with_copies
from ..loading.loaders import LocalISICDataset
from ..preprocess.image import ImageError, decode_image, file_bytes
from ..preprocess.spec import Preprocessing, parse_preprocessing
from ..preprocess.steps import pad_resize
from ..report.style import SMALL, SOFT_INK, WRONG, saved_figure, short
from ..skin.domains import AUTO
from ..skin.masks import hair_mask, lesion_mask
from ..skin.shapes import reduced
from .options import SheetOptions

FILE, FOUND, HAIR = (0, 158, 115), (213, 94, 0), (0, 114, 178)  # Okabe & Ito 2008
LEGEND = "outlines: green the mask file, orange the lesion found; blue: hair found"
_SIDE = 1.55  # inches of an image


@dataclass(frozen=True)
class SeenRow:
    """One row: who it is, and its images, RGB uint8; `augmented` have their captions."""

    name: str
    label: str
    is_positive: bool
    group: str
    ita: float
    decoded: np.ndarray
    size: tuple[int, int]
    outlined: np.ndarray
    prepared: np.ndarray
    augmented: list[tuple[np.ndarray, str]]


def draw_sheet(cfg: Config, options: SheetOptions) -> tuple[int, list[tuple[str, str]]]:
    """(rows drawn into `options.output`, name and reason of images that could not be read).

    Raises `UserError` for settings that training would refuse, and where no row is left.
    """
    spec = parse_preprocessing(cfg.data.preprocess, cfg.data.input_size)
    if spec.waits_for:  # undone for the eye, whatever the constants are
        spec = spec.with_constants((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    augmentation = Augmentation(cfg.data.augment)
    table = split_table(cfg.data).split(options.split)
    require(len(table), f"--split {options.split}: no rows")
    chosen = without_bad_images(
        choose(table, options.n_images, cfg.run.seed), max_bad_images=options.n_images
    )
    require(len(chosen), f"--split {options.split}: none of the images chosen can be read")
    copies = with_copies(chosen, cfg.data.malignant_copies)
    rows = LocalISICDataset(copies, spec, augmentation)
    seen = [*look(copies, rows, cfg.run.seed, options.views)]
    about = f"--preprocess {cfg.data.preprocess}\n--augment {cfg.data.augment}"
    plot(seen, about, options.output)
    return len(seen), list(chosen.bad)


def choose(table: Table, n_rows: int, seed: int) -> Table:
    """Up to `n_rows` rows, the classes in turn, and in each the tone groups in turn."""
    order = np.random.default_rng(seed).permutation(len(table))
    rows = table.rows.iloc[order]
    turn = rows.groupby(["label", "group"]).cumcount()
    rows = rows.iloc[np.argsort(turn, kind="stable")]
    rounds = rows.groupby("label").cumcount()
    first = rows.iloc[np.lexsort([rows["label"], rounds])][:n_rows]
    by_class = first.sort_values(["label", "group"], kind="stable")
    return replace(table.with_rows(by_class), bad=())


def look(table: Table, rows: LocalISICDataset, seed: int, n_views: int) -> Iterator[SeenRow]:
    """Each row, augmented by the first seeds of its own."""
    for place in progress(range(len(rows)), "images", unit="image"):
        row = table.rows.iloc[place]
        image = decode_image(file_bytes(Path(row["image"])))
        seeds = np.random.SeedSequence([seed, place]).generate_state(n_views).tolist()
        views = [rows.augmented((place, view)) for view in seeds]
        group = int(rows.groups[place])
        yield SeenRow(
            name=Path(row["image"]).stem,
            label=table.classes[row["label"]],
            is_positive=bool(rows.positives[place]),
            group=table.groups[group] if group >= 0 else "tone unknown",
            ita=float(row["ita"]),
            decoded=reduced(image),
            size=image.shape[:2],
            outlined=outlined(image, row["mask"]),
            prepared=as_seen(rows.preprocessing, rows.prepared(place)[0]),
            augmented=[
                (as_seen(rows.preprocessing, v[0]), "" if v[2] == group else table.groups[v[2]])
                for v in views
            ],
        )


def outlined(image: np.ndarray, mask_path: str) -> np.ndarray:
    """The image, reduced, with the outlines of its lesion and its hair: see `LEGEND`."""
    small = reduced(image)
    drawn = small.copy()
    drawn[hair_mask(small)] = HAIR
    lesions = [(FOUND, lesion_mask(small, domain=AUTO))]
    if mask_path:
        with suppress(ImageError):  # training says what is wrong with a mask
            lesions.append((FILE, read_lesion(Path(mask_path), image.shape[:2], small.shape[:2])))
    width = max(1, round(max(small.shape) / 130))
    for color, lesion in lesions:
        lines = cv2.findContours(lesion.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(drawn, lines, -1, color, width)
    return drawn


def as_seen(spec: Preprocessing, image: np.ndarray) -> np.ndarray:
    """RGB uint8 of an image at the augmentation point as the network gets it.

    Scaling by a last `normalize` is left out, which no eye can see; of other numbers (L*a*b*) each
    channel is stretched from its least to its largest.
    """
    found = spec.unscaled(image)
    if found.dtype == np.uint8:
        return found
    low, high = found.min((0, 1)), found.max((0, 1))
    return np.rint((found - low) / np.maximum(high - low, 1e-6) * 255).astype(np.uint8)


def plot(rows: list[SeenRow], about: str, path: Path) -> None:
    """Save a PNG: a row of images for each of the rows, `about` above them."""
    n_views = len(rows[0].augmented)
    n_columns = 3 + n_views
    with saved_figure((1.35 + _SIDE * n_columns, 0.9 + _SIDE * len(rows)), path) as figure:
        figure.suptitle(about, x=0.01, ha="left", fontsize=SMALL, color=SOFT_INK)
        figure.supxlabel(LEGEND, x=0.01, ha="left", fontsize=SMALL, color=SOFT_INK)
        grid = figure.subplots(len(rows), n_columns, squeeze=False)
        titles = ["decoded", "masks", "prepared", *["augmented"] * n_views]
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title, fontsize=SMALL + 1)
        for row, line in zip(rows, grid, strict=True):
            pictures = [
                (row.decoded, _size(row.size)),
                (row.outlined, ""),
                (row.prepared, _size(row.prepared.shape)),
                *row.augmented,
            ]
            for axes, (picture, caption) in zip(line, pictures, strict=True):
                side = max(picture.shape)
                square = pad_resize(picture, height=side, width=side, value=255)
                axes.imshow(square, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                axes.set_xlabel(caption, fontsize=SMALL - 1.5, labelpad=1.5)
            color = WRONG if row.is_positive else "black"
            ita = "" if np.isnan(row.ita) else f"\nITA {row.ita:.0f}°".replace("-", "−")
            line[0].set_ylabel(
                f"{short(row.label, 18)}\n{short(row.group, 18)}{ita}\n{short(row.name, 16)}",
                rotation=0,
                ha="right",
                va="center",
                fontsize=SMALL - 0.5,
                color=color,
            )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} × {shape[0]}"
