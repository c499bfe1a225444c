"""python -m src.scripts.visualize_skin_tone DIR --ita_csv CSV --output_dir OUT: four figures.

They show the skin tones of a folder's images as `src.scripts.estimate_ita` wrote them: the angles,
the skin colours, masks on images (found in the image as it is) and light skin made darker.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..batch.per_image_csv import images_below
from ..core.errors import UserError, refuse_in_words, run_main
from ..datasets.table import numbers, read_csv
from ..preprocess.image import ImageError, read_reduced
from ..report.skin_tone_figures import (
    MaskPanel,
    TonePair,
    plot_histogram,
    plot_overlays,
    plot_pairs,
    plot_strips,
)
from ..skin.masks import HAIR_SIDE, hair_mask, lesion_mask, reduced, skin_mask
from ..skin.skin_former import darken_skin
from ..skin.tone import GROUP_NAMES, estimate_tone, tone_group
from .estimate_ita import expert_masks, read_lesion

COLORS = ("color_r", "color_g", "color_b")
COLUMNS = ("image", "ita", "ita_spread", "valid", "reason", *COLORS, "status")
LIGHT_GROUPS = [GROUP_NAMES.index("Very light"), GROUP_NAMES.index("Light")]
MOST_IMAGES = 64
LONGEST_CELL = 60


def main(argv: list[str] | None) -> int:
    """0 once the four figures are written; 1 where there is nothing to draw for one of them."""
    args = parse_args(argv)
    rows = read_estimates(args.ita_csv)
    files = find_images(rows, args.folder, args.ita_csv)
    masks = expert_masks(args.masks, list(files.values())) if args.masks else {}
    valid = rows[rows["valid"]]
    ita = valid["ita"].to_numpy()
    examples = choose_examples(rows, args.n_images)
    is_light = np.isin(tone_group(ita), LIGHT_GROUPS) & (ita > args.target)
    light = spread_over_angles(valid[is_light], args.n_images)
    shown = pd.concat([examples, light]).drop_duplicates("image")
    bar = tqdm(shown.itertuples(), "masks", len(shown), unit="image", disable=None, leave=False)
    seen = {row.image: look_at(row, files[row.image], masks) for row in bar}
    panels = [seen[image] for image in examples["image"]]
    pairs = [pair for image in light["image"] if (pair := darkened(seen[image], args.target))]
    colors = valid[[*COLORS]].to_numpy()
    figures = {
        "ita_histogram.png": (ita, "angle", partial(plot_histogram, ita, left_out(rows))),
        "color_strips.png": (ita, "skin colour", partial(plot_strips, ita, colors)),
        "mask_overlays.png": (panels, "image", partial(plot_overlays, panels)),
        "skin_former.png": (pairs, "light image", partial(plot_pairs, pairs, args.target)),
    }
    return write_figures(figures, args.output_dir)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    refuse_in_words(parser)
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="folder of images, searched at any depth")
    csv_help = "what src.scripts.estimate_ita wrote for DIR"
    add("--ita_csv", "--ita-csv", type=Path, required=True, metavar="CSV", help=csv_help)
    output_help = "folder for the figures, outside of DIR"
    add("--output_dir", "--output-dir", type=Path, required=True, metavar="OUT", help=output_help)
    masks_help = "lesion masks named after their images (default: found in the images)"
    add("--masks", type=Path, metavar="DIR", help=masks_help)
    target_help = "angle in degrees that light skin is darkened to (default 10)"
    add("--target", type=float, default=10.0, help=target_help)
    n_help = "images in a figure of images (default 8)"
    add("--n_images", "--n-images", type=int, default=8, help=n_help)
    args = parser.parse_args(argv)
    if not -60 <= args.target <= 55:
        raise UserError(f"--target {args.target:g}: expected an angle from -60 to 55 degrees")
    if not 1 <= args.n_images <= MOST_IMAGES:
        raise UserError(f"--n_images {args.n_images}: expected 1 to {MOST_IMAGES}")
    if args.output_dir.resolve().is_relative_to(args.folder.resolve()):
        where = f"--output_dir {args.output_dir} lies in {args.folder}"
        raise UserError(f"{where}: expected a folder outside, as figures would count as images")
    return args


def read_estimates(csv: Path) -> pd.DataFrame:
    """The `COLUMNS` with numbers and a bool `valid`. Raises `UserError` for what is none."""
    rows = read_csv(csv, COLUMNS)
    valid = rows["valid"].str.strip().str.lower().map({"true": True, "false": False})
    is_read = rows["status"] == "ok"
    refuse_cells(csv, rows, "image", rows["image"].isna(), "the path of an image")
    refuse_cells(csv, rows, "image", rows["image"].duplicated(), "an image of no line above")
    refuse_cells(csv, rows, "valid", is_read & valid.isna(), "true or false")
    valid = is_read & valid.eq(True)
    values = {column: numbers(rows, column, csv) for column in ("ita", "ita_spread", *COLORS)}
    # valid skin is yellow (b* > 0), so that its angle lies within 90 degrees
    limits = {"ita": (-90, 90), "ita_spread": (0, 360), **dict.fromkeys(COLORS, (0, 255))}
    for column, (least, most) in limits.items():
        wrong = valid & ~values[column].between(least, most)
        refuse_cells(csv, rows, column, wrong, f"{least} to {most}, since the estimate is valid")
    reason = rows["reason"].fillna("no reason given").mask(valid, "")
    return rows.assign(**values, valid=valid, reason=reason)


def refuse_cells(csv: Path, rows: pd.DataFrame, column: str, wrong, expected: str) -> None:
    """Raise `UserError` for the first cell of a column that is `wrong` (bool [rows])."""
    if wrong.any():
        row = int(np.argmax(wrong))
        found = repr(rows[column].fillna("").iloc[row][:LONGEST_CELL])
        raise UserError(f"{csv}: line {row + 2}: {column} {found}: expected {expected}")


def find_images(rows: pd.DataFrame, folder: Path, csv: Path) -> dict[str, Path]:
    """The file of each row by its `image`; `UserError` where folder and CSV are no pair."""
    names = {path.relative_to(folder).as_posix(): path for path in images_below(folder)}
    # names that are not UTF-8 stand escaped in the CSV
    files = {n.encode(errors="backslashreplace").decode(): path for n, path in names.items()}
    absent = rows["image"][~rows["image"].isin(files)]
    if len(absent):
        first = repr(absent.iloc[0][:LONGEST_CELL])
        raise UserError(
            f"{csv}: {len(absent)} of its {len(rows)} images are not in {folder} (first: {first}): "
            "expected the folder that the angles were estimated in"
        )
    known = set(rows["image"])
    others = [name for name in files if name not in known]
    if others:
        print(f"{folder}: not in {csv}, so not shown: {len(others)} (first: {others[0]!r})")
    return {image: files[image] for image in rows["image"]}


def left_out(rows: pd.DataFrame) -> dict[str, int]:
    """How many images have no valid angle, by reason; those that were not read come last."""
    is_read = rows["status"] == "ok"
    reasons = rows["reason"][is_read & ~rows["valid"]].value_counts().to_dict()
    n_unread = int((~is_read).sum())
    return reasons | ({"not read": n_unread} if n_unread else {})


def choose_examples(rows: pd.DataFrame, n_most: int) -> pd.DataFrame:
    """Rows of images to show: valid ones over all tones, then invalid ones, by turns of reason.

    An invalid one stands for each of the commonest reasons; they are a quarter at most, unless
    there are too few valid ones.
    """
    valid = rows[rows["valid"]]
    invalid = rows[(rows["status"] == "ok") & ~rows["valid"]]
    count = invalid.groupby("reason")["image"].transform("size")
    turn = invalid.groupby("reason").cumcount()
    invalid = invalid.assign(turn=turn, count=-count).sort_values(["turn", "count"], kind="stable")
    n_valid = min(len(valid), n_most - min(n_most // 4, invalid["reason"].nunique()))
    return pd.concat(
        [spread_over_angles(valid, n_valid), invalid[rows.columns][: n_most - n_valid]]
    )


def spread_over_angles(rows: pd.DataFrame, n_most: int) -> pd.DataFrame:
    """At most `n_most` different rows whose `ita` is about evenly spaced, the lightest first."""
    left = rows.sort_values("ita", ascending=False, kind="stable")
    if len(left) <= n_most:
        return left
    # the outermost angles are those of the strangest images
    lightest, darkest = np.quantile(left["ita"], (0.98, 0.02))
    chosen = []
    for angle in np.linspace(lightest, darkest, n_most):
        nearest = (left["ita"].drop(chosen) - angle).abs().idxmin()
        chosen.append(nearest)
    return rows.loc[chosen].sort_values("ita", ascending=False, kind="stable")


def look_at(row: tuple, path: Path, masks: dict[str, Path]) -> MaskPanel:
    """The image of a row with its masks, at the size at which tones are estimated."""
    try:
        image, size = read_reduced(path, HAIR_SIDE)
        image = reduced(image)
        shape = image.shape[:2]
        lesion = read_lesion(masks[path.stem], size, shape) if masks else lesion_mask(image)
    except ImageError as error:
        raise UserError(f"{path}: {error}; expected it as its tone was estimated") from None
    found = (image, lesion, hair_mask(image), skin_mask(image, lesion))
    return MaskPanel(path.name, *found, row.ita, row.ita_spread, row.reason)


def darkened(panel: MaskPanel, target: float) -> TonePair | None:
    """The image before and after the skin-former, both angles measured on the same skin.

    None where the skin-former leaves it as it is.
    """
    after = darken_skin(panel.image, panel.lesion, panel.skin, target)
    if after is None:
        return None
    angles = [estimate_tone(image, panel.skin).ita for image in (panel.image, after)]
    return TonePair(panel.name, panel.image, after, *angles)


def write_figures(figures: dict[str, tuple], folder: Path) -> int:
    """0 once each figure is written, a line said of it; 1 where one has nothing to show.

    `figures`: by file name what it shows, the word for that, and a function of the path.
    """
    missing = 0
    for name, (shown, word, plot) in figures.items():
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if len(shown):
                plot(path)
                print(f"{path}: {len(shown):,} {word}{'s' * (len(shown) != 1)}")
            else:
                path.unlink(missing_ok=True)  # of an earlier run
                print(f"{path}: not drawn, there is no {word} to show")
                missing = 1
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from None
    return missing


if __name__ == "__main__":
    run_main(main)
