"""Predictions CSVs of strangers, drawn."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.evaluation.predictions import Predictions
from src.inference.metadata import read_metadata
from src.inference.prediction_csv import CsvColumns, read_predictions

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
N = 60


@pytest.fixture
def write(tmp_path):
    """Write columns as a CSV; its path."""
    numbers = itertools.count()

    def write(columns, sep=",", decimal=".") -> Path:
        path = tmp_path / f"{next(numbers)}.csv"
        pd.DataFrame(columns).to_csv(path, sep=sep, decimal=decimal, index=False)
        return path

    return write


@pytest.fixture
def read(write):
    """Write predictions, and metadata where there are some, and read them."""

    def read(rows, metadata=None, **columns) -> Predictions:
        known = None if metadata is None else read_metadata(write(metadata))
        return read_predictions(write(rows), known, CsvColumns(**columns))

    return read


@pytest.fixture
def softmax():
    """Images, labels and probabilities of `CLASSES`, and the columns of a published file."""
    rng = np.random.default_rng(5)
    names = [f"ISIC_{number:07}" for number in range(N)]
    labels = np.concatenate([np.arange(7), rng.integers(7, size=N - 7)])
    probabilities = rng.dirichlet(np.ones(7), size=N)
    rows = {"image": names, "fold": ["x"] * N, **dict(zip(CLASSES, probabilities.T, strict=True))}
    return names, labels, probabilities, rows
