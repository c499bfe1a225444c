"""An evaluation: figures with intervals against explicit loops, gaps against fairlearn."""

import json
import math

import numpy as np
import pytest
from fairlearn.metrics import (
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
)

from src.evaluation.fairness import subset
from src.evaluation.groupings import Grouping, crossed, tone_groups
from src.evaluation.judge import MOST_HARD_CASES, figure, hard_cases, judge
from src.evaluation.metrics import class_metrics, compute_metrics
from src.evaluation.power import exact_interval
from src.evaluation.sample import Settings, draw
from src.report.run_files import to_strict_json

SETTINGS = Settings(n_draws=100, min_group=1, n_bins=5)
FAIRLEARN = {
    "demographic_parity_difference": demographic_parity_difference,
    "demographic_parity_ratio": demographic_parity_ratio,
    "equal_opportunity_difference": equal_opportunity_difference,
    "equal_opportunity_ratio": equal_opportunity_ratio,
    "equalized_odds_difference": equalized_odds_difference,
    "equalized_odds_ratio": equalized_odds_ratio,
}


def judged(predictions, groupings=None, units=None, settings=SETTINGS) -> dict:
    units = np.arange(len(predictions.labels)) if units is None else units
    groupings = [tone_groups(predictions)] if groupings is None else groupings
    return judge(draw(predictions, units, settings), groupings, settings)


@pytest.mark.parametrize("n_classes", [2, 7])
def test_values_are_those_of_metrics_overall_and_in_each_group(n_classes, random_table):
    predictions = random_table(n_classes)
    found = judged(predictions)
    names = {**dict(enumerate(predictions.group_names)), -1: "unknown"}
    parts = {name: subset(predictions, predictions.groups == g) for g, name in names.items()}
    assert list(found["groups"]["skin tone"]) == list(parts)
    for part, rows in [
        (found["overall"], predictions),
        *((found["groups"]["skin tone"][name], rows) for name, rows in parts.items()),
    ]:
        wanted = compute_metrics(rows, SETTINGS.n_bins)
        assert (part["n"], part["n_malignant"]) == (wanted["n"], wanted["n_malignant"])
        assert part["confusion_matrix"] == wanted["confusion_matrix"]
        values = {name: found["value"] for name, found in part["metrics"].items()}
        assert values == {name: wanted[name] for name in values}
        assert {*wanted} - {*values} == {"n", "n_malignant", "confusion_matrix"}
    for name, wanted in class_metrics(predictions).items():
        part = found["overall"]["per_class"][name]
        assert part["n"] == wanted.pop("n")
        assert {key: part[key]["value"] for key in wanted} == wanted


def test_intervals_are_those_of_a_loop_over_the_draws(random_table):
    predictions = random_table(2, 60)
    units = np.arange(60) // 3
    sample = draw(predictions, units, SETTINGS)
    metrics = {"malignant_recall": [], "auroc": [], "brier": [], "cohen_kappa": []}
    for counts in sample.draws:
        rows = np.repeat(np.arange(60), counts[units].astype(int))
        drawn = compute_metrics(
            type(predictions)(
                names=[predictions.names[row] for row in rows],
                labels=predictions.labels[rows],
                groups=predictions.groups[rows],
                probabilities=predictions.probabilities[rows],
                decisions=predictions.decisions[rows],
                classes=predictions.classes,
                positive=predictions.positive,
                group_names=predictions.group_names,
            )
        )
        for name, values in metrics.items():
            values.append(drawn[name])
    found = judge(sample, [], SETTINGS)["overall"]["metrics"]
    for name, values in metrics.items():
        bounds = [found[name]["low"], found[name]["high"]]
        assert bounds == pytest.approx(np.quantile(values, [0.025, 0.975]), rel=1e-5), name


def test_the_same_seed_gives_the_same_intervals_and_another_one_others(random_table):
    predictions = random_table()
    texts = [
        to_strict_json(judged(predictions, settings=Settings(n_draws=100, seed=seed)))
        for seed in (0, 0, 1)
    ]
    assert texts[0] == texts[1] != texts[2]
    one, _, other = (json.loads(text)["overall"]["metrics"]["auroc"] for text in texts)
    assert one["value"] == other["value"]
    assert one["low"] != other["low"]


def test_a_rate_without_a_counterexample_has_an_exact_interval_by_units(table):
    """9 melanomas of 3 patients, all found: three patients say little."""
    predictions = table([1] * 9 + [0] * 8, decisions=[1] * 9 + [0] * 7 + [1])
    units = np.array([*np.repeat(np.arange(3), 3), *range(3, 11)])
    found = judged(predictions, units=units)["overall"]["metrics"]
    low, high = exact_interval(3, 3)
    assert found["malignant_recall"] == {"value": 1, "low": low, "high": high}
    low, high = exact_interval(0, 3)
    assert found["false_negative_rate"] == {"value": 0, "low": low, "high": high}
    assert 0.5 < found["specificity"]["low"] < found["specificity"]["high"] <= 1


