"""Skin tones that people have given to images, Fitzpatrick types above all, from a table."""

import logging
import re
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.cells import folded, says_nothing, tidy, visible
from ..core.errors import require
from ..skin.tone import FORMER_NAMES, GROUP_NAMES
from .csv_files import are_true, each_once, numbers, read_csv, refuse_cells
from .table import ANGLES, Tones
from .tone_estimates import file_and_digest, methods_in

SINGLE = ("I", "II", "III", "IV", "V", "VI")
PAIRS = ("I–II", "III–IV", "V–VI")
FITZPATRICK = "Fitzpatrick"
# Scales of numbered tones, lightest first. MILK10k's classes go from 0, very dark, to 5, very light
# (challenge.isic-archive.com/landing/milk10k), so as not to be taken for Fitzpatrick types.
NUMBERED = {"Monk": range(1, 11), "MILK10k": range(5, -1, -1)}
# what tables call the column with tones of a scale
_COLUMNS = {
    "MILK10k": re.compile("skin[_ ]?tone[_ ]?class", re.IGNORECASE),
    "Monk": re.compile(r"(^|[\W_])(monk|mst([\W_]|$))", re.IGNORECASE),
    FITZPATRICK: re.compile(
        r"(^|[\W_])fitz|fitspatrick|^fst([\W_]|$)|photo_?type|skin[_ ]?(tone|type)", re.IGNORECASE
    ),
}
_GROUPS = {folded(name): str(place) for place, name in enumerate(GROUP_NAMES)}
_GROUPS |= {folded(former): _GROUPS[folded(name)] for former, name in FORMER_NAMES.items()}
_ROMAN = {name.casefold(): place for place, name in enumerate(SINGLE, start=1)}
log = logging.getLogger(__name__)


def read_tones(
    csv: Path, column: str, scale: str = ""
) -> tuple[pd.DataFrame, np.ndarray, str, tuple[str, ...]]:
    """(the rows, the place of each row's tone, -1 where none is given, the scale, its tones).

    Without a `scale`, `FITZPATRICK` or one of `NUMBERED`, it is as `scale_of` says, else
    Fitzpatrick's: `SINGLE` types (I to VI or 1 to 6) or `PAIRS` (12, 34, 56, I-II ...). Raises
    `UserError` for any other cell and for a column that has both.
    """
    rows = read_csv(csv, (column,))
    scale = scale or scale_of(rows, column) or FITZPATRICK
    read = _types if scale == FITZPATRICK else partial(_numbered, scale)
    places, tones = read(rows, column, csv)
    require((places >= 0).any(), f"{csv}: column '{column}' names no {scale} tone")
    return rows, places, scale, tones


def scale_of(rows: pd.DataFrame, column: str) -> str:
    """The scale of people's skin tones that a column holds, empty for this software's groups.

    The column's name tells, else its cells, where all that are known have a scale's name or are
    Fitzpatrick types other than single digits.
    """
    if named := _scale_named(column):
        return named
    if not pd.api.types.is_string_dtype(rows[column]):
        return ""
    cells = {folded(text) for text in rows[column].dropna().unique()}
    known = [cell for cell in cells if not says_nothing(cell)]
    for scale in NUMBERED:
        if known and all(cell.startswith(f"{scale.casefold()} ") for cell in known):
            return scale
    is_typed = known and not any(len(cell) == 1 and cell.isdigit() for cell in known)
    return FITZPATRICK if is_typed and not np.isnan([*map(_type, known)]).any() else ""


def _scale_named(column: str) -> str:
    """The scale that the name of a column tells of, empty for none."""
    return next((scale for scale, names in _COLUMNS.items() if names.search(column)), "")


