"""What the cells of a stranger's CSV say: classes by name, by index or one-hot; probabilities."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from ..core.cells import folded, one_spelling, says_nothing, tidy, visible
from ..core.classes import MAX_CLASSES
from ..core.errors import UserError
from ..datasets.csv_files import each_once, numbers

# probabilities rounded to two digits are this near to 1, logits are not
MAX_SUM_ERROR, MAX_ROUNDING_ERROR = 0.02, 0.005

# of the share of labels that agree with the decisions: more than chance
FAR_BETTER = 0.2


class ClassTexts:
    """A column of classes, read as their names and as their indices."""

    def __init__(
        self,
        texts: pd.Series,
        classes: tuple[str, ...],
        images: list[str],
        what: str,
        source: str,
        indexed: tuple[str, ...] = (),
    ):
        """`what` it is (label, decision) and its `source` are named in errors.

        Names are of `classes`, in any case; indices of `indexed`, by default `classes`. Where
        neither is known, there are as many classes as there may be, named by their indices.
        """
        self.classes, self.images, self.what, self.source = classes, images, what, source
        self.texts = texts.fillna("").map(tidy)
        known = classes or tuple(map(str, range(MAX_CLASSES)))
        self.indexed = indexed or known
        places = {folded(name): place for place, name in enumerate(known)}
        self.by_name = self._found(lambda text: places.get(text.casefold(), -1))
        self.by_index = self._found(lambda text: places.get(folded(self._name_at(text)), -1))

    def _found(self, place_of: Callable[[str], int]) -> np.ndarray:
        """int64 [N], -1 where a text says nothing; each text is looked up once."""
        return each_once(place_of, self.texts).to_numpy(np.int64)

    def _name_at(self, text: str) -> str:
        index = tidy(text.replace(",", "."))
        is_index = index.isascii() and index.isdecimal() and len(index) < 10
        return self.indexed[int(index)] if is_index and int(index) < len(self.indexed) else ""

    @property
    def is_ambiguous(self) -> bool:
        """Whether all texts are names as well as indices, and of other classes."""
        both = (self.by_name >= 0).all() and (self.by_index >= 0).all()
        return bool(both and (self.by_name != self.by_index).any())

    def read(self, reading: str) -> np.ndarray:
        """int64 [N]: the indices in `classes`; `reading` is names, indices or one of them `first`.

        Raises `UserError` for texts that are neither, or that would be one class by its name and
        another one by its index.
        """
        if reading == "indices first" and (self.by_index >= 0).all():
            return self.by_index
        if reading == "indices":
            return self._complete(self.by_index)
        if reading == "names" or (self.by_name >= 0).all():
            return self._complete(self.by_name)
        if ((self.by_name >= 0) & (self.by_name != self.by_index)).any():
            mixed = "some are class names, others are not: say --class_values or --label_classes"
            return self._complete(self.by_name, mixed if (self.by_index >= 0).all() else "")
        return self._complete(self.by_index)

    def refuse_ambiguous(self) -> NoReturn:
        """Raise `UserError` that names a text with two meanings and the flag that says which."""
        row = int(np.argmax(self.by_name != self.by_index))
        by_name, by_index = self.classes[self.by_name[row]], self.classes[self.by_index[row]]
        raise UserError(
            f"{self.source}: '{visible(self.texts.iloc[row], 60)}' is the class "
            f"{listed([by_name])} by its name and {listed([by_index])} by its index (classes: "
            f"{listed(self.classes)}): say which with --class_values names, or indices"
        )

    def doubt(self, decisions: np.ndarray) -> str:
        """A note where the decisions agree far better with the texts as indices than as names."""
        by_name, by_index = ((found == decisions).mean() for found in (self.by_name, self.by_index))
        if not self.is_ambiguous or by_index < by_name + FAR_BETTER:
            return ""
        return (
            f"{self.source}: read as class names, the true classes agree with {by_name:.0%} of the "
            f"decisions, as indices they would with {by_index:.0%}. If they are indices, say "
            f"--label_classes {visible(' '.join(self.indexed), 60)}"
        )

    def _complete(self, found: np.ndarray, hint: str = "") -> np.ndarray:
        if (found >= 0).all():
            return found
        row = int(np.argmax(found < 0))
        text = visible(self.texts.iloc[row], 60)
        or_names = f", or class names ({listed(self.classes)})" if self.classes else ""
        raise UserError(
            f"{self.source}: expected whole numbers, 0 to {len(self.indexed) - 1}{or_names}; image "
            f"{visible(self.images[row], 60)!r} has {f'{text!r}' if text else f'no {self.what}'}"
            f"{f' ({hint})' if hint else ''}{self._way_out(text)}"
        )

    def _way_out(self, text: str) -> str:
        if says_nothing(text):
            is_label = self.what == "label"
            return "; leave out images without one with --skip_unlabelled" if is_label else ""
        if not self.classes:
            return "; if these are class names, list them with --classes"
        return "; map other names with --class_map" if self.what == "label" else ""


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


def require_class_names(names: Sequence[str], what: str) -> None:
    """Raise `UserError` that begins with `what` for names that are blank, unprintable or equal.

    Names that differ in blanks, in case or as `1` and `1.0` are equal. More than `MAX_CLASSES`
    are refused before anything is read.
    """
    if len(names) > MAX_CLASSES:
        raise UserError(f"{what}: expected at most {MAX_CLASSES:,} classes, found {len(names):,}")
    for name in names:
        if not tidy(name) or not name.isprintable():
            raise UserError(f"{what}: expected printable names, found {listed([name]) or 'none'}")
    _, merged = one_spelling(names)
    if merged or len(set(names)) < len(names):
        twice = merged[0] if merged else [name for name in names if names.count(name) > 1]
        raise UserError(
            f"{what}: expected names that are all different, found {listed(twice)} in "
            f"{listed(names)}"
        )


def listed(names: Iterable[str]) -> str:
    """Up to twelve names of a stranger's file on one line."""
    return visible(", ".join([visible(name, 60) for name in names][:12]))


def _number(text: Any) -> float:
    try:
        return float(str(text).replace(",", ".").replace("_", "no digit"))  # Python takes 0_1 as 1
    except ValueError:
        return float("nan")