def test_a_figure_that_no_draw_changes_has_no_interval(table):
    found = judged(table([1, 1, 0, 0], scores=[0.9, 0.8, 0.2, 0.1]))["overall"]["metrics"]
    assert found["auroc"]["value"] == 1
    assert math.isnan(found["auroc"]["low"]) and math.isnan(found["auroc"]["high"])


@pytest.mark.parametrize("value", [0.3, math.nan])
def test_draws_alike_of_an_inner_rate_give_no_interval(value):
    found = figure(value, np.full(10, value), 0.95, n_units=4)
    assert math.isnan(found["low"])


def test_gaps_are_those_of_fairlearn(random_table):
    predictions = random_table(2, 400)
    known = predictions.groups >= 0
    target, decision = predictions.labels[known] == 1, predictions.decisions[known] == 1
    found = judged(predictions)["gaps"]["skin tone"]["malignant"]
    for name, measure in FAIRLEARN.items():
        wanted = measure(target, decision, sensitive_features=predictions.groups[known])
        assert found[name]["value"] == pytest.approx(wanted), name


@pytest.mark.slow
def test_gaps_of_seven_classes_are_those_of_each_against_the_rest(random_table, table):
    predictions = random_table(7, 300)
    found = judged(predictions)["gaps"]["skin tone"]
    assert list(found) == list(predictions.classes)
    for c, name in enumerate(predictions.classes):
        alone = table(
            (predictions.labels == c).astype(int),
            predictions.groups,
            decisions=(predictions.decisions == c).astype(int),
        )
        wanted = judged(alone)["gaps"]["skin tone"]["malignant"]
        assert to_strict_json(found[name]) == to_strict_json(wanted)


# recalls 2/3, 1/1, none; false alarms 1/2, 1/2, 1/3
LABELS = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0]
GROUPS = [0, 0, 0, 0, 0, 1, 1, 1, 3, 3, 3]
DECISIONS = [1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0]


def test_gaps_by_hand_and_who_is_left_out(table):
    found = judged(table(LABELS, GROUPS, decisions=DECISIONS))["gaps"]["skin tone"]["malignant"]
    rate = found["rates"]["true_positive_rate"]
    assert rate["difference"]["value"] == pytest.approx(1 / 3)
    assert rate["ratio"]["value"] == pytest.approx(2 / 3)
    assert (rate["groups"], rate["left_out"]) == (["Very light", "Light"], ["Tan"])
    assert (rate["lowest"], rate["highest"]) == ("Very light", "Light")
    alarms = found["rates"]["false_positive_rate"]
    assert alarms["groups"] == ["Very light", "Light", "Tan"]
    assert alarms["difference"]["value"] == pytest.approx(1 / 6)
    assert found["equalized_odds_difference"]["value"] == pytest.approx(1 / 3)
    assert found["equalized_odds_ratio"]["value"] == pytest.approx(2 / 3)


def test_each_rate_counts_its_own_rows_against_the_least_number(table):
    """Three rows of Tan, none malignant: judged by false alarms, not by sensitivity."""
    settings = Settings(n_draws=100, min_group=3)
    predictions = table(LABELS, GROUPS, decisions=DECISIONS)
    rates = judged(predictions, settings=settings)["gaps"]["skin tone"]["malignant"]["rates"]
    assert rates["true_positive_rate"]["groups"] == ["Very light"]
    assert rates["true_positive_rate"]["left_out"] == ["Light", "Tan"]
    assert math.isnan(rates["true_positive_rate"]["difference"]["value"])
    assert rates["true_positive_rate"]["lowest"] == ""
    assert rates["false_positive_rate"]["groups"] == ["Tan"]
    assert rates["selection_rate"]["groups"] == ["Very light", "Light", "Tan"]


def test_perfect_classifier_has_no_gap_and_a_rate_of_nothing_no_ratio(table):
    found = judged(table([1, 0, 1, 0, 0, 0], [0, 0, 1, 1, 2, 2]))["gaps"]["skin tone"]["malignant"]
    assert found["equal_opportunity_difference"]["value"] == 0
    assert found["equalized_odds_difference"]["value"] == 0
    alarms = found["rates"]["false_positive_rate"]
    assert alarms["difference"]["value"] == 0
    assert math.isnan(alarms["ratio"]["value"])
    selection = found["demographic_parity_ratio"]
    assert selection["value"] == 0
    assert math.isnan(selection["low"])


