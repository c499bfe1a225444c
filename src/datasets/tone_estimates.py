"""Estimates of skin tones, read back from the CSV that `src.scripts.estimate_ita` writes."""

from pathlib import Path

import pandas as pd

from .table import numbers, read_csv, refuse_cells

COLORS = ("color_r", "color_g", "color_b")
COLUMNS = ("image", "ita", "valid", "reason", "status")
RANGES = {"ita": (-180, 180), "ita_spread": (0, 360), **dict.fromkeys(COLORS, (0, 255))}


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
