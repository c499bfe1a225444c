"""Predictions of an ONNX model on a table."""

from pathlib import Path

import numpy as np

from ..core.errors import UserError
from ..datasets.table import Table
from ..evaluation.predictions import Predictions
from .predictor import OnnxPredictor


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
