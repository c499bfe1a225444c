"""Metrics against scikit-learn and by hand; what is undefined is NaN with its count."""

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from src.evaluation.fairness import evaluate
from src.evaluation.metrics import (
    METRICS,
    MONITORED,
    MULTICLASS_METRICS,
    class_metrics,
    compute_metrics,
    ranking_metrics,
    ratio,
)
from src.report.run_files import scalars, to_strict_json

SEVEN = tuple("abcdefg")
COUNTS = {"n", "n_malignant", "selection_rate"}


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


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_classes", [2, 7])
def test_metrics_equal_scikit_learn(n_classes, seed, random_table):
    predictions = random_table(n_classes, seed=seed)
    labels, decisions = predictions.labels, predictions.decisions
    probabilities = predictions.probabilities
    target, decision = labels == 1, decisions == 1
    wanted = {
        "accuracy": sklearn.metrics.accuracy_score(labels, decisions),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(labels, decisions),
        "malignant_precision": sklearn.metrics.precision_score(target, decision),
        "malignant_recall": sklearn.metrics.recall_score(target, decision),
        "malignant_f1": sklearn.metrics.f1_score(target, decision),
        "specificity": sklearn.metrics.recall_score(target, decision, pos_label=0),
        "selection_rate": decision.mean(),
        "false_positive_rate": 1 - sklearn.metrics.recall_score(target, decision, pos_label=0),
        "false_negative_rate": 1 - sklearn.metrics.recall_score(target, decision),
        "auroc": sklearn.metrics.roc_auc_score(target, probabilities[:, 1]),
        "auprc": sklearn.metrics.average_precision_score(target, probabilities[:, 1]),
        "brier": sklearn.metrics.brier_score_loss(
            labels, probabilities if n_classes > 2 else probabilities[:, 1]
        ),
        "log_loss": sklearn.metrics.log_loss(labels, probabilities, labels=range(n_classes)),
        "cohen_kappa": sklearn.metrics.cohen_kappa_score(labels, decisions),
        "matthews": sklearn.metrics.matthews_corrcoef(labels, decisions),
    }
    for average in ("macro", "weighted") if n_classes > 2 else ():
        for name in ("precision", "recall", "f1"):
            score = getattr(sklearn.metrics, f"{name}_score")
            wanted[f"{name}_{average}"] = score(labels, decisions, average=average)
    if n_classes > 2:
        wanted["auroc_macro"] = sklearn.metrics.roc_auc_score(
            labels, probabilities, multi_class="ovr"
        )
    found = compute_metrics(predictions)
    assert {key: found[key] for key in wanted} == pytest.approx(wanted, rel=1e-6)
    assert (found["n"], found["n_malignant"]) == (len(labels), target.sum())
    counts = sklearn.metrics.confusion_matrix(labels, decisions)
    assert found["confusion_matrix"] == counts.tolist()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("positive", [0, 1])
def test_areas_equal_their_definitions(positive, ties, table):
    rng = np.random.default_rng(0)
    scores = rng.random(60)
    scores = scores.round(1) if ties else scores
    predictions = table(rng.integers(2, size=60), scores=scores, positive=positive)
    target = predictions.labels == positive
    scores = predictions.probabilities[:, positive]
    found = compute_metrics(predictions)
    assert found["auroc"] == pytest.approx(chance_of_ranking_right(target, scores))
    assert found["auprc"] == pytest.approx(area_of_steps(target, scores))


def test_seven_classes_judge_one_against_the_rest(random_table):
    predictions = random_table(7)
    labels, probabilities = predictions.labels, predictions.probabilities
    areas = [chance_of_ranking_right(labels == c, probabilities[:, c]) for c in range(7)]
    found = compute_metrics(predictions)
    assert found["auroc"] == pytest.approx(areas[1])
    assert found["auroc_macro"] == pytest.approx(np.mean(areas))


def test_macro_area_is_over_the_classes_that_occur(table):
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(7), size=40)
    predictions = table(np.arange(40) % 2 * 3, scores=scores, classes=SEVEN)
    areas = [chance_of_ranking_right(predictions.labels == c, scores[:, c]) for c in (0, 3)]
    assert compute_metrics(predictions)["auroc_macro"] == pytest.approx(np.mean(areas))


