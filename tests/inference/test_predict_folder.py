"""Predictions as a CSV: which columns and rows it has, and who is left out."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from src.inference.predictor import Prediction, write_predictions

PREDICTIONS = [
    Prediction(Path("x/a.jpg"), np.float32([0.75, 0.25])),
    Prediction(Path("x/b.jpg"), reason="truncated"),
    Prediction(Path("x/c.jpg"), np.float32([0.125, 0.875])),
]
CONTRACT = SimpleNamespace(classes=("benign", "mel"), decide=lambda p: p.argmax(axis=1))


def test_rows_are_decided_by_the_contract_and_failures_come_back(tmp_path):
    output = tmp_path / "out.csv"
    columns = {"benign": ["0.75", "0.125"], "mel": ["0.25", "0.875"]}
    for names in ((), ("benign", "mel"), ("mel",)):
        failed = write_predictions(iter(PREDICTIONS), CONTRACT, names, output)
        assert failed == [PREDICTIONS[1]]
        with output.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert header == ["image_name", "target", *(f"probability_{name}" for name in names)]
        for place, (image, target) in enumerate((("a.jpg", "0"), ("c.jpg", "1"))):
            assert rows[place] == [image, target, *(columns[name][place] for name in names)]