def test_the_interval_of_equalized_odds_is_that_of_both_rates_at_once(random_table):
    found = judged(random_table(2, 400))["gaps"]["skin tone"]["malignant"]
    odds, rates = found["equalized_odds_difference"], found["rates"]
    single = [rates[r]["difference"] for r in ("true_positive_rate", "false_positive_rate")]
    reach = [figure["high"] - figure["value"] for figure in single]
    assert odds["high"] - odds["value"] >= max(reach)
    assert odds["value"] == max(figure["value"] for figure in single)
    assert odds["low"] <= max(figure["low"] for figure in single)


def test_errors_of_calibration_have_no_interval(random_table):
    found = judged(random_table(2, 100))["overall"]["metrics"]
    for name in ("ece", "ece_equal_mass", "ece_malignant"):
        assert found[name]["value"] > 0
        assert math.isnan(found[name]["low"]) and math.isnan(found[name]["high"])


def test_missed_ones_come_first_where_probabilities_are_unknown(table):
    labels, decisions = [0, 0, 1, 1], [1, 1, 0, 0]
    found = hard_cases(table(labels, scores=np.full((4, 2), np.nan), decisions=decisions))
    assert [case["label"] for case in found] == ["malignant"] * 2 + ["benign"] * 2


def test_several_attributes_and_their_intersection(random_table):
    predictions = random_table(2, 200)
    sex = Grouping("sex", np.arange(200) % 3 - 1, ("female", "male"))
    both = crossed(tone_groups(predictions), sex)
    found = judged(predictions, [tone_groups(predictions), sex, both])
    assert list(found["groups"]) == list(found["gaps"]) == ["skin tone", "sex", "skin tone × sex"]
    part = found["groups"]["skin tone × sex"]["Light × male"]
    rows = subset(predictions, (predictions.groups == 1) & (sex.codes == 1))
    assert part["metrics"]["auroc"]["value"] == compute_metrics(rows)["auroc"]
    assert sum(p["n"] for p in found["groups"]["sex"].values()) == 200


@pytest.mark.parametrize(
    ("labels", "groups"),
    [([], []), ([1], [0]), ([0, 0, 0], [0, 1, 1]), ([1, 1], [-1, -1]), ([1, 0], [2, 2])],
    ids=["no rows", "one row", "no positives", "no group", "one group"],
)
@pytest.mark.parametrize("known", [True, False], ids=["scores", "decisions only"])
def test_degenerate_tables_are_judged(labels, groups, known, table):
    scores = np.linspace(0.2, 0.8, len(labels)) if known else np.full((len(labels), 2), np.nan)
    decisions = np.zeros(len(labels), int)
    found = judged(table(labels, groups, scores=scores, decisions=decisions))
    read = json.loads(to_strict_json(found))
    assert read["overall"]["n"] == len(labels)
    n_in_bins = sum(b["n"] for b in read["calibration"]["positive"]["bins"])
    assert n_in_bins == (len(labels) if known else 0)
    for gap in read["gaps"]["skin tone"]["malignant"]["rates"].values():
        assert (gap["difference"]["value"] is None) == (len(gap["groups"]) < 2)


def test_hard_cases_are_the_surest_mistakes(table):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=80), rng.random(80)
    predictions = table(labels, rng.integers(-1, 4, size=80), scores)
    found = hard_cases(predictions)
    assert len(found) == MOST_HARD_CASES
    wrong = predictions.labels != predictions.decisions
    surest = np.sort(predictions.probabilities.max(axis=1)[wrong])[::-1]
    assert [case["probability"] for case in found] == surest[:MOST_HARD_CASES].tolist()
    for case in found:
        row = predictions.names.index(case["name"])
        assert case["label"] == predictions.classes[labels[row]] != case["decision"]
        group = predictions.groups[row]
        assert case["group"] == (predictions.group_names[group] if group >= 0 else "unknown")


def test_only_mistakes_are_hard_cases(table):
    assert hard_cases(table([0, 1, 1])) == []
    found = hard_cases(table([0, 1, 1], decisions=[0, 0, 1]))
    assert [(case["name"], case["decision"]) for case in found] == [("image_1.jpg", "benign")]


def test_notes_say_what_too_few_rows_and_missing_scores_leave_open(table):
    labels, groups = [1] * 12 + [0] * 12 + [1, 0], [0] * 24 + [3, -1]
    predictions = table(labels, groups, scores=np.full((26, 2), np.nan), decisions=labels)
    found = judged(predictions, settings=Settings(n_draws=100))
    text = " ".join([*found["notes"], *found["group_notes"]["skin tone"]])
    assert "Tan: 1 malignant image. Too few to judge" in text
    assert "1 of 26 images have no known skin tone." in text
    assert "Only decisions are known" in text
