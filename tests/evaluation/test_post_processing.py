"""Temperatures and thresholds: fitted on validation rows alone, and what they cost."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, recall_score

from src.core.errors import UserError
from src.core.files import to_strict_json
from src.evaluation.calibration import fit_temperature, reliability, scaled, top_label
from src.evaluation.evaluate import EvaluatedModel, Fits, evaluate_model, fitted
from src.evaluation.post_processing import calibrate, decide_by_group, decide_by_rule
from src.evaluation.results import Settings
from src.evaluation.thresholds import THRESHOLDS, choose_threshold

BY_GROUP = "temperature(by='group')"
RULES = {"fixed": "fixed(value=0.3)", "sensitivity": "sensitivity(least=0.8)"}


def draw(table, n_classes=2, n_rows=300, seed=0, positive=1):
    """A table whose probabilities say something of the labels, too surely; groups -1 to 3."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n_rows)
    logits = 3 * rng.normal(size=(n_rows, n_classes)) + 3 * np.eye(n_classes)[labels]
    odds = np.exp(logits)
    groups = rng.choice([-1, 0, 1, 2, 3], size=n_rows, p=[0.1, 0.4, 0.3, 0.17, 0.03])
    classes = ("benign", "malignant") if n_classes == 2 else tuple("abcdefg")
    scores = odds / odds.sum(axis=1, keepdims=True)
    return table(labels, groups, scores, classes=classes, positive=positive)


@pytest.fixture(params=[(2, 1), (2, 0), (7, 4)], ids=["two", "positive first", "seven"])
def pair(request, table):
    """(rows to evaluate, validation rows)"""
    n_classes, positive = request.param
    return tuple(draw(table, n_classes, seed=seed, positive=positive) for seed in (1, 2))


def spoiled(predictions):
    """The same rows with other labels."""
    rng = np.random.default_rng(9)
    return replace(predictions, labels=rng.permutation(predictions.labels))


def case(predictions, rows=slice(None)):
    """(is positive, the probability of it) of some rows."""
    positive = predictions.positive
    return (predictions.labels == positive)[rows], predictions.probabilities[rows, positive]


@pytest.mark.parametrize("rule", ["temperature", BY_GROUP])
def test_temperatures_know_nothing_of_the_evaluated_labels(pair, rule):
    evaluated, valid = pair
    one, _, found = calibrate(evaluated, valid, rule, 10, 15)
    other, _, blind = calibrate(spoiled(evaluated), valid, rule, 10, 15)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    for key in ("rule", "n_fitted", "value", "groups"):
        assert found[key] == blind[key]
    assert found["before"] != blind["before"], "these are of the evaluated rows"
    _, _, moved = calibrate(evaluated, spoiled(valid), rule, 10, 15)
    assert moved["value"] != found["value"]


@pytest.mark.parametrize("name", THRESHOLDS.names())
def test_thresholds_know_nothing_of_the_evaluated_labels(pair, name):
    evaluated, valid = pair
    rule = RULES.get(name, name)
    for decide in (decide_by_rule, lambda *given: decide_by_group(*given, 10)):
        one, found = decide(evaluated, valid, rule)
        other, blind = decide(spoiled(evaluated), valid, rule)
        np.testing.assert_array_equal(one.decisions, other.decisions)
        assert {**found, "cost": 0} == {**blind, "cost": 0}
        assert found["n_fitted"] == len(valid.labels)
        assert found["value"] == choose_threshold(rule, *case(valid))


def test_one_temperature_is_that_of_all_validation_rows(pair):
    evaluated, valid = pair
    cooled, cooled_valid, found = calibrate(evaluated, valid, "temperature", 10, 15)
    value = fit_temperature(valid.labels, valid.probabilities)
    assert found["value"] == value > 1.5
    assert found["groups"] == {}
    np.testing.assert_array_equal(cooled.probabilities, scaled(evaluated.probabilities, value))
    np.testing.assert_array_equal(cooled_valid.probabilities, scaled(valid.probabilities, value))
    np.testing.assert_array_equal(cooled.decisions, evaluated.decisions)


