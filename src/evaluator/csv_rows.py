"""The rows of a predictions CSV: their classes, true classes and tone groups."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.cells import folded, known_id, says_nothing, visible
from ..core.classes import positive_index
from ..core.errors import UserError
from ..core.image_files import image_stem
from ..datasets.csv_files import numbers
from ..evaluation.groupings import Grouping
from ..skin.tone import GROUP_NAMES
from .class_map import ClassMap
from .csv_cells import ClassTexts, listed, one_hot_places
from .flags import CsvColumns, EvaluationOptions
from .metadata import Metadata, require_columns, tone_groups_of

TRUTH = {"true": 1, "yes": 1, "false": 0, "no": 0}
SKIP = "leave them out with --skip_unlabelled"


@dataclass(frozen=True)
class CsvRows:
    """The rows of a predictions CSV with the names of their images, and what is known of these."""

    path: Path
    rows: pd.DataFrame
    images: list[str]
    metadata: Metadata | None
    columns: CsvColumns
    options: EvaluationOptions

    def require_single_images(self) -> None:
        """Raise `UserError` for rows that name no image, or one that another row names."""
        if "" in self.images:
            raise UserError(f"{self.path}: row {self.images.index('') + 1} names no image")
        if self.metadata is None and {"label", "group"} <= set(self.rows):
            return  # a run's file: it leaves out the folders that would tell its images apart
        stems = [image_stem(name) for name in self.images]
        keys = pd.Series(stems if self.metadata else self.images)
        repeated = keys[keys.duplicated()]
        if len(repeated):
            raise UserError(
                f"{self.path}: {len(repeated)} rows repeat an image (first: "
                f"'{visible(repeated.iloc[0], 60)}'): expected one row for each image"
            )

    def own_classes(
        self,
        column: str,
        classes: tuple[str, ...],
        what: str,
        likeliest: np.ndarray | None = None,
        reading: str = "auto",
    ) -> tuple[np.ndarray, str]:
        """(class indices [N] of a column of the CSV, its reading: names, indices or auto).

        What could be both is read as the names in the column `<column>_class` that a run writes
        beside it; as `--class_values` says; as the `reading` of the CSV's other column; or as
        agrees with the `likeliest` class in every row. Else it is refused.
        """
        indexed = self.columns.label_classes if what == "label" else ()
        beside = f"{column}_class"
        texts = self.rows[beside if beside in self.rows else column]
        title = f"{self.path}: column '{listed([texts.name])}'"
        named = self._as_names(texts, classes, what)
        if named is not None:
            return ClassTexts(named, classes, self.images, what, title).read("names"), "auto"
        read = ClassTexts(texts, classes, self.images, what, title, indexed)
        if texts.name == beside:
            return read.read("names"), "names"
        if self.columns.class_values != "auto":
            reading = self.columns.class_values
        elif indexed:
            reading = "indices first"
        if reading != "auto":
            return read.read(reading), reading
        if not read.is_ambiguous:
            return read.read("names first"), "auto"
        fitting = [
            name
            for name, found in (("names", read.by_name), ("indices", read.by_index))
            if likeliest is not None and np.array_equal(found, likeliest)
        ]
        if len(fitting) != 1:
            read.refuse_ambiguous()
        return read.read(fitting[0]), fitting[0]

    def _as_names(
        self, texts: pd.Series, classes: tuple[str, ...], what: str = "label"
    ) -> pd.Series | None:
        """Classes as names where words such as True or, of labels, `--class_map` say which."""
        texts = texts.fillna("").astype(str)
        if self.options.class_map and what == "label":
            if not classes:
                raise UserError("--class_map: expected the classes that it maps to, --classes")
            mapping = ClassMap(self.options.class_map, classes, self.options.positive)
            return texts.map(
                lambda text: text if says_nothing(text) else mapping.class_of(text) or text
            )
        keys = texts.map(known_id)
        n_words = keys.isin(TRUTH).sum()  # most, so that one that is none of them is blamed
        if len(classes) > 2 or n_words <= len(keys) / 2 or TRUTH.keys() & map(folded, classes):
            return None
        positive = positive_index(classes, self.columns.positive_class) if classes else 1
        two = (classes or ("0", "1"))[1 - positive], (classes or ("0", "1"))[positive]
        return texts.mask(keys.isin(TRUTH), keys.map(TRUTH).map(dict(enumerate(two))))

    def labels(
        self,
        classes: tuple[str, ...],
        decisions: np.ndarray,
        likeliest: np.ndarray | None = None,
        reading: str = "auto",
    ) -> tuple[np.ndarray, str]:
        """(the true classes, int64 [N], of the CSV or of the metadata, a doubt about them).

        `reading` is that of the CSV's decisions. Metadata hold names where all texts are names;
        the doubt is where the `decisions` agree far better with them as indices.
        """
        table, path, label = self.truth()
        if label == ():
            return self._labels_of_targets(table, path, classes, decisions)
        if len(label) == 1 and path == self.path:
            return self.own_classes(label[0], classes, "label", likeliest, reading)[0], ""
        title = f"{path}: column{'s' * (len(label) > 1)} '{listed(label)}'"
        names = self.columns.label_classes
        how = "indices first" if names else "names first"
        if len(label) == 1:
            texts = table[label[0]]
            named = self._as_names(texts, classes)
            if named is not None:
                return ClassTexts(named, classes, self.images, "label", title).read("names"), ""
        else:
            how, names = "indices", names or _names_of_columns(label, classes)
            texts = one_hot_places(table[list(label)], path, self.images)
        read = ClassTexts(texts, classes, self.images, "label", title, names)
        return read.read(how), read.doubt(decisions) if how == "names first" else ""

    def truth(self) -> tuple[pd.DataFrame, Path, tuple[str, ...]]:
        """(the table with a row for each image, its path, its columns of true classes).

        No columns stand for the metadata's `target`, 1 for the positive class.
        """
        label = self.columns.label_column
        if not label and "label" not in self.rows:
            if self.metadata is None:
                raise UserError(
                    f"{self.path} has no column 'label': give the table with the true targets as "
                    "--skin_color_csv FILE, or name the column with --label_column"
                )
            table = self.metadata.rows_of(self.images, SKIP)
            require_columns(table, ("target",), self.metadata.path, "--label_column")
            return table, self.metadata.path, ()
        label = label or ("label",)
        table, path = self.rows, self.path
        if self.truth_is_in_metadata:
            table, path = self.metadata.rows_of(self.images, SKIP), self.metadata.path
        require_columns(table, label, path, "--label_column")
        return table, path, label

    @property
    def truth_is_in_metadata(self) -> bool:
        """Whether true classes are looked for there rather than in the CSV."""
        label = self.columns.label_column
        if self.metadata is None or (not label and "label" in self.rows):
            return False
        return set(label) <= set(self.metadata.rows) or not set(label) <= set(self.rows)

    def labelled(self, classes: tuple[str, ...]) -> tuple["CsvRows", list[str]]:
        """(the rows with a true class, the names of the other images)."""
        keep = np.ones(len(self.images), bool)
        if self.truth_is_in_metadata:
            keep = self.metadata.has_rows(self.images)
        kept = self._at(keep)
        table, _, label = kept.truth()
        known = {folded(name) for name in classes}
        texts = table[list(label or ("target",))].fillna("").astype(str)
        nothing = {"0", "0.0"} if len(label) > 1 else set()
        if len(label) > 1:  # a class in no column, or in one such as UNK
            texts = texts.drop(columns=[name for name in label if is_silent_column(name, known)])
        is_silent = texts.map(
            lambda text: text in nothing or (says_nothing(text) and folded(text) not in known)
        )
        keep[np.flatnonzero(keep)[is_silent.all(axis=1).to_numpy()]] = False
        if not keep.any():
            raise UserError(f"{self.path}: no image has a true class, which --skip_unlabelled asks")
        return self._at(keep), [self.images[row] for row in np.flatnonzero(~keep)]

    def _at(self, keep: np.ndarray) -> "CsvRows":
        images = [self.images[row] for row in np.flatnonzero(keep)]
        return replace(self, rows=self.rows[keep].reset_index(drop=True), images=images)

    def _labels_of_targets(
        self, table: pd.DataFrame, path: Path, classes: tuple[str, ...], decisions: np.ndarray
    ) -> tuple[np.ndarray, str]:
        """`labels` by `target` of the metadata, 1 for the positive class."""
        title = f"{path}: column 'target'"
        if self.options.class_map:
            named = self._as_names(table["target"], classes)
            return ClassTexts(named, classes, self.images, "label", title).read("names"), ""
        if len(classes) > 2:
            raise UserError(
                f"{path}: its targets 0 and 1 say nothing of the {len(classes)} classes of "
                f"{self.path}: name a column with the true classes with --label_column"
            )
        named = None if self.options.class_map else self._as_names(table["target"], ())
        table = table if named is None else table.assign(target=named)
        targets = numbers(table, "target", path)
        strange = targets[~targets.isin((0, 1)) & targets.notna()]
        if len(strange):
            raise UserError(f"{path}: target {strange.iloc[0]:g}: expected 0 or 1")
        names, how = self.columns.label_classes, "indices first"
        if classes and not names:
            positive = positive_index(classes, self.columns.positive_class)
            names, how = (classes[1 - positive], classes[positive]), "names first"
        targets = ClassTexts(table["target"], classes, self.images, "label", title, names)
        return targets.read(how), targets.doubt(decisions) if how == "names first" else ""

    def tone_groups(self) -> Grouping:
        """Skin tones: those by people before groups of angles, the CSV's own before the metadata's.

        Of angles only the column `group` of the CSV is read.
        """
        own = self.rows.drop(columns=[*self.columns.label_column, "ita"], errors="ignore")
        found = [tone_groups_of(own, self.images, self.path)]
        if self.metadata is not None:
            found.append(self.metadata.tone_groups(self.images))
        by_people = [tones for tones in found if tones.levels != GROUP_NAMES]
        return (by_people or (found if "group" in own else found[::-1]))[0]


def is_silent_column(name: str, known: Collection[str]) -> bool:
    """Whether a column of 0 and 1, such as UNK, names no class; `known` are folded classes."""
    return says_nothing(name) and folded(name) not in known


def _names_of_columns(columns: tuple[str, ...], classes: tuple[str, ...]) -> tuple[str, ...]:
    """The classes of one column for each: their names where any is a class, else in order."""
    known = {folded(name) for name in classes}
    names = columns if any(folded(column) in known for column in columns) else classes
    if len(names) != len(columns):
        raise UserError(
            f"--label_column: {len(columns)} columns for {len(names)} classes: expected one "
            "for each, or their classes with --label_classes"
        )
    return names
