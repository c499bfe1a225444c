"""Skin tones that people have given to images, Fitzpatrick types above all, from a table."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.cells import folded, says_nothing, tidy
from ..core.errors import require
from ..skin.tone import FORMER_NAMES, GROUP_NAMES
from .csv_files import are_true, each_once, numbers, read_csv, refuse_cells

SINGLE = ("I", "II", "III", "IV", "V", "VI")
PAIRS = ("I–II", "III–IV", "V–VI")
FITZPATRICK = "Fitzpatrick"
# scales of numbered tones, lightest first
NUMBERED = {"Monk": range(1, 11), "MILK10k": range(5, -1, -1)}
# what tables call the column with tones of a scale
_COLUMNS = {
    "MILK10k": re.compile("skin_?tone_class", re.IGNORECASE),
    "Monk": re.compile("monk|^mst", re.IGNORECASE),
    FITZPATRICK: re.compile("fit[sz]|^fst|photo_?type|skin_?(tone|type)", re.IGNORECASE),
}
_GROUPS = {folded(name): str(place) for place, name in enumerate(GROUP_NAMES)}
_GROUPS |= {folded(former): _GROUPS[folded(name)] for former, name in FORMER_NAMES.items()}
_ROMAN = {name.casefold(): place for place, name in enumerate(SINGLE, start=1)}


def read_types(csv: Path, column: str) -> tuple[pd.DataFrame, np.ndarray, tuple[str, ...]]:
    """(the rows, the place of each row's type in the scale, -1 where none is given, the scale).

    The scale is `SINGLE` (I to VI or 1 to 6) or `PAIRS` (12, 34, 56, I-II ...). Raises `UserError`
    for any other cell and for a column that has both.
    """
    rows = read_csv(csv, (column,))
    return rows, *_types(rows, column, csv)


def scale_of(rows: pd.DataFrame, column: str) -> str:
    """The scale of people's skin tones that a column holds, empty for this software's groups.

    The column's name tells, else its cells, where all that are known have a scale's name or are
    Fitzpatrick types other than single digits.
    """
    for scale, names in _COLUMNS.items():
        if names.search(column):
            return scale
    if not pd.api.types.is_string_dtype(rows[column]):
        return ""
    cells = {folded(text) for text in rows[column].dropna().unique()}
    known = [cell for cell in cells if not says_nothing(cell)]
    for scale in NUMBERED:
        if known and all(cell.startswith(f"{scale.casefold()} ") for cell in known):
            return scale
    is_typed = known and not any(len(cell) == 1 and cell.isdigit() for cell in known)
    return FITZPATRICK if is_typed and not np.isnan([*map(_type, known)]).any() else ""


def tones_in(rows: pd.DataFrame, column: str, csv: Path) -> tuple[pd.Series, tuple[str, ...]]:
    """(the tone group of each row, the names of the groups) of a column of a table.

    People's tones are groups of their own, such as `Fitzpatrick I–II`, -1 where none is given;
    other columns hold numbers or names of `GROUP_NAMES`, NaN for none. Raises `UserError` for any
    other cell.
    """
    scale = scale_of(rows, column)
    if not scale:
        if pd.api.types.is_string_dtype(rows[column]):
            cells = each_once(lambda text: _GROUPS.get(folded(text), text), rows[column].fillna(""))
            rows = rows.assign(**{column: cells})
        return numbers(rows, column, csv), GROUP_NAMES
    if scale == FITZPATRICK:
        places, names = _types(rows, column, csv)
    else:
        _refuse_estimates(rows, column, csv)
        cells = _each(_key_in(scale), rows[column])
        names = tuple(map(str, NUMBERED[scale]))
        is_known = cells.isin(names)
        wrong = ~is_known & ~_each(says_nothing, cells).astype(bool)
        expected = f"{min(NUMBERED[scale])} to {max(NUMBERED[scale])}, or nothing"
        refuse_cells(csv, rows, column, wrong.to_numpy(), expected)
        places = cells.where(is_known).map(names.index, na_action="ignore").fillna(-1)
    return pd.Series(places, rows.index, dtype=int), tuple(f"{scale} {name}" for name in names)


def _types(rows: pd.DataFrame, column: str, csv: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    _refuse_estimates(rows, column, csv)
    cells = _each(tidy, rows[column])
    types = _each(_type, cells)
    is_wrong = types.isna() & ~_each(says_nothing, cells).astype(bool)
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
    return np.where(np.isnan(places), -1, places).astype(np.int64), scale


def _refuse_estimates(rows: pd.DataFrame, column: str, csv: Path) -> None:
    """Raise `UserError` for pairs that this software made of angles, beside its groups."""
    require(
        not (column == "fitzpatrick" and {"ita", "group_str"} <= set(rows)),
        f"{csv}: its column 'fitzpatrick' is derived from the angles in its column 'ita': expected "
        "types given by people",
    )


def _each(function: Callable[[str], Any], texts: pd.Series) -> pd.Series:
    """The function of each text, of NaN as empty."""
    return each_once(function, texts.fillna("").astype(str))


def _key_in(scale: str) -> Callable[[str], str]:
    return lambda text: folded(text).removeprefix(f"{scale.casefold()} ")


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
        name: are_true(rows[name]) if name in rows else default
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