def test_what_a_temperature_did_is_measured_on_the_evaluated_rows(pair):
    evaluated, valid = pair
    cooled, _, found = calibrate(evaluated, valid, "temperature", 10, 7)
    for table, said in ((evaluated, found["before"]), (cooled, found["after"])):
        case = top_label(table.labels, table.probabilities)
        assert said["ece"] == reliability(*case, np.linspace(0, 1, 8)).ece
        indices = range(len(table.classes))
        wanted = log_loss(table.labels, table.probabilities, labels=indices)
        assert said["log_loss"] == pytest.approx(wanted, rel=1e-9)
    assert found["after"]["log_loss"] < found["before"]["log_loss"]


def test_each_group_has_its_temperature_small_and_unknown_ones_that_of_all(pair):
    evaluated, valid = pair
    cooled, _, found = calibrate(evaluated, valid, BY_GROUP, 20, 15)
    whole = fit_temperature(valid.labels, valid.probabilities)
    for group, name in enumerate(valid.group_names):
        rows = valid.groups == group
        own = fit_temperature(valid.labels[rows], valid.probabilities[rows])
        assert found["groups"][name] == (own if rows.sum() >= 20 else whole)
        mine = evaluated.groups == group
        expected = scaled(evaluated.probabilities[mine], found["groups"][name])
        np.testing.assert_allclose(cooled.probabilities[mine], expected, rtol=1e-12)
    assert found["groups"]["Tan and darker"] == whole, "fewer than 20 rows"
    assert len({*found["groups"].values()}) == 4
    unknown = evaluated.groups == -1
    expected = scaled(evaluated.probabilities[unknown], whole)
    np.testing.assert_allclose(cooled.probabilities[unknown], expected, rtol=1e-12)


def test_one_threshold_decides_all_rows(pair):
    evaluated, valid = pair
    decided, found = decide_by_rule(evaluated, valid, "youden")
    positive = evaluated.positive
    for probabilities, decision in zip(evaluated.probabilities, decided.decisions, strict=True):
        others = [c for c in range(len(probabilities)) if c != positive]
        likeliest = max(others, key=lambda c: probabilities[c])
        said = positive if probabilities[positive] >= found["value"] else likeliest
        assert decision == said
    assert found["groups"] == found["cost"] == {}
    np.testing.assert_array_equal(decided.probabilities, evaluated.probabilities)


def test_each_group_has_its_threshold_small_and_unknown_ones_that_of_all(pair):
    evaluated, valid = pair
    n_positive = [((valid.labels == valid.positive) & (valid.groups == g)).sum() for g in range(4)]
    least = int(max(n_positive[3], 1)) + 1
    decided, found = decide_by_group(evaluated, valid, "youden", least)
    whole, positive = choose_threshold("youden", *case(valid)), evaluated.positive
    assert found["groups"]["Tan and darker"] == found["value"] == whole
    for group, name in [*enumerate(valid.group_names), (-1, "unknown")]:
        rows = valid.groups == group
        counts = np.bincount(case(valid, rows)[0], minlength=2)
        enough = group >= 0 and counts.min() >= least
        threshold = choose_threshold("youden", *case(valid, rows)) if enough else whole
        assert found["groups"].get(name, whole) == threshold
        mine = evaluated.groups == group
        above = evaluated.probabilities[mine, positive] >= threshold
        np.testing.assert_array_equal(decided.decisions[mine] == positive, above)


def test_the_cost_is_that_of_the_evaluated_rows_at_both_kinds_of_threshold(pair):
    evaluated, valid = pair
    decided, found = decide_by_group(evaluated, valid, "sensitivity(least=0.95)", 5)
    single, _ = decide_by_rule(evaluated, valid, "sensitivity(least=0.95)")
    assert found["cost"]["one_threshold"] != found["cost"]["by_group"]
    for table, cost in ((single, "one_threshold"), (decided, "by_group")):
        assert found["cost"][cost] == pytest.approx(cost_by_hand(table, 5), abs=1e-12)


def cost_by_hand(predictions, least):
    target = predictions.labels == predictions.positive
    decision = predictions.decisions == predictions.positive
    gaps = []
    for kind in (target, ~target):
        rates = []
        for group in range(4):
            rows = kind & (predictions.groups == group)
            if rows.sum() >= least:
                rates.append(decision[rows].mean())
        assert len(rates) > 1
        gaps.append(max(rates) - min(rates))
    return {
        "sensitivity": recall_score(target, decision),
        "specificity": recall_score(~target, ~decision),
        "balanced_accuracy": balanced_accuracy_score(predictions.labels, predictions.decisions),
        "f1": f1_score(target, decision),
        "selection_rate": decision.mean(),
        "equal_opportunity_difference": gaps[0],
        "equalized_odds_difference": max(gaps),
    }


