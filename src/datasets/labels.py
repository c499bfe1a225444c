"""Classes of a table: one spelling of each name, their order, and truth in one column each."""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from ..core.cells import known_id, one_spelling, says_nothing, tidy, visible
from ..core.classes import USUAL_NAMES, positive_index
from ..core.errors import UserError
from .table import LABEL_COLUMNS, refuse_cells

_TRUE, _FALSE = ("1", "true", "yes", "malignant"), ("0", "false", "no", "benign")
MOST_CLASSES = 200
log = logging.getLogger(__name__)


def merged(texts: pd.Series, what: str) -> pd.Series:
    """The texts in one spelling each; spellings that are one, as `Mel` and `mel `, are logged."""
    used, spellings = one_spelling(texts)
    for written in spellings:
        shown = ", ".join(f"'{visible(text, 40)}'" for text in written)
        log.warning("%s: %s are one, '%s'", what, shown, visible(used[written[0]], 40))
    return texts.map(used)


def in_order(names: Iterable[str], wanted: object = None) -> tuple[tuple[str, ...], int]:
    """The classes and the index of the one to detect: sorted, but of two that one is the last.

    Whole numbers are sorted by their value. `wanted` names the class to detect, a text or a number.
    """
    names = set(names)
    is_number = all(re.fullmatch(r"[+-]?\d+", name) for name in names)
    classes = sorted(names, key=lambda name: (int(name) if is_number else 0, name))
    if isinstance(wanted, list | tuple | dict):
        raise UserError(f"positive={wanted!r}: expected the name of one class")
    wanted = "" if wanted is None else tidy(str(wanted))
    positive = classes[positive_index(classes, wanted)]
    if not wanted and positive.casefold() not in (*USUAL_NAMES, "true", "yes"):
        log.info("The class to detect is %s; positive='...' names another.", visible(positive, 60))
    if len(classes) == 2:
        classes.sort(key=lambda name: name == positive)
    return tuple(classes), classes.index(positive)


def column_classes(rows: pd.DataFrame, column: str, source: Path) -> pd.Series:
    """The class names in a column. Raises `UserError` for the line of an empty cell."""
    texts = rows[column].fillna("")
    refuse_cells(source, rows, column, texts.map(tidy) == "", "the name of a class")
    names = merged(texts, f"{source}: column '{visible(column)}'")
    count = names.nunique()
    if count > MOST_CLASSES:
        raise UserError(
            f"{source}: column '{visible(column)}' has {count:,} different values, expected at "
            f"most {MOST_CLASSES} classes{suggested(rows, LABEL_COLUMNS, 'label')}"
        )
    return names


def binary_truth(rows: pd.DataFrame, column: str, source: Path) -> pd.Series:
    """A column of 0 and 1, true and false or yes and no as int. Raises `UserError` for a line."""
    keys = rows[column].fillna("").map(known_id)
    expected = "0 or 1 (or true and false, yes and no)"
    refuse_cells(source, rows, column, ~keys.isin((*_TRUE, *_FALSE)), expected)
    return keys.isin(_TRUE).astype(int)


def one_hot_columns(rows: pd.DataFrame) -> list[str]:
    """The columns that are 0 or 1 in all rows, one of them 1 in each; none where these are not."""
    found = [column for column in rows if _is_binary(rows[column])]
    ones = _as_truth(rows[found]) if len(found) > 1 else pd.DataFrame(index=rows.index)
    return found if (ones.sum(axis=1) == 1).all() and (ones.any().sum() > 1) else []


def one_hot_classes(rows: pd.DataFrame, columns: Sequence[str], source: Path) -> pd.Series:
    """The class of each row from a column of 0 and 1 for each class; `""` for an unknown one.

    Columns such as UNK name no class. Raises `UserError` for the line of a row without or with
    several classes.
    """
    for column in columns:
        refuse_cells(source, rows, column, ~_binary_cells(rows[column]), "0 or 1")
    ones = _as_truth(rows[list(columns)])
    wrong = ones.sum(axis=1) != 1
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"{source}: line {row + 2} has {int(ones.iloc[row].sum())} of the classes "
            f"{', '.join(map(visible, columns))}: expected one"
        )
    empty = [column for column in columns if not ones[column].any()]
    unknown = [column for column in columns if says_nothing(column) and column not in empty]
    log.info("%s: classes are %s", source, ", ".join(c for c in columns if c not in empty))
    if empty:
        log.warning("%s: classes without an image left out: %s", source, ", ".join(empty))
    names = ones.idxmax(axis=1)
    return merged(names.mask(names.isin(unknown), ""), f"{source}: columns")


def _is_binary(texts: pd.Series) -> bool:
    return bool(_binary_cells(texts).all())


def _binary_cells(texts: pd.Series) -> pd.Series:
    known = {text: known_id(str(text)) in ("0", "1", "true", "false") for text in texts.unique()}
    return texts.map(known)


def _as_truth(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.apply(lambda texts: texts.astype(str).map(known_id).isin(("1", "true")))


def suggested(rows: pd.DataFrame, usual: Sequence[str], option: str) -> str:
    """A hint at the columns that have one of the `usual` names, else at those that look alike."""
    named = [column for column in rows if column.casefold() in map(str.casefold, usual)]
    return "" if not named else f"; try {' or '.join(f'{option}={c!r}' for c in named[:3])}"
