"""Every figure of a draw is that of its rows, as `metrics` finds it with scikit-learn."""

import numpy as np
import pytest

from src.evaluation.bootstrap import unit_draws
from src.evaluation.draws import (
    class_metrics_of_draws,
    confusion_of_draws,
    metrics_of_draws,
    rates_of_draws,
)
from src.evaluation.fairness import RATES, subset
from src.evaluation.metrics import (
    CALIBRATION_ERRORS,
    METRICS,
    MULTICLASS_METRICS,
    class_metrics,
    compute_metrics,
)
from src.evaluation.predictions import Predictions


def drawn_rows(predictions: Predictions, units: np.ndarray, counts: np.ndarray) -> Predictions:
    """The rows of one draw, each as often as its unit is drawn."""
    rows = np.repeat(np.arange(len(units)), counts[units].astype(int))
    return predictions.at(rows)


def cases(random_table, table) -> dict[str, Predictions]:
    rng = np.random.default_rng(5)
    rounded = rng.random(60).round(1)
    return {
        "two classes": random_table(2, 60),
        "seven classes": random_table(7, 90),
        "ties": table(rng.integers(2, size=60), scores=rounded),
        "positive first": table(rng.integers(2, size=60), scores=rounded, positive=0),
        "one score": table(rng.integers(2, size=60), scores=np.full(60, 0.5)),
        "no positives": table(np.zeros(20), scores=rng.random(20)),
        "no negatives": table(np.ones(20), scores=rng.random(20)),
        "one row": table([1], scores=[0.7]),
        "three of seven": table(
            rng.integers(3, size=50), scores=rng.dirichlet(np.ones(7), 50), classes=tuple("abcdefg")
        ),
    }


def random_draws(predictions: Predictions, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(units [N], draws [12, units]), the first of which is the data themselves."""
    rng = np.random.default_rng(seed)
    n_units = max(1, len(predictions.labels) // 3)
    units = rng.integers(n_units, size=len(predictions.labels))
    draws = np.vstack([np.ones(n_units, np.float32), unit_draws(n_units, 11, rng)])
    return units, draws


CASES = (
    "two classes",
    "seven classes",
    "ties",
    "positive first",
    "one score",
    "no positives",
    "no negatives",
    "one row",
    "three of seven",
)


@pytest.mark.parametrize("case", CASES)
def test_metrics_of_draws_are_those_of_their_rows(case, random_table, table):
    predictions = cases(random_table, table)[case]
    units, draws = random_draws(predictions)
    found = metrics_of_draws(predictions, units, draws)
    averages = MULTICLASS_METRICS if len(predictions.classes) > 2 else {}
    assert set(found) == {*METRICS, *averages} - {*CALIBRATION_ERRORS}
    for place, counts in enumerate(draws):
        wanted = compute_metrics(drawn_rows(predictions, units, counts))
        for name, values in found.items():
            message = (name, place, values[place], wanted[name])
            assert values[place] == pytest.approx(wanted[name], 2e-5, 2e-6, True), message


@pytest.mark.parametrize("case", CASES)
def test_class_metrics_of_draws_are_those_of_their_rows(case, random_table, table):
    predictions = cases(random_table, table)[case]
    units, draws = random_draws(predictions, seed=1)
    found = class_metrics_of_draws(predictions, units, draws)
    for place, counts in enumerate(draws):
        for name, wanted in class_metrics(drawn_rows(predictions, units, counts)).items():
            wanted.pop("n")
            values = {figure: drawn[place] for figure, drawn in found[name].items()}
            assert values == pytest.approx(wanted, nan_ok=True, abs=1e-6), (name, place)


def test_rates_of_draws_are_those_that_groups_are_compared_by(random_table):
    predictions = random_table(7, 90)
    units, draws = random_draws(predictions)
    confusion = confusion_of_draws(predictions, units, draws)
    for positive in range(7):
        found = rates_of_draws(confusion, positive)
        assert list(found) == list(RATES)
        for place, counts in enumerate(draws):
            rows = drawn_rows(predictions, units, counts)
            target, decision = rows.labels == positive, rows.decisions == positive
            for name, values in found.items():
                if target.any() or RATES[name].rows != "positive":
                    assert values[place] == pytest.approx(RATES[name].of(target, decision)), name
                else:  # fairlearn says 0
                    assert np.isnan(values[place])


def test_unknown_probabilities_leave_rates_defined(table):
    predictions = table([0, 1, 1, 0], scores=np.full((4, 2), np.nan), decisions=[0, 1, 0, 1])
    found = metrics_of_draws(predictions, np.arange(4), np.ones((3, 4), np.float32))
    assert found["malignant_recall"].tolist() == [0.5] * 3
    for name in ("auroc", "auprc", "brier", "log_loss"):
        assert np.isnan(found[name]).all(), name


def test_a_part_of_the_rows_is_measured_as_if_alone(random_table):
    predictions = random_table(2, 80)
    units, draws = random_draws(predictions)
    keep = predictions.groups == 1
    found = metrics_of_draws(subset(predictions, keep), units[keep], draws)
    kept, inverse = np.unique(units[keep], return_inverse=True)
    alone = metrics_of_draws(subset(predictions, keep), inverse, draws[:, kept])
    for name, values in found.items():
        np.testing.assert_allclose(values, alone[name], rtol=1e-6, err_msg=name)
