"""Predictions in a CSV of any origin, with the truth beside them or in a table of metadata."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.classes import BINARY_CLASSES, positive_index
from ..core.errors import UserError
from ..core.image_files import image_stem
from ..datasets.table import numbers, read_csv
from ..evaluation.predictions import Predictions, from_columns, probability_columns
from ..evaluation.thresholds import decide
from ..skin.tone import GROUP_NAMES, UNKNOWN_GROUP
from .csv_cells import class_indices, exact_probabilities, listed, one_hot_places
from .flags import USUAL_COLUMNS, CsvColumns
from .metadata import Metadata, find_image_column, require_columns, tone_groups_of


def read_predictions(
    path: Path, metadata: Metadata | None, columns: CsvColumns = USUAL_COLUMNS
) -> Predictions:
    """The predictions in a CSV (at the defaults `image_name,target[,probability_<class>...]`).

    Labels and tone groups are the CSV's own columns `label` and `group`, as a run's files have
    them, else those of the images' rows in `metadata`; `columns` names others. Raises `UserError`
    for columns and images that are missing, for images that repeat, for what is no class, and for
    what are no probabilities.
    """
    rows = read_csv(path, ())
    image_column = find_image_column(rows, path, columns.image_column, "--image_column")
    images = rows[image_column].fillna("").str.strip().tolist()
    source = _Source(path, rows, images, metadata, columns)
    source.require_single_images()
    scores = list(columns.probability_columns) or probability_columns(rows)
    require_columns(rows, scores, path, "--probability_columns")
    decision = source.decision_column(scores)
    classes = _class_names(scores, columns)
    probabilities = source.probabilities(scores, classes) if scores else None
    if decision:
        title = f"{path}: column '{decision}'"
        decisions = class_indices(rows[decision], (), classes, images, "decision", title)
    elif len(scores) > 1:
        decisions = probabilities.argmax(axis=1)
    else:
        decisions = decide(probabilities, positive_index(classes, columns.positive_class), 0.5)
    return from_columns(
        names=images,
        labels=source.labels(classes),
        groups=source.tone_groups(),
        decisions=decisions,
        probabilities=probabilities,
        classes=classes,
        group_names=GROUP_NAMES,
        positive=columns.positive_class,
    )


def _class_names(scores: list[str], columns: CsvColumns) -> tuple[str, ...]:
    """The names given, else those of the columns of probabilities, else of the labels, else ()."""
    if len(scores) == 1:
        usual = BINARY_CLASSES
    elif scores:
        usual = tuple(column.removeprefix("probability_") for column in scores)
    else:
        usual = columns.label_classes or (
            columns.label_column if len(columns.label_column) > 1 else ()
        )
    classes = columns.classes or usual
    if scores and len(classes) != len(usual):
        raise UserError(
            f"--classes: expected {len(usual)} names for {len(scores)} columns of probabilities, "
            f"found {len(classes)}"
        )
    if len(classes) == 1 or len(set(classes)) < len(classes):
        raise UserError(f"--classes: expected two or more, all different, found {listed(classes)}")
    for name in (*classes, *columns.label_classes, columns.positive_class):
        if not name.isprintable():  # such as a line break, or bytes that are no letters
            raise UserError(
                "--classes, --label_classes, --positive_class: expected printable names, "
                f"found {listed([name])}"
            )
    return classes


@dataclass(frozen=True)
class _Source:
    """The rows of a predictions CSV with the names of their images, and what is known of these."""

    path: Path
    rows: pd.DataFrame
    images: list[str]
    metadata: Metadata | None
    columns: CsvColumns

    def require_single_images(self) -> None:
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
                f"{repeated.iloc[0]!r}): expected one row for each image"
            )

    def decision_column(self, scores: list[str]) -> str:
        """The column of decisions, blank where the most probable class is decided."""
        if self.columns.decision_column:
            require_columns(
                self.rows, (self.columns.decision_column,), self.path, "--decision_column"
            )
            return self.columns.decision_column
        if self.columns.probability_columns:
            return ""  # beside a stranger's probabilities, `target` is as often the truth
        is_truth = "target" in self.columns.label_column and not self._label_is_in_metadata()
        if "target" in self.rows and not is_truth:
            return "target"
        if not scores:
            raise UserError(
                f"{self.path}: no column 'target' of decisions and none of probabilities (found: "
                f"{listed(self.rows)}): name them, --decision_column or --probability_columns"
            )
        return ""

    def probabilities(self, scores: list[str], classes: tuple[str, ...]) -> np.ndarray:
        """float64 [N, classes]: a single column is of the positive of two classes."""
        values = exact_probabilities(self.rows[scores], self.path, self.images)
        if len(scores) > 1:
            return values
        is_positive = np.arange(2) == positive_index(classes, self.columns.positive_class)
        return np.where(is_positive, values, 1 - values)

    def labels(self, classes: tuple[str, ...]) -> np.ndarray:
        """int64 [N]: the true classes, of the CSV or of the metadata."""
        label, names = self.columns.label_column, self.columns.label_classes
        if not label and "label" not in self.rows:
            return self._labels_of_targets(classes)
        label = label or ("label",)
        table, path = self.rows, self.path
        in_csv = set(label) <= set(self.rows)
        if self.metadata and (self._label_is_in_metadata() or not in_csv):
            table, path = self.metadata.rows_of(self.images), self.metadata.path
        require_columns(table, label, path, "--label_column")
        if len(label) == 1:
            texts = table[label[0]]
        else:
            texts = one_hot_places(table[list(label)], path, self.images)
            folded = {name.casefold() for name in classes}
            is_named = any(column.casefold() in folded for column in label)
            names = names or (label if is_named else classes)
            if len(names) != len(label):
                raise UserError(
                    f"--label_column: {len(label)} columns for {len(names)} classes: expected one "
                    "for each, or their classes with --label_classes"
                )
        title = f"{path}: column{'s' * (len(label) > 1)} '{listed(label)}'"
        return class_indices(texts, names, classes, self.images, "label", title)

    def _labels_of_targets(self, classes: tuple[str, ...]) -> np.ndarray:
        """int64 [N]: `target` of the metadata, 1 for the positive class."""
        if self.metadata is None:
            raise UserError(
                f"{self.path} has no column 'label': give the table with the true targets as "
                "--skin_color_csv FILE, or name the column with --label_column"
            )
        path = self.metadata.path
        if len(classes) > 2:
            raise UserError(
                f"{path}: its targets 0 and 1 say nothing of the {len(classes)} classes of "
                f"{self.path}: name a column with the true classes with --label_column"
            )
        table = self.metadata.rows_of(self.images)
        require_columns(table, ("target",), path, "--label_column")
        targets = numbers(table, "target", path)
        strange = targets[~targets.isin((0, 1)) & targets.notna()]
        if len(strange):
            raise UserError(f"{path}: target {strange.iloc[0]:g}: expected 0 or 1")
        names = self.columns.label_classes
        if classes and not names:
            positive = positive_index(classes, self.columns.positive_class)
            names = (classes[1 - positive], classes[positive])
        title = f"{path}: column 'target'"
        return class_indices(table["target"], names, classes, self.images, "label", title)

    def _label_is_in_metadata(self) -> bool:
        label = self.columns.label_column
        return bool(label) and self.metadata is not None and set(label) <= set(self.metadata.rows)

    def tone_groups(self) -> np.ndarray:
        """int64 [N], -1 where unknown: the CSV's own `group`, else the metadata's."""
        if "group" in self.rows:
            return tone_groups_of(self.rows[["group"]], self.images, self.path)
        if self.metadata is None:
            return np.full(len(self.images), UNKNOWN_GROUP)
        return self.metadata.tone_groups(self.images)
