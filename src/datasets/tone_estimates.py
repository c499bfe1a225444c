"""Estimates of skin tones, read back from the CSV that `src.scripts.estimate_ita` writes."""

import hashlib
from pathlib import Path

import pandas as pd

from ..core.cells import visible
from .csv_files import numbers, read_csv, refuse_cells
from .table import ITA_RANGE

COLORS = ("color_r", "color_g", "color_b")
COLUMNS = ("image", "ita", "valid", "reason", "status")
MOST_SOURCES = 5
RANGES = {"ita": ITA_RANGE, "ita_spread": (0, 360), **dict.fromkeys(COLORS, (0, 255))}


def tone_source(csv: Path) -> str:
    """Where the tone groups of a table come from: its name, its SHA-256 (the first 12 digits),
    and what its column `tone_source` says of methods and options."""
    return "; ".join([file_and_digest(csv), *methods_in(read_csv(csv, ()))])


def methods_in(rows: pd.DataFrame) -> list[str]:
    """What the column `tone_source` of a table says of methods and options, the first few."""
    texts = rows["tone_source"].dropna().unique() if "tone_source" in rows else ()
    return [visible(text, 200) for text in sorted(texts)[:MOST_SOURCES] if text]


def file_and_digest(csv: Path) -> str:
    """The name of a file and the first 12 digits of its SHA-256."""
    digest = hashlib.sha256(csv.read_bytes()).hexdigest()[:12]
    return f"{visible(csv.name, 100)} (SHA-256 {digest})"


def read_estimates(csv: Path, more: tuple[str, ...] = ()) -> pd.DataFrame:
    """The `COLUMNS` and `more` of `RANGES`: numbers, a bool `valid`, a `reason` where it is not.

    An image that was not read is invalid, for the reason that its `status` tells. Raises
    `UserError` for cells that are not what they should be and for an image that is there twice.
    """
    rows = read_csv(csv, (*COLUMNS, *more))
    is_read = rows["status"] == "ok"
    told = rows["valid"].str.strip().str.lower().map({"true": True, "false": False})
    refuse_cells(csv, rows, "image", rows["image"].isna(), "the path of an image")
    refuse_cells(csv, rows, "image", rows["image"].duplicated(), "an image of no line above")
    refuse_cells(csv, rows, "valid", is_read & told.isna(), "true or false")
    valid = is_read & told.eq(True)
    values = {column: numbers(rows, column, csv) for column in ("ita", *more)}
    for column, found in values.items():
        least, most = RANGES[column]
        wrong = valid & ~found.between(least, most)
        refuse_cells(csv, rows, column, wrong, f"{least} to {most}, since the estimate is valid")
    reason = rows["reason"].where(is_read, rows["status"]).fillna("no reason given")
    return rows.assign(**values, valid=valid, reason=reason.mask(valid, ""))