def test_gaps_of_one_group_cost_nothing_that_could_be_known(table):
    evaluated = replace(draw(table), groups=np.zeros(300, int))
    _, found = decide_by_group(evaluated, draw(table, seed=3), "max_f1", 10)
    for figures in found["cost"].values():
        assert np.isnan(figures["equal_opportunity_difference"])
        assert np.isnan(figures["equalized_odds_difference"])
        assert 0 <= figures["sensitivity"] <= 1


def test_decisions_alone_are_refused(table):
    known = draw(table)
    blind = replace(known, probabilities=np.full((300, 2), np.nan))
    for evaluated, valid in ((blind, known), (known, blind), (blind, blind)):
        for fit in (
            lambda *given: calibrate(*given, "temperature", 10, 15),
            lambda *given: calibrate(*given, BY_GROUP, 10, 15),
            lambda *given: decide_by_rule(*given, "youden"),
            lambda *given: decide_by_group(*given, "youden", 10),
        ):
            with pytest.raises(UserError, match="probabilit") as error:
                fit(evaluated, valid)
            assert "\n" not in str(error.value)


def model(predictions, valid):
    images = np.arange(len(predictions.labels))
    return EvaluatedModel("predictions CSV", "a.csv", "a", "a", predictions, images, "image", valid)


def test_the_threshold_is_found_at_the_temperature(pair):
    evaluated, valid = pair
    fits = Fits("temperature", "youden")
    after, found = fitted(model(evaluated, valid), fits, Settings())
    cooled, cooled_valid, temperature = calibrate(evaluated, valid, "temperature", 10, 15)
    decided, threshold = decide_by_rule(cooled, cooled_valid, "youden")
    wanted = {"temperature": temperature, "threshold": threshold}
    assert to_strict_json(found) == to_strict_json(wanted)  # empty bins hold NaN
    np.testing.assert_array_equal(after.predictions.probabilities, cooled.probabilities)
    np.testing.assert_array_equal(after.predictions.decisions, decided.decisions)


def test_fits_need_validation_rows(table):
    for fits in (Fits("temperature"), Fits("", "youden"), Fits("", "max_f1", True)):
        for valid in (None, table([], scores=np.zeros((0, 2)))):
            flag = "--calibration" if fits.calibration else "--threshold"
            with pytest.raises(UserError, match=f"^{flag}: "):
                fitted(model(draw(table), valid), fits, Settings())


def test_nothing_is_fitted_unless_it_is_asked_for(table):
    evaluated = draw(table)
    same, found = fitted(model(evaluated, draw(table, seed=3)), Fits(), Settings())
    assert same.predictions is evaluated
    assert found == {"temperature": None, "threshold": None}


def test_what_a_fit_leaves_open_is_a_note_and_nothing_else_is(table):
    """A temperature at its limit, an error that grew, a group whose threshold was never fitted."""

    def notes(fits, valid, evaluated):
        clusters = np.arange(len(evaluated.labels))
        model = EvaluatedModel("", "a", "", "", evaluated, clusters, "image", valid)
        return evaluate_model(model, [], Settings(n_resamples=100), fits)[1]["notes"]

    evaluated = draw(table, n_rows=400, seed=1)
    valid = draw(table, n_rows=400, seed=2)
    everything = Fits("temperature", "youden")
    assert notes(everything, valid, evaluated) == []
    blind = replace(valid, probabilities=1 - valid.probabilities)
    limit, grew = notes(Fits("temperature"), blind, evaluated)
    assert "at its limit (20 for all images)" in limit and "larger" in grew
    absent = replace(valid, groups=np.where(valid.groups == 2, 0, valid.groups))
    one_class = replace(valid, labels=np.where(valid.groups == 2, 0, valid.labels))
    for rows in (absent, one_class):
        for fits in (Fits(threshold="youden", group_thresholds=True), Fits(BY_GROUP)):
            (note,) = notes(fits, rows, evaluated)
            names = "Intermediate, Tan and darker" if fits.threshold else "Intermediate"
            assert f"fitted for {names} (fewer than 10" in note
            assert ("threshold" if fits.threshold else "temperature") in note
    fixed = Fits(threshold="fixed(value=0.4)", group_thresholds=True)
    assert notes(fixed, absent, evaluated) == []
