"""Predictions in a CSV of any origin, with the truth beside them or in a table of metadata."""

from pathlib import Path

import numpy as np

from ..core.cells import tidy
from ..core.classes import BINARY_CLASSES, positive_index
from ..core.errors import UserError
from ..datasets.csv_files import read_csv
from ..evaluation.predictions import Predictions, from_columns, probability_columns
from ..evaluation.thresholds import decide
from .csv_cells import exact_probabilities, listed, require_class_names
from .csv_rows import CsvRows
from .flags import USUAL_COLUMNS, CsvColumns, EvaluationOptions
from .metadata import Metadata, find_image_column, require_columns

NONE = EvaluationOptions()


def read_predictions(
    path: Path, metadata: Metadata | None, columns: CsvColumns = USUAL_COLUMNS
) -> Predictions:
    """The predictions in a CSV (at the defaults `image_name,target[,probability_<class>...]`).

    Labels and tone groups are the CSV's own columns `label` and `group`, as a run's files have
    them, else those of the images' rows in `metadata`; `columns` names others. Raises `UserError`
    for columns and images that are missing, for images that repeat, for what is no class, and for
    what are no probabilities.
    """
    return read_labelled(path, metadata, columns)[0]


def read_labelled(
    path: Path, metadata: Metadata | None, columns: CsvColumns, options: EvaluationOptions = NONE
) -> tuple[Predictions, list[str], str]:
    """(`read_predictions` of the images with a true class, the names of the others, a doubt).

    There are others only with `--skip_unlabelled`; else they raise `UserError`. Names of classes
    in `--class_map` are read as those that they stand for.
    """
    rows = read_csv(path, ())
    image_column = find_image_column(rows, path, columns.image_column, "--image_column")
    images = rows[image_column].fillna("").map(tidy).tolist()
    csv = CsvRows(path, rows, images, metadata, columns, options)
    csv.require_single_images()
    scores = list(columns.probability_columns) or probability_columns(rows)
    require_columns(rows, scores, path, "--probability_columns")
    classes = _class_names(scores, columns)
    skipped: list = []
    if options.skip_unlabelled:
        csv, skipped = csv.labelled(classes)
    predictions, doubt = _predictions(csv, scores, classes)
    return predictions, skipped, doubt


def _class_names(scores: list[str], columns: CsvColumns) -> tuple[str, ...]:
    """The names given, else those of the columns of probabilities, else of the labels, else ()."""
    usual: tuple[str, ...]
    if len(scores) == 1:
        usual = BINARY_CLASSES
    elif scores:
        usual = tuple(column.removeprefix("probability_") for column in scores)
    else:
        usual = columns.label_classes or (
            columns.label_column if len(columns.label_column) > 1 else ()
        )
    classes = columns.classes or usual
    require_class_names(classes, "--classes, else the columns of probabilities")
    require_class_names(columns.label_classes, "--label_classes")
    if columns.positive_class:
        require_class_names([columns.positive_class], "--positive_class")
    if scores and len(classes) != len(usual):
        raise UserError(
            f"--classes: expected {len(usual)} names for {len(scores)} columns of probabilities, "
            f"found {len(classes)}"
        )
    if len(classes) == 1:
        raise UserError(f"--classes: expected two or more, found {listed(classes)}")
    return classes


def _predictions(
    csv: CsvRows, scores: list[str], classes: tuple[str, ...]
) -> tuple[Predictions, str]:
    """(those of all rows, whose columns of probabilities are `scores`, a doubt of the labels)."""
    decision = _decision_column(csv, scores)
    probabilities = _probabilities(csv, scores, classes) if scores else None
    wanted, reading, likeliest = csv.columns.positive_class, "auto", None
    if len(scores) > 1:
        likeliest = probabilities.argmax(axis=1)
    elif scores:
        likeliest = decide(probabilities, positive_index(classes, wanted), 0.5)
    decisions = likeliest
    if decision:
        decisions, reading = csv.own_classes(decision, classes, "decision", likeliest)
    labels, doubt = csv.labels(classes, decisions, likeliest, reading)
    tones = csv.tone_groups()
    predictions = from_columns(
        names=csv.images,
        labels=labels,
        groups=tones.codes,
        decisions=decisions,
        probabilities=probabilities,
        classes=classes,
        group_names=tones.levels,
        positive=wanted,
    )
    return predictions, doubt


def _decision_column(csv: CsvRows, scores: list[str]) -> str:
    """The column of decisions, blank where the most probable class is decided."""
    if csv.columns.decision_column:
        require_columns(csv.rows, (csv.columns.decision_column,), csv.path, "--decision_column")
        return csv.columns.decision_column
    if csv.columns.probability_columns:
        return ""  # beside a stranger's probabilities, `target` is as often the truth
    is_truth = "target" in csv.columns.label_column and not csv.truth_is_in_metadata
    if "target" in csv.rows and not is_truth:
        return "target"
    if not scores:
        raise UserError(
            f"{csv.path}: no column 'target' of decisions and none of probabilities (found: "
            f"{listed(csv.rows)}): name them, --decision_column or --probability_columns"
        )
    return ""


def _probabilities(csv: CsvRows, scores: list[str], classes: tuple[str, ...]) -> np.ndarray:
    """float64 [N, classes]: a single column is of the positive of two classes."""
    values = exact_probabilities(csv.rows[scores], csv.path, csv.images)
    if len(scores) > 1:
        return values
    is_positive = np.arange(2) == positive_index(classes, csv.columns.positive_class)
    return np.where(is_positive, values, 1 - values)
