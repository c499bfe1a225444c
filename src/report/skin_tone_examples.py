"""What figures of skin tones and masks show: by file name, and the images chosen for them."""

from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from ..batch.mask_agreement import DEFAULT
from ..batch.mask_files import read_lesion
from ..core.errors import UserError
from ..core.progress import progress
from ..datasets.csv_files import shown
from ..datasets.tone_estimates import COLORS
from ..preprocess.image import ImageError, read_image, read_reduced
from ..skin.domains import CLINICAL, DERMOSCOPY
from ..skin.masks import hair_mask, lesion_mask, skin_mask
from ..skin.shapes import HAIR_SIDE, reduced
from ..skin.skin_former import darken_skin
from ..skin.tone import GROUP_NAMES, estimate_tone, tone_group
from .skin_tone_figures import (
    MaskPanel,
    TonePair,
    plot_histogram,
    plot_overlays,
    plot_pairs,
    plot_strips,
)
from .style import saved_figure, short

EXPERT, FOUND = (0, 158, 115), (213, 94, 0)  # apart for the colour-blind (Okabe & Ito 2008)
N_WORST_TONES = 24
LIGHT_GROUPS = [GROUP_NAMES.index("Very light"), GROUP_NAMES.index("Light")]


def tone_figures(
    rows: pd.DataFrame, files: dict[str, Path], masks: dict[str, Path], target: float, n_images: int
) -> dict[str, tuple]:
    """By file name: what a figure shows, the word for that, and a function that saves it.

    `rows` are estimates; `files` are their images by the `image` of a row, `masks` experts' by
    stem. Light skin is darkened to `target` degrees; at most `n_images` are shown in a figure.
    """
    valid = rows[rows["valid"]]
    ita, colors = valid["ita"].to_numpy(), valid[[*COLORS]].to_numpy()
    examples = choose_examples(rows, n_images)
    is_light = np.isin(tone_group(ita), LIGHT_GROUPS) & (ita > target)
    light = spread_over_angles(valid[is_light], n_images)
    chosen = pd.concat([examples, light]).drop_duplicates("image")
    bar = progress(chosen.itertuples(), "masks", len(chosen), "image")
    seen = {row.image: look_at(row, files[row.image], masks) for row in bar}
    panels = [seen[image] for image in examples["image"]]
    pairs = [
        pair
        for row in light.itertuples()
        if (pair := darkened(seen[row.image], target, domain_in(row)))
    ]
    return {
        "ita_histogram.png": (ita, "angle", partial(plot_histogram, ita, left_out(rows))),
        "color_strips.png": (ita, "skin colour", partial(plot_strips, ita, colors)),
        "mask_overlays.png": (panels, "image", partial(plot_overlays, panels)),
        "skin_former.png": (pairs, "light image", partial(plot_pairs, pairs, target)),
    }


def find_images(
    rows: pd.DataFrame, folder: Path, paths: list[Path], csv: Path
) -> tuple[dict[str, Path], list[str]]:
    """(the file of each row by its `image`, the names of files without a row).

    Raises `UserError` where the folder's `paths` and the rows of the CSV are no pair.
    """
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    # names that are not UTF-8 stand escaped in the CSV
    files = {n.encode(errors="backslashreplace").decode(): path for n, path in names.items()}
    absent = rows["image"][~rows["image"].isin(files)]
    if len(absent):
        raise UserError(
            f"{csv}: {len(absent)} of its {len(rows)} images are not in {folder} (first: "
            f"{shown(absent.iloc[0])}): expected the folder that the angles were estimated in"
        )
    known = set(rows["image"])
    others = [name for name in files if name not in known]
    return {image: files[image] for image in rows["image"]}, others


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
    chosen: list = []
    for angle in np.linspace(lightest, darkest, n_most):
        nearest = (left["ita"].drop(chosen) - angle).abs().idxmin()
        chosen.append(nearest)
    return rows.loc[chosen].sort_values("ita", ascending=False, kind="stable")


