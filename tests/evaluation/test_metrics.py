"""Metrics against scikit-learn and by hand; what is undefined is NaN with its count."""

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.files import to_strict_json
from src.evaluation.bootstrap import resample_weights
from src.evaluation.measure import compute_metrics, estimates, names_for, resampled, scalars
from src.evaluation.metrics import METRICS, MONITORED, PER_CLASS
from src.evaluation.predictions import Predictions
from src.evaluation.results import point_estimates
from src.evaluation.weighted import Rows, Weighted, rows_of
from tests.evaluation.scikit_learn import class_metrics_of, metrics_of

SEVEN = tuple("abcdefg")
COUNTS = {"n", "n_positive"}
AVERAGES = {name for name, row in METRICS.items() if row.of_classes}
OF_PROBABILITIES = {name for name, row in METRICS.items() if row.needs == "probabilities"}
OF_TWO = {*METRICS} - AVERAGES


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
        "no rows": table([]),
        "three of seven": table(
            rng.integers(3, size=50), scores=rng.dirichlet(np.ones(7), 50), classes=SEVEN
        ),
        "decisions only": table(
            rng.integers(2, size=30),
            scores=np.full((30, 2), np.nan),
            decisions=rng.integers(2, size=30),
        ),
    }


def resamples_of(predictions: Predictions) -> Weighted:
    """A dozen resamples of clusters of about three rows."""
    rng = np.random.default_rng(0)
    clusters = rng.integers(max(1, len(predictions.labels) // 3), size=len(predictions.labels))
    rows = Rows(predictions, np.unique(clusters, return_inverse=True)[1])
    return Weighted(rows, resample_weights(rows.n_clusters, 12, rng))


def rows_of_resamples(w: Weighted) -> list[Predictions]:
    """The rows of each resample, each as often as its cluster is drawn."""
    counts = w.weights[:, w.rows.clusters].astype(int)
    return [w.rows.predictions.at(np.repeat(np.arange(len(row)), row)) for row in counts]


def test_estimates_and_every_resample_equal_scikit_learn(random_table, table):
    for case, predictions in cases(random_table, table).items():
        names, w = names_for(predictions), resamples_of(predictions)
        found, wanted = estimates(w.rows, names), metrics_of(predictions)
        assert {*found} == {*wanted}, case
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9, nan_ok=True), case
        values = resampled(w, names)
        assert {*values} == {name for name in names if METRICS[name].has_interval}
        for place, rows in enumerate(rows_of_resamples(w)):
            drawn, wanted = {n: v[place] for n, v in values.items()}, metrics_of(rows)
            wanted = {name: wanted[name] for name in drawn}
            assert drawn == pytest.approx(wanted, rel=2e-5, abs=2e-6, nan_ok=True), (case, place)


def test_figures_of_each_class_equal_scikit_learn(random_table, table):
    for case, predictions in cases(random_table, table).items():
        w = resamples_of(predictions)
        values = [resampled(one, PER_CLASS) for one in w.by_class]
        drawn = [{n: v[p] for n, v in of.items()} for p in range(12) for of in values]
        found = [estimates(one.rows, PER_CLASS) for one in w.by_class] + drawn
        tables = [predictions, *rows_of_resamples(w)]
        wanted = [of for rows in tables for of in class_metrics_of(rows).values()]
        for mine, other in zip(found, wanted, strict=True):
            other.pop("n")
            assert mine == pytest.approx(other, rel=2e-5, abs=2e-6, nan_ok=True), case


def test_threads_and_parts_of_resamples_change_nothing(random_table, monkeypatch):
    w = resamples_of(random_table(7, 90))
    names = names_for(w.rows.predictions)
    whole = resampled(w, names)
    monkeypatch.setattr("src.evaluation.measure._CELLS_AT_A_TIME", 200)
    for name, values in resampled(w, names).items():
        np.testing.assert_array_equal(values, whole[name], err_msg=name)


def test_a_curve_has_no_more_thresholds_than_positive_rows_need(random_table):
    predictions = random_table(2, 900)
    rows = rows_of(predictions)
    scores = np.unique(rows.score[rows.target])
    assert rows.at_scores[0].shape[0] <= 2 * len(scores) + 1
    assert sum(kind.sum() for kind in rows.at_scores) == 900


def test_a_part_of_the_rows_is_measured_as_if_alone(random_table):
    w = resamples_of(random_table(2, 80))
    keep, names = w.rows.predictions.groups == 1, names_for(w.rows.predictions)
    found = resampled(w.part(keep), names)
    for place, rows in enumerate(rows_of_resamples(w)):
        wanted = metrics_of(rows.where(rows.groups == 1))
        drawn = {name: values[place] for name, values in found.items()}
        wanted = {name: wanted[name] for name in drawn}
        assert drawn == pytest.approx(wanted, rel=2e-5, abs=2e-6, nan_ok=True)


def test_losses_equal_scikit_learn(random_table):
    for n_classes in (2, 7):
        predictions = random_table(n_classes)
        found, probabilities = compute_metrics(predictions), predictions.probabilities
        brier = sklearn.metrics.brier_score_loss(
            predictions.labels, probabilities if n_classes > 2 else probabilities[:, 1]
        )
        log_loss = sklearn.metrics.log_loss(predictions.labels, probabilities)
        assert (found["brier"], found["log_loss"]) == pytest.approx((brier, log_loss))


def chance_of_ranking_right(target: np.ndarray, score: np.ndarray) -> float:
    """AUROC as Mann and Whitney count it: pairs in the right order, ties by half."""
    pairs = [(p, n) for p in score[target] for n in score[~target]]
    return sum((p > n) + 0.5 * (p == n) for p, n in pairs) / len(pairs)


def area_of_steps(target: np.ndarray, score: np.ndarray) -> float:
    """Average precision: precision at each distinct score by the recall gained there."""
    area, recall = 0.0, 0.0
    for threshold in sorted(set(score.tolist()), reverse=True):
        chosen = score >= threshold
        reached = (target & chosen).sum() / target.sum()
        area += (reached - recall) * (target & chosen).sum() / chosen.sum()
        recall = reached
    return area


def test_areas_equal_their_definitions(random_table, table):
    rng = np.random.default_rng(0)
    scores = rng.random(60)
    for values in (scores, scores.round(1)):
        for positive in (0, 1):
            predictions = table(rng.integers(2, size=60), scores=values, positive=positive)
            target = predictions.labels == positive
            own = predictions.probabilities[:, positive]
            found = compute_metrics(predictions)
            assert found["auroc"] == pytest.approx(chance_of_ranking_right(target, own))
            assert found["auprc"] == pytest.approx(area_of_steps(target, own))


def test_partial_auroc_is_that_of_the_isic_2024_challenge(table):
    """Labels and scores turned round, scikit-learn's area up to a rate of 0.2, unscaled."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.arange(40) % 3 == 0).astype(int)
        scores = np.clip(rng.random(40) + 0.3 * labels, 0, 1).round(1 + seed % 3)
        found = compute_metrics(table(labels, scores=scores / 2))["partial_auroc"]
        scaled = sklearn.metrics.roc_auc_score(1 - labels, -scores, max_fpr=0.2)
        lowest, highest = 0.2**2 / 2, 0.2
        assert found == pytest.approx(lowest + (highest - lowest) * (2 * scaled - 1)), seed
    perfect, chance, none = table([0, 1], scores=[0.1, 0.9]), table([0, 1], scores=[0.5] * 2), []
    assert compute_metrics(perfect)["partial_auroc"] == pytest.approx(0.2)
    assert compute_metrics(chance)["partial_auroc"] == pytest.approx(0.02)
    assert math.isnan(compute_metrics(table(none))["partial_auroc"])


def test_values_by_hand(table):
    """3 of 4 melanomas found, 2 of 6 naevi taken for one."""
    labels = [1] * 4 + [0] * 6
    decisions = [1, 1, 1, 0, 1, 1, 0, 0, 0, 0]
    found = compute_metrics(table(labels, scores=[0.9] * 4 + [0.1] * 6, decisions=decisions))
    wanted = {
        "accuracy": 7 / 10,
        "balanced_accuracy": (3 / 4 + 4 / 6) / 2,
        "precision": 3 / 5,
        "sensitivity": 3 / 4,
        "f1": 6 / 9,
        "specificity": 4 / 6,
        "selection_rate": 5 / 10,
        "auroc": 1.0,
        "auprc": 1.0,
        "log_loss": -math.log(0.9),
    }
    assert {key: found[key] for key in wanted} == pytest.approx(wanted)
    assert found["confusion_matrix"] == [[4, 2], [1, 3]]


def undefined_of(found: dict) -> set[str]:
    return {key for key, value in scalars(found).items() if math.isnan(value)}


def test_undefined_is_nan_and_nothing_else_is(table):
    sensitive = {"sensitivity", "false_negative_rate", "f1"}
    ranked = {n for n in OF_PROBABILITIES - AVERAGES if METRICS[n].counts == "both"}
    areas = {n for n in ranked if METRICS[n].has_interval} - {"auprc"}
    for labels, decisions, undefined in (
        ([0, 0], [0, 1], sensitive | areas | {"auprc", "matthews"}),
        ([1, 1], [0, 1], {"specificity", "false_positive_rate", "matthews"} | areas),
        ([0, 1], [0, 0], {"precision", "matthews"}),
        ([0, 0], [0, 0], sensitive | areas | {"cohen_kappa", "matthews", "precision", "auprc"}),
        ([0, 1], [1, 0], set()),
        ([], [], OF_TWO),
    ):
        found = compute_metrics(table(labels, decisions=decisions))
        assert undefined_of(found) == undefined, (labels, decisions)
        assert {*scalars(found)} == OF_TWO | COUNTS
        assert (found["n"], found["n_positive"]) == (len(labels), sum(labels))
        assert all(type(found[name]) is int for name in COUNTS)
        assert np.sum(found["confusion_matrix"]) == len(labels)
    for labels in ([], [2, 2, 2]):
        assert math.isnan(compute_metrics(table(labels, classes=SEVEN))["auroc_macro"])


def test_only_decisions_known_leaves_what_needs_probabilities_undefined(table):
    found = compute_metrics(table([0, 1, 1], scores=[[math.nan] * 2] * 3, decisions=[0, 1, 0]))
    assert undefined_of(found) == OF_PROBABILITIES - AVERAGES
    assert found["sensitivity"] == 1 / 2


def test_a_class_without_rows_has_no_figures_and_is_in_no_average(table):
    predictions = table([0, 0, 1, 1], decisions=[0, 6, 1, 1], classes=SEVEN)
    found = [estimates(one, PER_CLASS) for one in rows_of(predictions).by_class]
    assert found[0]["sensitivity"] == 1 / 2
    assert all(math.isnan(found[6][name]) for name in ("sensitivity", "f1", "auroc"))
    assert found[6]["precision"] == 0
    metrics = compute_metrics(predictions)
    assert metrics["f1_macro"] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics["precision_macro"] == 1
    assert metrics["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2)


def test_log_loss_of_a_confident_mistake_is_finite(table):
    found = compute_metrics(table([0, 1], scores=[1.0, 0.0]))
    assert found["log_loss"] == pytest.approx(-math.log(1e-15))


def test_rates_at_the_others_rate_are_the_best_of_all_thresholds(table):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        target, score = rng.random(50) < 0.4, rng.integers(12, size=50) / 12
        points = [(np.mean(score[target] >= t), np.mean(score[~target] < t)) for t in [*score, 2]]
        found = compute_metrics(table(target, scores=score))
        best = max(sensitivity for sensitivity, specificity in points if specificity >= 0.9)
        assert found["sensitivity_at_specificity"] == pytest.approx(best)
        best = max(specificity for sensitivity, specificity in points if sensitivity >= 0.9)
        assert found["specificity_at_sensitivity"] == pytest.approx(best)


def test_ten_negatives_allow_one_false_alarm(table):
    """90 % of 10 is 9, although 1 - 1 / 10 is a little less than 0.9 in floating point."""
    found = compute_metrics(
        table([1] * 10 + [0] * 10, scores=[0.9] * 9 + [0.1] + [0.95] + [0.2] * 9)
    )
    assert found["sensitivity_at_specificity"] == found["specificity_at_sensitivity"] == 0.9


def test_monitored_names_are_what_a_training_records(random_table):
    """Of two classes all but averages over classes; counts and their share pick no epoch."""
    of_seven = {*scalars(point_estimates(random_table(7)))}
    of_two = {*scalars(point_estimates(random_table(2)))}
    assert {*MONITORED} == of_seven - COUNTS - {"selection_rate"} | {"loss"}
    assert of_seven - of_two == AVERAGES


def test_monitored_direction_is_that_of_a_better_classifier(random_table, table):
    """Certain and right is best in every metric, certain and wrong in none."""
    drawn = random_table(7, 2000)
    best = point_estimates(table(drawn.labels, drawn.groups, classes=SEVEN))
    worse = point_estimates(drawn)
    for name, higher_is_better in MONITORED.items():
        if name not in ("loss", "demographic_parity_difference"):
            assert (best[name] > worse[name]) == higher_is_better, name


@st.composite
def tables(draw):
    """(labels, groups, probabilities, decisions, positive class) of 0 to 12 rows, with ties."""
    n_classes = draw(st.sampled_from([2, 7]))
    n_rows = draw(st.integers(0, 12))
    cell = st.sampled_from([0.0, 1e-9, 0.1, 0.5, 1.0])
    rows = st.lists(cell, min_size=n_classes, max_size=n_classes).map(
        lambda row: np.array(row) + (0 if sum(row) else 1)
    )
    probabilities = [
        row / row.sum() for row in draw(st.lists(rows, min_size=n_rows, max_size=n_rows))
    ]
    index = lambda low, high: st.lists(  # noqa: E731
        st.integers(low, high), min_size=n_rows, max_size=n_rows
    )
    return (
        draw(index(0, n_classes - 1)),
        draw(index(-1, 3)),
        np.array(probabilities).reshape(n_rows, n_classes),
        draw(index(0, n_classes - 1)),
        draw(st.integers(0, n_classes - 1)),
    )


@pytest.mark.slow
@given(tables())
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
def test_metrics_of_anything_are_in_their_range_or_nan(table, drawn):
    labels, groups, probabilities, decisions, positive = drawn
    classes = ("x", "y") if probabilities.shape[1] == 2 else SEVEN
    predictions = table(
        labels, groups, probabilities, decisions, positive=positive, classes=classes
    )
    found = point_estimates(predictions)
    highest = {"log_loss": math.inf, "brier": 2, "n": math.inf, "n_positive": math.inf}
    for part in (found, *found["groups"].values()):
        for name, value in scalars(part).items():
            lowest = -1 if name in ("cohen_kappa", "matthews") else 0
            end = highest.get(name, 1) + 1e-12
            assert math.isnan(value) or lowest - 1e-12 <= value <= end, name
    assert sum(part["n"] for part in found["groups"].values()) == len(labels)
    to_strict_json(found)
