"""The skin tone of every image below a folder, as a CSV."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ..preprocess.image import read_reduced
from ..preprocess.steps import shades_of_grey
from ..skin.domains import DOMAINS
from ..skin.shapes import HAIR_SIDE, reduced
from ..skin.tone import GROUP_NAMES, estimate_tone, picture_angle
from ..skin.view import skin_in_view
from .mask_files import mask_times, read_lesion
from .per_image_csv import run_folder_job

COLUMNS = (
    *("ita", "ita_spread", "valid", "reason", "color_r", "color_g", "color_b", "group"),
    *("uncertain", "domain", "white_gain", "ita_picture", "tone_source"),
)
COLOR_CONSTANCY: dict[str, Callable] = {
    "none": lambda image: image,
    "shades_of_grey": shades_of_grey,
}


def estimate_tones(
    folder: Path,
    paths: list[Path],
    output_csv: Path,
    masks: dict[str, Path],
    n_workers: int,
    **choices: Any,
) -> pd.DataFrame:
    """The table that `output_csv` then holds: `image, *COLUMNS, status`.

    Experts' `masks` by the stem of their image replace the lesions found; the choices `method`,
    `color` and `color_constancy` are names in `ITA_METHODS`, `SKIN_COLORS` and `COLOR_CONSTANCY`,
    `domain` in `DOMAINS` or "auto", `white_reference` in `WHITE_REFERENCES`.
    """
    options = ", ".join(f"{name}={choice}" for name, choice in choices.items())
    source = f"estimate_ita({options}{', masks=given' if masks else ''})"
    work, settings = (
        partial(tone_row, masks=masks, source=source, **choices),
        choices | {"masks": mask_times(masks)},
    )
    return run_folder_job(
        work, paths, folder, output_csv, COLUMNS, settings, n_workers, "skin tone"
    )


def tone_row(
    path: Path,
    method: str,
    color: str,
    color_constancy: str,
    masks: dict,
    domain: str,
    white_reference: str,
    source: str = "",
) -> dict:
    """The `COLUMNS` of one image; `source` says how all were estimated.

    `white_gain` is None where nothing white set the brightness, `ita_picture` is the angle of the
    median over the whole picture, to compare with.
    """
    image, size = read_reduced(path, HAIR_SIDE)
    image = COLOR_CONSTANCY[color_constancy](reduced(image))
    picture = picture_angle(image)
    lesion = read_lesion(masks[path.stem], size, image.shape[:2]) if masks else None
    seen = skin_in_view(image, domain, lesion, white_reference)
    tone = estimate_tone(seen.image, seen.skin, method, color, seen.domain)
    red, green, blue = tone.color or (None, None, None)
    estimate = (tone.ita, tone.ita_spread, tone.valid, tone.reason, red, green, blue, tone.group)
    picked = (tone.uncertain, seen.domain, seen.white_gain, picture, source)
    return dict(zip(COLUMNS, (*estimate, *picked), strict=True))


def summary(rows: pd.DataFrame) -> str:
    """How many images have a valid tone, by group, and why others have none."""
    valid = rows[rows["valid"].eq(True)]
    counts = ", ".join(f"{(valid['group'] == i).sum()} {n}" for i, n in enumerate(GROUP_NAMES))
    lines = [f"{len(rows)} images, {len(valid)} with a valid skin tone ({counts})"]
    n_uncertain = valid["uncertain"].eq(True).sum()
    lines.append(f"  uncertain: {n_uncertain} (a spread more or less would be another group)")
    kinds = ", ".join(f"{(rows['domain'] == name).sum()} {name}" for name in DOMAINS)
    n_white = rows["white_gain"].notna().sum()
    lines.append(f"  domain: {kinds}; brightness set by something white in {n_white}")
    reasons = rows["reason"][rows["valid"].eq(False)].value_counts()
    return "\n".join([*lines, *(f"  invalid: {n} ({reason})" for reason, n in reasons.items())])
