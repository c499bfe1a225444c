"""Predictions of an ONNX model on a table, and predictions read from a CSV."""

from pathlib import Path

import numpy as np
import pandas as pd

from src.core.errors import UserError
from src.datasets.adapters import read_isic_csv
from src.datasets.table import Table, numbers, read_csv
from src.evaluation.predictions import Predictions, from_frame, probability_columns
from src.inference.predictor import OnnxPredictor
from src.skin_tone import GROUP_NAMES, UNKNOWN_GROUP


def predict_table(predictor: OnnxPredictor, table: Table, batch_size: int) -> Predictions:
    """The model's predictions of every row of a table that has its classes."""
    contract = predictor.contract
    paths = [Path(path) for path in table.rows["image"]]
    found = list(predictor.predict(paths, batch_size))
    bad = [p for p in found if p.probabilities is None]
    if bad:
        raise UserError(f"{bad[0].path}: {bad[0].reason}")
    probabilities = contract.by_own_head(
        np.stack([p.logits for p in found]),
        np.stack([p.probabilities for p in found]),
        table.group_indices,
    )
    return Predictions(
        names=[path.name for path in paths],
        labels=table.labels,
        groups=table.group_indices,
        probabilities=probabilities,
        decisions=contract.decide(probabilities),
        classes=contract.classes,
        positive=contract.positive,
        group_names=table.groups,
    )


def read_predictions(path: Path, metadata: str) -> Predictions:
    """The predictions in a CSV (`image_name,target[,probability_<class>...]`).

    Labels and groups are its own columns `label` and `group`, as a run's files have them, else
    `target` and `group` of the rows of the CSV `metadata` with the same image names.
    """
    frame = read_csv(path, ("image_name", "target"))
    if "label" in frame:
        labels = numbers(frame, "label", path)
        groups = numbers(frame, "group", path) if "group" in frame else None
    else:
        labels, groups = _joined(frame, path, metadata)
    if labels.isna().any() or (labels < 0).any():
        raise UserError(f"{path}: a row has no label: expected class indices from 0")
    known = np.full(len(frame), UNKNOWN_GROUP) if groups is None else groups.fillna(UNKNOWN_GROUP)
    return from_frame(frame, labels.to_numpy(np.int64), np.asarray(known, np.int64), GROUP_NAMES)


def _joined(frame: pd.DataFrame, path: Path, metadata: str) -> tuple[pd.Series, pd.Series]:
    if not metadata:
        raise UserError(
            f"{path} has no column 'label': give the table with the true targets as "
            "--skin_color_csv FILE"
        )
    if len(probability_columns(frame)) > 2:
        raise UserError(
            f"{metadata}: its targets 0 and 1 say nothing of the {len(probability_columns(frame))} "
            f"classes of {path}: add a column 'label' with the true class indices"
        )
    truth = read_isic_csv(Path(metadata)).set_index("stem")
    stems = [Path(name).stem for name in frame["image_name"]]
    absent = [stem for stem in stems if stem not in truth.index]
    if absent:
        raise UserError(f"{metadata}: no row for {len(absent)} images (first: {absent[0]})")
    rows = truth.loc[stems].reset_index(drop=True)
    return rows["label"], rows["group"]
