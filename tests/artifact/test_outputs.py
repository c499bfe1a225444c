"""What a class may be decided by: finite numbers that are probabilities."""

import numpy as np
import pytest

from src.artifact.outputs import are_probabilities, require_usable, why_unusable
from src.core.errors import UserError

NAN, INF = float("nan"), float("inf")
GOOD, GOOD_LOGITS = [0.25, 0.75], [0.0, 1.0]


def test_rows_are_evaluated_one_by_one():
    cases = [
        (GOOD_LOGITS, GOOD, ""),
        (GOOD_LOGITS, [0.0, 1.0], ""),
        (GOOD_LOGITS, [0.2505, 0.7505], ""),
        (GOOD_LOGITS, [NAN, NAN], "NaN"),
        (GOOD_LOGITS, [NAN, 1.0], "NaN"),
        ([NAN, 1.0], GOOD, "NaN"),
        ([INF, 1.0], GOOD, "infinite"),
        (GOOD_LOGITS, [0.9, 0.3], "(0.9, 0.3) are not probabilities that sum to 1"),
        (GOOD_LOGITS, [1.5, -0.5], "(1.5, -0.5) are not probabilities"),
    ]
    logits, probabilities, expected = zip(*cases, strict=True)
    found = why_unusable(np.array(logits), np.array(probabilities))
    for reason, wanted in zip(found, expected, strict=True):
        assert wanted in reason and bool(wanted) == bool(reason)
    assert why_unusable(np.zeros((0, 2)), np.zeros((0, 2))) == []


def test_half_precision_is_enough_to_be_probabilities():
    values = np.random.default_rng(0).dirichlet(np.ones(500), 20)
    assert are_probabilities(values.astype(np.float16)).all()


def test_an_evaluation_is_refused_at_its_first_image_without_a_prediction():
    logits, probabilities = np.array([GOOD_LOGITS] * 3), np.array([GOOD, [NAN, NAN], [NAN, 0]])
    with pytest.raises(UserError, match=r"test: 2 of 3 images .* first b\\n\.jpg: .* NaN"):
        require_usable(["a.jpg", "b\n.jpg", "c.jpg"], logits, probabilities, "test")
    require_usable(["a.jpg"], logits[:1], probabilities[:1], "test")
