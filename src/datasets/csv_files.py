"""CSVs of any origin as rows of text: separators, encodings, column names, numbers, blame."""

import codecs
import csv
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from ..core.cells import folded, says_nothing, tidy, unguarded, visible
from ..core.errors import UserError, first_line, require

MAX_CSV_BYTES = 500_000_000
MAX_HEADER = 1_000_000  # characters
MAX_COLUMNS = 2_000
LONGEST_CELL = 60
_QUOTED = re.compile(r'"[^"]*"')


def read_csv(
    path: Path, required: tuple[str, ...], known: Iterable[str] = (), named: Iterable[str] = ()
) -> pd.DataFrame:
    """The rows of a CSV as text, NaN in empty cells; separated by `,`, `;` or tabs.

    `required` and `known` columns may be in another case, as `Patient_ID`; those that the user
    `named` keep their names. Words such as NA stay text: what they mean depends on the column.
    Raises `UserError` that names a missing column and the columns found, and for a header that
    names a column twice.
    """
    require(
        path.is_file(),
        f"{path}: no such file; expected a CSV with {', '.join(required) or 'a header'}",
    )
    require(
        path.stat().st_size <= MAX_CSV_BYTES,
        f"{path}: larger than {MAX_CSV_BYTES} bytes, not a table of images",
    )
    try:
        options = {"sep": csv_separator(path), "dtype": str, "encoding": csv_encoding(path)}
        header = pd.read_csv(path, header=None, nrows=1, **options).iloc[0].dropna().str.strip()
        rows = pd.read_csv(path, keep_default_na=False, na_values=[""], **options)
    except UnicodeError:
        raise UserError(f"{path}: not a CSV (not UTF-8: save the file as UTF-8)") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path}: not a CSV ({first_line(error)})") from None
    twice = header[header.duplicated()]
    require(twice.empty, f"{path}: its header has {shown(twice.min())} twice: remove one of them")
    rows = rows.rename(columns=str.strip)
    rows = rows.rename(columns=_known_names(rows.columns, {*required, *known}, named, path))
    missing = [column for column in required if column not in rows]
    if missing:
        found = visible(", ".join(map(str, rows.columns[:12])))
        hint = "; is its separator neither , nor ; nor a tab?" if len(rows.columns) == 1 else ""
        raise UserError(f"{path}: no column '{missing[0]}' (found: {found}){hint}")
    require(not rows.empty, f"{path}: no rows below the header")
    if not isinstance(rows.index, pd.RangeIndex):  # pandas takes surplus cells for an index
        raise UserError(f"{path}: line 2 has more cells than the header; quote decimal commas")
    texts = rows.select_dtypes(exclude="number")  # a column of empty cells holds numbers, NaN
    return rows.assign(**{name: _unguarded(texts[name]) for name in texts})


def _known_names(
    header: Iterable[str], known: set[str], named: Iterable[str], path: Path
) -> dict[str, str]:
    """The known name of each column that has it in another spelling."""
    names = {folded(name): name for name in known - {*named}}
    found: dict[str, str] = {}
    for column in header:
        name = names.get(folded(str(column)))
        if name and column not in named:
            other = found.setdefault(name, column)
            same = f"{shown(other)} and {shown(column)}"
            require(other == column, f"{path}: its header has {same}, which are one: remove one")
    return {column: name for name, column in found.items()}


def _unguarded(texts: pd.Series) -> pd.Series:
    is_guarded = texts.str.startswith("'", na=False)
    return texts.mask(is_guarded, texts[is_guarded].map(unguarded)) if is_guarded.any() else texts


def csv_separator(path: Path) -> str:
    """The one of `,`, `;` and tab that the header of a CSV has most of.

    Raises `UserError` for more than `MAX_COLUMNS` of them: pandas takes minutes for 20,000.
    """
    with path.open(encoding=csv_encoding(path)) as file:
        lines = iter(lambda: file.readline(MAX_HEADER), "")
        header = next((line for line in lines if line.strip()), "")
    said = visible(header.strip())
    require(not said.startswith("sep="), f"{path}: its first line is '{said}': remove this line")
    header = _QUOTED.sub("", header)
    separator = max(",;\t", key=header.count)
    found = header.count(separator) + 1
    require(found <= MAX_COLUMNS, f"{path}: {found:,} columns: expected at most {MAX_COLUMNS:,}")
    return separator


def csv_encoding(path: Path) -> str:
    """UTF-16 where a file begins with its mark or, without one, with a letter of two bytes; else
    `utf-8-sig`."""
    with path.open("rb") as file:
        start = file.read(2)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    zeros = tuple(byte == 0 for byte in start)
    if zeros == (False, True):
        return "utf-16-le"
    return "utf-16-be" if zeros == (True, False) else "utf-8-sig"


def line_of(path: Path, row: int) -> int:
    """The line of a file at which a row, counted from 0, of its CSV begins."""
    lines = lines_of(path)
    return lines[row] if row < len(lines) else row + 2


def lines_of(path: Path) -> list[int]:
    """The line of a file at which each row of its CSV begins, as far as the module csv reads it.

    Blank lines are no rows, and a cell in quotes may have several lines.
    """
    lines, begins = [], 1
    separator = csv_separator(path)
    with path.open(encoding=csv_encoding(path), newline="") as file, suppress(csv.Error):
        reader = csv.reader(file, delimiter=separator)
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                lines.append(begins)
            begins = reader.line_num + 1
    return lines[1:]


def numbers(rows: pd.DataFrame, column: str, where: Path) -> pd.Series:
    """A column as numbers; of text with decimal comma or point.

    Empty cells and words for the unknown are NaN, `-1` stays a number.
    """
    if is_numeric_dtype(rows[column]):
        return rows[column]
    text = rows[column].str.replace(",", ".", regex=False).map(tidy, na_action="ignore")
    values = pd.to_numeric(text, errors="coerce")
    wrong = text[values.isna() & text.notna()]
    wrong = wrong[[not says_nothing(cell) for cell in wrong]]
    if len(wrong):
        raise UserError(
            f"{where}: line {line_of(where, wrong.index[0])}: column '{column}' holds "
            f"{shown(wrong.iloc[0])}: expected a number"
        )
    return values


def each_once(function: Callable[[str], Any], texts: pd.Series) -> pd.Series:
    """The function of each text, computed once for each different one."""
    return texts.map({text: function(text) for text in texts.unique()})


def are_true(cells: pd.Series) -> np.ndarray:
    """Bool [rows]: the cells that say true, as text or as bool; blank and unknown ones do not."""
    return (cells.astype(str).str.strip().str.casefold() == "true").to_numpy()


def refuse_cells(path: Path, rows: pd.DataFrame, column: str, wrong, expected: str) -> None:
    """Raise `UserError` for the first cell of a column that is `wrong` (bool [rows])."""
    if wrong.any():
        row = int(np.argmax(wrong))
        found, line = shown(rows[column].fillna("").iloc[row]), line_of(path, rows.index[row])
        raise UserError(f"{path}: line {line}: {column} {found}: expected {expected}")


def shown(cell: str) -> str:
    """A cell of a stranger's file in quotes on one line, cut to `LONGEST_CELL` characters."""
    return f"'{visible(cell, LONGEST_CELL)}'"