def look_at(row: Any, path: Path, masks: dict[str, Path]) -> MaskPanel:
    """The image of a row with its masks, at the size at which tones are estimated."""
    try:
        image, size = read_reduced(path, HAIR_SIDE)
        image = reduced(image)
        shape = image.shape[:2]
        domain = domain_in(row)
        lesion = (
            read_lesion(masks[path.stem], size, shape)
            if masks
            else lesion_mask(image, domain=domain)
        )
    except ImageError as error:
        raise UserError(f"{path}: {error}; expected it as its tone was estimated") from None
    given = None if domain == CLINICAL and not masks else lesion
    found = (image, lesion, hair_mask(image), skin_mask(image, given, domain))
    return MaskPanel(path.name, *found, row.ita, row.ita_spread, row.reason)


def domain_in(row: tuple) -> str:
    """The domain that a row of estimates names; files of earlier versions know dermoscopy alone."""
    return getattr(row, "domain", "") or DERMOSCOPY


def darkened(panel: MaskPanel, target: float, domain: str) -> TonePair | None:
    """The image before and after the skin-former, both angles measured on the same skin.

    None where the skin-former leaves it as it is.
    """
    after = darken_skin(panel.image, panel.lesion, panel.skin, target, domain)
    if after is None:
        return None
    angles = [estimate_tone(image, panel.skin, domain=domain).ita for image in (panel.image, after)]
    return TonePair(panel.name, panel.image, after, *angles)


def plot_worst_masks(
    folder: Path, masks: dict[str, Path], rows: pd.DataFrame, output: Path
) -> None:
    """Save a PNG of at most twelve images (`image`, `DEFAULT`'s overlap) with both outlines."""
    with saved_figure((9.6, 5.76), output) as figure:
        panels = figure.subplots(3, 4)
        for panel in panels.flat:
            panel.set_axis_off()
        for panel, row in zip(panels.flat, rows.itertuples(), strict=False):
            image = read_image(folder / row.image)
            expert = read_lesion(masks[Path(row.image).stem], image.shape[:2], image.shape[:2])
            for mask, color in ((expert, EXPERT), (lesion_mask(image), FOUND)):
                outline = cv2.findContours(
                    mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
                )
                width = max(1, round(max(image.shape) / 150))
                cv2.drawContours(image, outline[0], -1, color, width)
            panel.imshow(image)
            title = f"{Path(row.image).stem}: {getattr(row, DEFAULT):.2f}"
            panel.set_title(title, loc="center", fontsize=7.2, fontweight="normal")
        figure.suptitle("Least overlap: lesion of the expert (green) and segmented (orange)")


def plot_worst_tones(
    rows: pd.DataFrame, folder: Path, paths: list[Path], scale: tuple[str, ...], output: Path
) -> int:
    """Save a PNG of the images whose `type_found` is farthest from `type`; how many it shows.

    Skin by which the tone was estimated is outlined; without `domain` it is that of dermoscopy.
    """
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    distance = (rows["type_found"] - rows["type"]).abs()
    worst = rows.assign(distance=distance)[rows["image"].isin(files)]
    worst = worst.sort_values("distance", ascending=False, kind="stable")[:N_WORST_TONES]
    with saved_figure((9.6, 7.7), output) as figure:
        panels = figure.subplots(4, 6)
        for panel in panels.flat:
            panel.set_axis_off()
        for panel, row in zip(panels.flat, worst.itertuples(), strict=False):
            image = reduced(read_reduced(files[row.image], HAIR_SIDE)[0])
            skin = skin_mask(image, domain=domain_in(row)).astype(np.uint8)
            outline = cv2.findContours(skin, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            panel.imshow(cv2.drawContours(image.copy(), outline[0], -1, EXPERT, 2))
            found = f"{scale[row.type]}, found {scale[row.type_found]} ({row.ita:.0f}°)"
            title = f"{short(Path(row.image).stem, 16)}\n{found}"
            panel.set_title(title, loc="center", fontsize=6.2, fontweight="normal")
        figure.suptitle("Farthest from people's type: skin outlined")
    return len(worst)