def test_balanced_accuracy_ignores_decided_classes_without_a_row(table):
    predictions = table([0, 0, 1, 1], decisions=[0, 6, 1, 1], classes=SEVEN)
    assert compute_metrics(predictions)["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2)


def test_values_by_hand(table):
    """3 of 4 melanomas found, 2 of 6 naevi taken for one."""
    labels = [1] * 4 + [0] * 6
    decisions = [1, 1, 1, 0, 1, 1, 0, 0, 0, 0]
    found = compute_metrics(table(labels, scores=[0.9] * 4 + [0.1] * 6, decisions=decisions))
    wanted = {
        "accuracy": 7 / 10,
        "balanced_accuracy": (3 / 4 + 4 / 6) / 2,
        "malignant_precision": 3 / 5,
        "malignant_recall": 3 / 4,
        "malignant_f1": 6 / 9,
        "specificity": 4 / 6,
        "selection_rate": 5 / 10,
        "auroc": 1.0,
        "auprc": 1.0,
        "log_loss": -math.log(0.9),
    }
    assert {key: found[key] for key in wanted} == pytest.approx(wanted)
    assert found["confusion_matrix"] == [[4, 2], [1, 3]]


SENSITIVITY = {"malignant_recall", "false_negative_rate", "malignant_f1"}
SPECIFICITY = {"specificity", "false_positive_rate"}
AREAS = {"auroc", "sensitivity_at_specificity", "specificity_at_sensitivity"}
AGREEMENT = {"cohen_kappa", "matthews"}


@pytest.mark.parametrize(
    ("labels", "decisions", "undefined"),
    [
        ([0, 0], [0, 1], SENSITIVITY | AREAS | {"auprc", "matthews"}),
        ([1, 1], [0, 1], SPECIFICITY | AREAS | {"matthews"}),
        ([0, 1], [0, 0], {"malignant_precision", "matthews"}),
        ([0, 0], [0, 0], SENSITIVITY | AREAS | AGREEMENT | {"malignant_precision", "auprc"}),
        ([0, 1], [1, 0], set()),
        ([], [], set(METRICS)),
    ],
    ids=["no positives", "no negatives", "no decisions", "nothing", "both", "empty"],
)
def test_undefined_is_nan_and_nothing_else_is(labels, decisions, undefined, table):
    found = compute_metrics(table(labels, decisions=decisions))
    assert {key for key, value in scalars(found).items() if math.isnan(value)} == undefined
    assert list(scalars(found)) == [*METRICS, "n", "n_malignant"]
    assert (found["n"], found["n_malignant"]) == (len(labels), sum(labels))
    assert np.sum(found["confusion_matrix"]) == len(labels)


@pytest.mark.parametrize("labels", [[], [2, 2, 2]])
def test_macro_area_without_two_classes_is_nan(labels, table):
    assert math.isnan(compute_metrics(table(labels, classes=SEVEN))["auroc_macro"])


def test_log_loss_of_a_sure_mistake_is_finite(table):
    found = compute_metrics(table([0, 1], scores=[1.0, 0.0]))
    assert found["log_loss"] == pytest.approx(-math.log(1e-15))


@pytest.mark.parametrize(("part", "whole", "wanted"), [(1, 4, 0.25), (0, 3, 0.0), (0, 0, math.nan)])
def test_ratio(part, whole, wanted):
    assert ratio(part, whole) == pytest.approx(wanted, nan_ok=True)


def test_monitored_names_are_what_evaluate_gives(random_table):
    """Of two classes all but averages over classes; the counts and their share pick no epoch."""
    given_by_seven = set(scalars(evaluate(random_table(7))))
    given_by_two = set(scalars(evaluate(random_table(2))))
    assert set(MONITORED) == given_by_seven - COUNTS | {"loss"}
    assert given_by_seven - given_by_two == set(MULTICLASS_METRICS)


def test_monitored_direction_is_that_of_a_better_classifier(random_table, table):
    """Certain and right is best in every metric, certain and wrong in none."""
    drawn = random_table(7)
    best = evaluate(table(drawn.labels, drawn.groups, classes=SEVEN))
    worse = evaluate(drawn)
    for name, higher_is_better in MONITORED.items():
        if name not in ("loss", "demographic_parity_difference"):
            assert (best[name] > worse[name]) == higher_is_better, name


def test_monitored_gaps_and_losses_are_better_when_small():
    lower = {name for name, higher in MONITORED.items() if not higher}
    assert lower == {
        "loss",
        "log_loss",
        "brier",
        "false_positive_rate",
        "false_negative_rate",
        "ece",
        "ece_equal_mass",
        "ece_malignant",
        "demographic_parity_difference",
        "equal_opportunity_difference",
    }


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
def test_metrics_of_anything_are_shares_or_nan(table, drawn):
    labels, groups, probabilities, decisions, positive = drawn
    classes = ("x", "y") if probabilities.shape[1] == 2 else SEVEN
    predictions = table(
        labels, groups, probabilities, decisions, positive=positive, classes=classes
    )
    found = evaluate(predictions)
    for part in (found, *found["groups"].values()):
        for name, value in scalars(part).items():
            if name in ("n", "n_malignant"):
                assert value >= 0
            elif name == "log_loss":
                assert math.isnan(value) or value >= 0
            elif name in AGREEMENT:
                assert math.isnan(value) or -1 <= value <= 1 + 1e-12
            elif name == "brier":
                assert math.isnan(value) or 0 <= value <= 2
            else:
                assert math.isnan(value) or 0 <= value <= 1 + 1e-12, name
    assert sum(part["n"] for part in found["groups"].values()) == len(labels)
    to_strict_json(found)


def test_counts_are_integers(table):
    found = compute_metrics(table([0, 1]))
    assert type(found["n"]) is int
    assert type(found["n_malignant"]) is int


@pytest.mark.parametrize("seed", range(4))
def test_rates_at_the_others_rate_are_the_best_of_all_thresholds(seed):
    rng = np.random.default_rng(seed)
    target, score = rng.random(50) < 0.4, rng.integers(12, size=50) / 12
    points = [(np.mean(score[target] >= t), np.mean(score[~target] < t)) for t in [*score, 2]]
    found = ranking_metrics(target, score)
    best = max(sensitivity for sensitivity, specificity in points if specificity >= 0.9)
    assert found["sensitivity_at_specificity"] == pytest.approx(best)
    best = max(specificity for sensitivity, specificity in points if sensitivity >= 0.9)
    assert found["specificity_at_sensitivity"] == pytest.approx(best)


def test_ten_negatives_allow_one_false_alarm():
    """90 % of 10 is 9, although 1 - 1 / 10 is a little less than 0.9 in floating point."""
    target = np.array([True] * 10 + [False] * 10)
    score = np.array([0.9] * 9 + [0.1] + [0.95] + [0.2] * 9)
    found = ranking_metrics(target, score)
    assert found["sensitivity_at_specificity"] == found["specificity_at_sensitivity"] == 0.9


@pytest.mark.parametrize("n_classes", [2, 7])
def test_class_metrics_equal_scikit_learn(n_classes, random_table):
    predictions = random_table(n_classes)
    labels, decisions = predictions.labels, predictions.decisions
    found = class_metrics(predictions)
    assert list(found) == list(predictions.classes)
    for c, values in enumerate(found.values()):
        score = predictions.probabilities[:, c]
        wanted = {
            "n": (labels == c).sum(),
            "precision": sklearn.metrics.precision_score(labels == c, decisions == c),
            "recall": sklearn.metrics.recall_score(labels == c, decisions == c),
            "f1": sklearn.metrics.f1_score(labels == c, decisions == c),
            "auroc": sklearn.metrics.roc_auc_score(labels == c, score),
            "auprc": sklearn.metrics.average_precision_score(labels == c, score),
        }
        assert values == pytest.approx(wanted)


def test_a_class_without_rows_has_no_figures_and_is_in_no_average(table):
    predictions = table([0, 0, 1, 1], decisions=[0, 6, 1, 1], classes=SEVEN)
    found = class_metrics(predictions)
    assert found["a"]["recall"] == 1 / 2
    assert all(math.isnan(found["g"][name]) for name in ("recall", "f1", "auroc"))
    assert found["g"]["precision"] == 0
    metrics = compute_metrics(predictions)
    assert metrics["f1_macro"] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics["precision_macro"] == 1


def test_only_decisions_known_leaves_what_needs_scores_undefined(table):
    predictions = table([0, 1, 1], scores=[[math.nan] * 2] * 3, decisions=[0, 1, 0])
    found = compute_metrics(predictions)
    undefined = {key for key, value in scalars(found).items() if math.isnan(value)}
    errors = {"ece", "ece_equal_mass", "ece_malignant", "brier", "log_loss"}
    assert undefined == AREAS | {"auprc"} | errors
    assert found["malignant_recall"] == 1 / 2
