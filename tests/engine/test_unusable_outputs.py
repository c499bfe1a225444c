"""A network whose outputs are no probabilities is not evaluated."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.engine.evaluate import Evaluator
from tests.artifact.test_contract import make_contract


def test_an_image_without_a_prediction_ends_an_evaluation(monkeypatch):
    evaluator = Evaluator.__new__(Evaluator)
    rows = SimpleNamespace(rows=pd.DataFrame({"image": ["x/a.jpg", "x/b.jpg"]}))
    evaluator.table, evaluator.contract = SimpleNamespace(split=lambda _: rows), make_contract()
    outputs = [np.array([[0.0, 1.0], [np.nan, 0.0]]), np.array([[0.3, 0.7], [np.nan, np.nan]])]
    monkeypatch.setattr(Evaluator, "_outputs", lambda *_: outputs)
    with pytest.raises(UserError, match=r"valid: 1 of 2 images .* first b\.jpg: .*NaN"):
        evaluator(None, "valid")