def tone_column(rows: pd.DataFrame) -> str:
    """The column of a table with its tone groups: people's tones, else `group`, else empty.

    The name of a column tells that it is of people's tones, unless it holds none or was derived
    from angles. Of several it is the first with Fitzpatrick types, else Monk tones, else MILK10k's
    classes: the log names the others.
    """
    found: dict[str, list[str]] = {FITZPATRICK: [], **{scale: [] for scale in NUMBERED}}
    for column in rows:
        scale = _scale_named(column)
        if not scale or _is_estimate(rows, column):
            continue
        cells = [tidy(str(cell)) for cell in rows[column].dropna().unique()]
        if any(map(_READ[scale], cells)):
            found[scale].append(column)
        elif not all(map(says_nothing, cells)):
            told = "column '%s' holds no %s tone: it is not used for tone groups"
            log.warning(told, visible(column, 60), scale)
    first, *others = [*chain(*found.values())] or ["group" if "group" in rows else ""]
    if others:
        names = ", ".join(f"'{visible(name, 60)}'" for name in others)
        log.info("tones in column '%s' are used, those in %s are not", visible(first, 60), names)
    return first


def with_tone_groups(rows: pd.DataFrame, column: str, csv: Path) -> tuple[pd.DataFrame, Tones]:
    """(`rows` of the table at `csv` with their tone `group` as a number, what these groups are).

    `column`, if any, holds the tones, as `tone_column` says. Raises `UserError` for a cell that is
    no such tone.
    """
    if not column:
        return rows, ANGLES
    scale = scale_of(rows, column)
    codes, names = tones_in(rows, column, csv)
    if not scale:
        return rows.assign(group=codes), ANGLES
    kind = "types" if scale == FITZPATRICK else "tones"
    told = f"{scale} {kind} in column {visible(column, 60)} of {file_and_digest(csv)}"
    n_known, angles = int((codes >= 0).sum()), ""
    if "ita" in rows and rows["ita"].notna().any():
        angles = "; beside them angles in its column ita"
    told = "; ".join([f"{told}{angles}", *methods_in(rows)])
    log.info(
        "%s: tone groups are the %s %s in column '%s', known for %d of %d images%s",
        *(csv, scale, kind, visible(column, 60), n_known, len(rows), angles),
    )
    return rows.assign(group=codes), Tones(names, told)


def valid_angles(rows: pd.DataFrame, column: str, csv: Path) -> pd.Series:
    """A column of angles as numbers, NaN where the column `valid` says that the estimate is not."""
    angles = numbers(rows, column, csv)
    if "valid" not in rows:
        return angles
    return angles.mask(rows["valid"].astype(str).str.strip().str.casefold() == "false")


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
    read = _types if scale == FITZPATRICK else partial(_numbered, scale)
    places, names = read(rows, column, csv)
    return pd.Series(places, rows.index, dtype=int), tuple(f"{scale} {name}" for name in names)


def _numbered(
    scale: str, rows: pd.DataFrame, column: str, csv: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    _refuse_estimates(rows, column, csv)
    cells = _each(_key_in(scale), rows[column])
    names = tuple(map(str, NUMBERED[scale]))
    is_known = cells.isin(names)
    wrong = ~is_known & ~_each(says_nothing, cells).astype(bool)
    expected = f"{min(NUMBERED[scale])} to {max(NUMBERED[scale])}, or nothing"
    refuse_cells(csv, rows, column, wrong.to_numpy(), expected)
    places = cells.where(is_known).map(names.index, na_action="ignore").fillna(-1)
    return places.to_numpy(np.int64), names


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
        not _is_estimate(rows, column),
        f"{csv}: its column 'fitzpatrick' is derived from the angles in its column 'ita': expected "
        "types given by people",
    )


def _is_estimate(rows: pd.DataFrame, column: str) -> bool:
    """Whether a column holds the pairs that this software derives from angles."""
    return column == "fitzpatrick" and {"ita", "group_str"} <= set(rows)


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


def _is_numbered(scale: str, cell: str) -> bool:
    return _key_in(scale)(cell) in map(str, NUMBERED[scale])


# whether a tidy cell is a tone of the scale
_READ: dict[str, Callable[[str], bool]] = {
    scale: partial(_is_numbered, scale) for scale in NUMBERED
}
_READ[FITZPATRICK] = lambda cell: not np.isnan(_type(cell))
