"""Classes of a table: one spelling of each name, their order, and truth in one column each."""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from ..core.cells import folded, known_id, names_no_class, one_spelling, says_nothing, tidy, visible
from ..core.classes import MAX_CLASSES, positive_index, require_class_names, usual_index
from ..core.errors import UserError, require
from .csv_files import each_once, line_of, refuse_cells
from .table import LABEL_COLUMNS

_TRUE, _FALSE = ("1", "true", "yes", "malignant"), ("0", "false", "no", "benign")
log = logging.getLogger(__name__)


def merged(texts: pd.Series, what: str) -> pd.Series:
    """The texts in one spelling each; spellings that are one, as `Mel` and `mel `, are logged."""
    used, spellings = one_spelling(texts)
    for written in spellings:
        shown = ", ".join(f"'{visible(text, 40)}'" for text in written)
        log.warning("%s: %s are one, '%s'", what, shown, visible(used[written[0]], 40))
    return texts.map(used)


def numbered(
    names: pd.Series, wanted: object = None, given: Sequence[str] | None = None
) -> tuple[pd.Series, tuple[str, ...], int]:
    """(the class of each row as an index, the classes, the index of the one to detect).

    The classes are those `given`, in this order, else the names `in_order`. Raises `UserError` for
    a name that is none of those given; of some there may be no row.
    """
    if given is None:
        classes, index = in_order(names, wanted)
        return names.map(classes.index), classes, index
    is_list = isinstance(given, list | tuple) and all(isinstance(name, str) for name in given)
    require(is_list, f"classes={given!r}: expected a list of names in quotes")
    classes = require_class_names(given, "classes")
    places = {folded(name): index for index, name in enumerate(classes)}
    strange = sorted({name for name in names if folded(name) not in places})
    known = ", ".join(visible(name, 40) for name in classes)
    require(not strange, f"class '{visible((strange or [''])[0], 60)}': classes=[...] has {known}")
    labels = names.map(lambda name: places[folded(name)])
    empty = [visible(classes[index], 40) for index in sorted({*places.values()} - {*labels})]
    if empty:
        log.warning("classes without an image: %s", ", ".join(empty))
    return labels, classes, _positive(classes, wanted)


def _positive(classes: Sequence[str], wanted: object) -> int:
    if isinstance(wanted, list | tuple | dict):
        raise UserError(f"positive={wanted!r}: expected the name of one class")
    wanted = "" if wanted is None else tidy(str(wanted))
    index = positive_index(classes, wanted)
    if not wanted and usual_index(classes) is None:
        told = "The class to detect is %s; positive='...' names another."
        log.info(told, visible(classes[index], 60))
    return index


def in_order(names: Iterable[str], wanted: object = None) -> tuple[tuple[str, ...], int]:
    """The classes and the index of the one to detect: sorted, but of two that one is the last.

    Whole numbers are sorted by their value. `wanted` names the class to detect, a text or a number.
    """
    names = set(names)
    is_number = all(re.fullmatch(r"[+-]?\d+", name) for name in names)
    classes = sorted(names, key=lambda name: (int(name) if is_number else 0, name))
    positive = classes[_positive(classes, wanted)]
    if len(classes) == 2:
        classes.sort(key=lambda name: name == positive)
    return tuple(classes), classes.index(positive)


def column_classes(rows: pd.DataFrame, column: str, source: Path) -> pd.Series:
    """The class names in a column. Raises `UserError` for the line of a cell that names none."""
    texts = rows[column].fillna("")
    expected = "the name of a class; skip_unlabelled=True leaves out rows without one"
    refuse_cells(source, rows, column, is_unlabelled(texts), expected)
    what = f"{source}: column '{visible(column)}'"
    names = merged(_one_kind_of_truth(texts, what), what)
    doubtful = [visible(name) for name in names.unique() if says_nothing(name) and name != "-1"]
    if doubtful:
        log.warning(
            "%s: %s taken as the name of a class; empty the cells if it is unknown",
            what,
            " and ".join(doubtful),
        )
    count = names.nunique()
    if count > MAX_CLASSES:
        raise UserError(
            f"{source}: column '{visible(column)}' has {count:,} different values, expected at "
            f"most {MAX_CLASSES} classes{suggested(rows, LABEL_COLUMNS, 'label')}"
        )
    return names


def is_unlabelled(texts: pd.Series) -> pd.Series:
    """Bool: whether a cell of a column of classes is empty or names none, as `unknown` does.

    `None` and `NA` may be names; so is `-1` of -1 and 1 alone.
    """
    known = {text: tidy(text) for text in texts.unique()}
    names = {"-1"} if set(known.values()) - {""} == {"-1", "1"} else set()
    none = {text: names_no_class(name) and name not in names for text, name in known.items()}
    return texts.map(none).astype(bool)


def _one_kind_of_truth(texts: pd.Series, what: str) -> pd.Series:
    """The texts with True and False for 1 and 0 where some say one and some the other."""
    keys = texts.map(known_id)
    found, words = set(keys), {"1": "True", "0": "False"}
    if not found <= {"0", "1", "true", "false"} or not found & {*words} or found <= {*words}:
        return texts
    log.warning("%s: 1 and True, 0 and False are one", what)
    return keys.map(words).fillna(texts)


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

    Columns such as UNK name no class, None and nan do. Raises `UserError` for the line of a row
    without or with several classes.
    """
    for alike in one_spelling(columns)[1]:
        raise UserError(f"{source}: columns {', '.join(map(visible, alike))} name one class")
    for column in columns:
        refuse_cells(source, rows, column, ~_binary_cells(rows[column]), "0 or 1")
    ones = _as_truth(rows[list(columns)])
    wrong = ones.sum(axis=1) != 1
    if wrong.any():
        row = int(wrong.argmax())
        line, found = line_of(source, ones.index[row]), int(ones.iloc[row].sum())
        raise UserError(
            f"{source}: line {line} has {found} of the classes {', '.join(map(visible, columns))}: "
            "expected one"
        )
    empty = [column for column in columns if not ones[column].any()]
    unknown = [column for column in columns if _is_silent_header(column) and column not in empty]
    log.info("%s: classes are %s", source, ", ".join(c for c in columns if c not in empty))
    if empty:
        log.warning("%s: classes without an image left out: %s", source, ", ".join(empty))
    names = ones.idxmax(axis=1)
    return merged(names.mask(names.isin(unknown), ""), f"{source}: columns")


def _is_silent_header(column: str) -> bool:
    """Whether a column of 0 and 1 is that of rows without a class, such as UNK."""
    return names_no_class(column) and folded(column) != "nan"


def _is_binary(texts: pd.Series) -> bool:
    return bool(_binary_cells(texts).all())


def _binary_cells(texts: pd.Series) -> pd.Series:
    return each_once(lambda text: known_id(str(text)) in ("0", "1", "true", "false"), texts)


def _as_truth(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.apply(lambda texts: texts.astype(str).map(known_id).isin(("1", "true")))


def suggested(rows: pd.DataFrame, usual: Sequence[str], option: str) -> str:
    """A hint at the columns that have one of the `usual` names, else at those that look alike."""
    named = [column for column in rows if column.casefold() in map(str.casefold, usual)]
    return "" if not named else f"; try {' or '.join(f'{option}={c!r}' for c in named[:3])}"
