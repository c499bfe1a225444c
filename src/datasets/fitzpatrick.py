"""Fitzpatrick types that people have given to images, from a column of a table."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..core.cells import says_nothing, tidy
from ..core.errors import require
from .table import numbers, read_csv, refuse_cells

SINGLE = ("I", "II", "III", "IV", "V", "VI")
PAIRS = ("I–II", "III–IV", "V–VI")
_ROMAN = {name.casefold(): place for place, name in enumerate(SINGLE, start=1)}


def read_types(csv: Path, column: str) -> tuple[pd.DataFrame, np.ndarray, tuple[str, ...]]:
    """(the rows, the place of each row's type in the scale, -1 where none is given, the scale).

    The scale is `SINGLE` (I to VI or 1 to 6) or `PAIRS` (12, 34, 56, I-II ...). Raises `UserError`
    for any other cell and for a column that has both.
    """
    rows = read_csv(csv, (column,))
    cells = rows[column].fillna("").map(tidy)
    types = cells.map(_type)
    is_wrong = types.isna() & ~cells.map(says_nothing)
    refuse_cells(csv, rows, column, is_wrong.to_numpy(), "I to VI, 1 to 6, or 12, 34, 56")
    found = types.dropna()
    require(not found.empty, f"{csv}: column '{column}' names no Fitzpatrick type")
    is_pair = found % 1 != 0
    refuse_cells(
        csv,
        rows,
        column,
        (types % 1 == 0).to_numpy() & is_pair.any(),
        "a pair of types (12, 34, 56), since other rows have pairs",
    )
    scale = PAIRS if is_pair.any() else SINGLE
    places = np.where(is_pair.any(), (types - 1.5) / 2, types - 1)
    return rows, np.where(np.isnan(places), -1, places).astype(np.int64), scale


def read_angles(csv: Path) -> pd.DataFrame:
    """The rows of a CSV of `estimate_ita` or any with `image` and `ita`: numbers, bool `valid`.

    `uncertain` is False, `domain` blank and `ita_picture`, `ita_spread` NaN where it lacks them.
    """
    rows = read_csv(csv, ("image", "ita"))
    values = {
        name: numbers(rows, name, csv) if name in rows else np.nan
        for name in ("ita", "ita_picture", "ita_spread")
    }
    flags = {
        name: rows[name].fillna("").str.casefold().eq("true") if name in rows else default
        for name, default in (("valid", values["ita"].notna()), ("uncertain", False))
    }
    domain = rows["domain"].fillna("") if "domain" in rows else ""
    return rows.assign(**values, **flags, domain=domain)


def _type(cell: str) -> float:
    """1 to 6, the middle of a pair, or NaN."""
    text = cell.casefold().removeprefix("fitzpatrick ").removeprefix("type ")
    parts = text.replace("–", "-").split("-")
    if len(parts) == 1 and text in ("12", "34", "56"):
        parts = list(text)
    places = [_ROMAN.get(part.strip(), part.strip()) for part in parts]
    if not all(str(place) in "123456" and len(str(place)) == 1 for place in places):
        return np.nan
    first, last = int(places[0]), int(places[-1])
    is_pair = len(places) == 2 and first % 2 == 1 and last == first + 1
    return first if len(places) == 1 else (first + last) / 2 if is_pair else np.nan
