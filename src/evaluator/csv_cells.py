"""What the cells of a stranger's CSV say: classes by name, by index or one-hot; probabilities."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.errors import UserError
from ..datasets.table import numbers
from ..evaluation.predictions import MAX_CLASSES

# probabilities rounded to two digits are this near to 1, logits are not
MAX_SUM_ERROR, MAX_ROUNDING_ERROR = 0.02, 0.005


def class_indices(
    texts: pd.Series,
    names: tuple[str, ...],
    classes: tuple[str, ...],
    images: list[str],
    what: str,
    source: str,
) -> np.ndarray:
    """int64 [N]: the indices in `classes` of `texts`, class names or all of them indices.

    Indices are of `names`, by default `classes`; where there are none of these either, they are
    what they are. Capital and small letters are the same, but a name written exactly so comes
    first. Raises `UserError`, with `what` (label, decision) and its `source`, for other texts.
    """
    known = classes or tuple(map(str, range(MAX_CLASSES)))
    names = names or known
    written = texts.fillna("").str.strip()
    values = pd.to_numeric(written.str.replace(",", ".", regex=False), errors="coerce")
    found_names = written
    if values[written != ""].notna().all():
        by_index = dict(enumerate(names))
        found_names = [by_index.get(value, "") for value in values]
    places = {name.casefold(): place for place, name in reversed([*enumerate(known)])}
    places |= {name: place for place, name in enumerate(known)}
    found = [places.get(name, places.get(name.casefold(), -1)) for name in found_names]
    if -1 in found:
        row = found.index(-1)
        text = written.iloc[row]
        or_names = f", or class names ({listed(classes)})" if classes else ""
        raise UserError(
            f"{source}: expected whole numbers, 0 to {len(names) - 1}{or_names}; image "
            f"{images[row]!r} has {f'{text[:60]!r}' if text else f'no {what}'}"
        )
    return np.array(found, np.int64)


def one_hot_places(table: pd.DataFrame, source: Path, images: list[str]) -> pd.Series:
    """Text [N]: the number of the column that holds 1 where all others hold 0."""
    values = pd.DataFrame({column: numbers(table, column, source) for column in table})
    is_one_hot = values.isin((0, 1)).all(axis=1) & (values.sum(axis=1) == 1)
    if not is_one_hot.all():
        row = int(np.argmin(is_one_hot))
        raise UserError(
            f"{source}: columns {listed(table)}: expected exactly one 1 among zeros; image "
            f"{images[row]!r} has {', '.join(f'{value:g}' for value in values.iloc[row])[:60]}"
        )
    return pd.Series(values.to_numpy().argmax(axis=1)).astype(str)


def exact_probabilities(texts: pd.DataFrame, source: Path, images: list[str]) -> np.ndarray:
    """float64 [rows, columns], as written: pandas' own parser is off by the last digit.

    Raises `UserError` for what is not in 0 to 1, and for rows of several that do not add up to 1.
    """
    values = texts.map(_number).to_numpy(np.float64)
    wrong = np.argwhere(~((values >= 0) & (values <= 1)))
    if len(wrong):
        row, place = wrong[0]
        raise UserError(
            f"{source}: column {texts.columns[place]!r}: expected probabilities, 0 to 1; image "
            f"{images[row]!r} has {texts.fillna('').iat[row, place][:60]!r}"
        )
    sums = values.sum(axis=1)
    most = max(MAX_SUM_ERROR, MAX_ROUNDING_ERROR * texts.shape[1])
    wrong = np.flatnonzero(np.abs(sums - 1) > most)
    if texts.shape[1] > 1 and len(wrong):
        raise UserError(
            f"{source}: the {texts.shape[1]} probabilities of image {images[wrong[0]]!r} add up to "
            f"{sums[wrong[0]]:.4g}: expected 1; name a column for each class with "
            "--probability_columns, of probabilities, not logits"
        )
    return values


def listed(names: Iterable[str]) -> str:
    """Up to twelve names of a stranger's file on one line."""
    return repr(", ".join([*map(str, names)][:12]))[1:-1]


def _number(text: Any) -> float:
    try:
        return float(str(text).replace(",", ".").replace("_", "no digit"))  # Python takes 0_1 as 1
    except ValueError:
        return float("nan")
