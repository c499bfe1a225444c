"""What is found of rows: figures with intervals against explicit loops, hard cases, notes."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from src.core.files import to_strict_json
from src.evaluation.gaps import gap_estimates
from src.evaluation.groupings import Grouping, crossed, tone_groups
from src.evaluation.measure import compute_metrics
from src.evaluation.metrics import METRICS
from src.evaluation.power import exact_interval
from src.evaluation.results import (
    MOST_HARD_CASES,
    Settings,
    all_results,
    bootstrapped,
    figure,
    hard_cases,
    point_estimates,
    row_digests,
)
from tests.evaluation.scikit_learn import class_metrics_of

SETTINGS = Settings(n_resamples=100, min_group=1, n_bins=5)


def results_of(predictions, groupings=None, clusters=None, settings=SETTINGS) -> dict:
    images = np.arange(len(predictions.labels))
    w = bootstrapped(predictions, images if clusters is None else clusters, settings)
    groupings = [tone_groups(predictions)] if groupings is None else groupings
    return all_results(w, groupings, images, settings)


def test_values_are_those_of_metrics_overall_and_in_each_group(random_table):
    for n_classes in (2, 7):
        predictions = random_table(n_classes)
        found = results_of(predictions)
        names = {**dict(enumerate(predictions.group_names)), -1: "unknown"}
        parts = {name: predictions.where(predictions.groups == g) for g, name in names.items()}
        assert list(found["groups"]["skin tone"]) == list(parts)
        for part, rows in [
            (found["overall"], predictions),
            *((found["groups"]["skin tone"][name], rows) for name, rows in parts.items()),
        ]:
            wanted = compute_metrics(rows, SETTINGS.n_bins)
            values = {name: found["value"] for name, found in part["metrics"].items()}
            for name in ("n", "n_positive", "confusion_matrix"):
                assert part[name] == wanted.pop(name)
            assert values == pytest.approx(wanted, rel=1e-12)
        for name, wanted in class_metrics_of(predictions).items():
            part = found["overall"]["per_class"][name]
            assert part["n"] == wanted.pop("n")
            assert {key: part[key]["value"] for key in wanted} == pytest.approx(wanted)


@pytest.mark.slow
def test_intervals_are_those_of_a_loop_over_the_resamples(random_table):
    predictions = random_table(2, 60)
    clusters = np.arange(60) // 3
    w = bootstrapped(predictions, clusters, SETTINGS)
    metrics = {"sensitivity": [], "auroc": [], "brier": [], "cohen_kappa": []}
    for counts in w.weights:
        rows = np.repeat(np.arange(60), counts[clusters].astype(int))
        resample = compute_metrics(predictions.at(rows))
        for name, values in metrics.items():
            values.append(resample[name])
    found = all_results(w, [], np.arange(60), SETTINGS)["overall"]["metrics"]
    for name, values in metrics.items():
        bounds = [found[name]["low"], found[name]["high"]]
        assert bounds == pytest.approx(np.quantile(values, [0.025, 0.975]), rel=1e-5), name


def test_the_same_seed_gives_the_same_intervals_and_another_one_others(random_table):
    predictions = random_table()
    texts = [
        to_strict_json(results_of(predictions, settings=Settings(n_resamples=100, seed=seed)))
        for seed in (0, 0, 1)
    ]
    assert texts[0] == texts[1] != texts[2]
    one, _, other = (json.loads(text)["overall"]["metrics"]["auroc"] for text in texts)
    assert one["value"] == other["value"]
    assert one["low"] != other["low"]


def test_a_rate_without_a_counterexample_has_an_exact_interval_by_clusters(table):
    """9 melanomas of 3 patients, all found: three patients say little."""
    predictions = table([1] * 9 + [0] * 8, decisions=[1] * 9 + [0] * 7 + [1])
    clusters = np.array([*np.repeat(np.arange(3), 3), *range(3, 11)])
    found = results_of(predictions, clusters=clusters)["overall"]["metrics"]
    low, high = exact_interval(3, 3)
    assert found["sensitivity"] == {"value": 1, "low": low, "high": high}
    low, high = exact_interval(0, 3)
    assert found["false_negative_rate"] == {"value": 0, "low": low, "high": high}
    assert 0.5 < found["specificity"]["low"] < found["specificity"]["high"] <= 1


def test_a_figure_that_no_resample_changes_has_no_interval(table):
    found = results_of(table([1, 1, 0, 0], scores=[0.9, 0.8, 0.2, 0.1]))["overall"]["metrics"]
    assert found["auroc"]["value"] == 1
    assert math.isnan(found["auroc"]["low"]) and math.isnan(found["auroc"]["high"])


def test_resamples_alike_of_an_inner_rate_give_no_interval():
    for value in (0.3, math.nan):
        assert math.isnan(figure(value, np.full(10, value), 0.95, n_clusters=4)["low"])


def test_errors_of_calibration_have_no_interval(random_table):
    found = results_of(random_table(2, 100))["overall"]["metrics"]
    for name in (name for name, row in METRICS.items() if not row.has_interval):
        assert found[name]["value"] > 0
        assert math.isnan(found[name]["low"]) and math.isnan(found[name]["high"])


def cases_of(predictions) -> list[dict]:
    return hard_cases(predictions, np.arange(len(predictions.labels)))


def test_missed_positive_rows_come_first(table):
    labels, decisions = [0, 0, 1, 1], [1, 1, 0, 0]
    for scores in ([0.99, 0.9, 0.3, 0.1], np.full((4, 2), np.nan)):
        found = cases_of(table(labels, scores=scores, decisions=decisions))
        assert [case["label"] for case in found] == ["malignant"] * 2 + ["benign"] * 2
    found = cases_of(table(labels, scores=[0.99, 0.9, 0.3, 0.1], decisions=decisions))
    assert [case["probability"] for case in found] == pytest.approx([0.9, 0.7, 0.99, 0.9])


def test_a_lesion_is_shown_once(table):
    predictions = table([1, 1, 0, 1], scores=[0.1, 0.4, 0.8, 0.3])
    found = hard_cases(predictions, np.array([0, 0, 1, 2]))
    assert [case["name"] for case in found] == ["image_0.jpg", "image_3.jpg", "image_2.jpg"]


def test_several_attributes_and_their_intersection(random_table):
    predictions = random_table(2, 200)
    sex = Grouping("sex", np.arange(200) % 3 - 1, ("female", "male"))
    both = crossed(tone_groups(predictions), sex)
    found = results_of(predictions, [tone_groups(predictions), sex, both])
    assert list(found["groups"]) == list(found["gaps"]) == ["skin tone", "sex", "skin tone × sex"]
    part = found["groups"]["skin tone × sex"]["Light × male"]
    rows = predictions.where((predictions.groups == 1) & (sex.codes == 1))
    assert part["metrics"]["auroc"]["value"] == compute_metrics(rows)["auroc"]
    assert sum(p["n"] for p in found["groups"]["sex"].values()) == 200


def test_degenerate_tables_are_evaluated(table):
    for labels, groups in (
        ([], []),
        ([1], [0]),
        ([0, 0, 0], [0, 1, 1]),
        ([1, 1], [-1, -1]),
        ([1, 0], [2, 2]),
    ):
        scores = np.linspace(0.2, 0.8, len(labels))
        for known in (scores, np.full((len(labels), 2), np.nan)):
            decisions = np.zeros(len(labels), int)
            predictions = table(labels, groups, scores=known, decisions=decisions)
            read = json.loads(to_strict_json(results_of(predictions)))
            assert read["overall"]["n"] == len(labels)
            n_in_bins = sum(b["n"] for b in read["calibration"]["positive"]["bins"])
            assert n_in_bins == (len(labels) if known is scores else 0)
            for gap in read["gaps"]["skin tone"]["malignant"]["rates"].values():
                assert (gap["difference"]["value"] is None) == (len(gap["groups"]) < 2)


def test_hard_cases_are_the_most_confident_mistakes_of_each_kind(table):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=30), rng.random(30)
    predictions = table(labels, rng.integers(-1, 4, size=30), scores)
    found = cases_of(predictions)
    assert len(found) == MOST_HARD_CASES
    wrong = predictions.labels != predictions.decisions
    confidence = predictions.probabilities.max(axis=1)
    wanted = [np.sort(confidence[wrong & (labels == label)])[::-1] for label in (1, 0)]
    assert [case["probability"] for case in found] == np.concatenate(wanted)[:12].tolist()
    for case in found:
        row = predictions.names.index(case["name"])
        assert case["label"] == predictions.classes[labels[row]] != case["decision"]
        group = predictions.groups[row]
        assert case["group"] == (predictions.group_names[group] if group >= 0 else "unknown")


def test_only_mistakes_are_hard_cases(table):
    assert cases_of(table([0, 1, 1])) == []
    found = cases_of(table([0, 1, 1], decisions=[0, 0, 1]))
    assert [(case["name"], case["decision"]) for case in found] == [("image_1.jpg", "benign")]


def test_notes_say_what_too_few_rows_and_missing_scores_leave_open(table):
    labels, groups = [1] * 12 + [0] * 12 + [1, 0], [0] * 24 + [3, -1]
    predictions = table(labels, groups, scores=np.full((26, 2), np.nan), decisions=labels)
    found = results_of(predictions, settings=Settings(n_resamples=100))
    first, unknown = found["group_notes"]["skin tone"]
    assert first.startswith("Tan and darker: 1 malignant image.")
    assert unknown.startswith("1 of 26 images")
    assert len(found["notes"]) == 1
    labels = [row.label for row in METRICS.values() if row.needs == "probabilities"]
    assert all(label in found["notes"][0] for label in labels if "mean of" not in label)


def test_gaps_of_groups_of_one_or_two_images_are_undefined_wherever_they_are_told(table):
    """In the figures of each epoch, which the trainer logs and monitors, as in an evaluation."""
    labels, groups = [0, 1] * 20, [0] * 37 + [1, 2, 2]
    predictions = table(labels, groups, decisions=[0] * 37 + [1, 1, 1])
    found = point_estimates(predictions)
    gaps = results_of(predictions, settings=Settings(n_resamples=100))["gaps"]["skin tone"]
    for name in ("demographic_parity", "equal_opportunity", "equalized_odds"):
        assert math.isnan(found[f"{name}_difference"])
        assert math.isnan(gaps["malignant"][f"{name}_difference"]["value"])


def test_digests_are_of_what_is_evaluated_and_not_of_its_order(random_table):
    predictions = random_table()
    digests = row_digests(predictions, "test")
    order = np.random.default_rng(0).permutation(len(predictions.labels))
    other = replace(predictions.at(order), probabilities=np.zeros((len(order), 2)))
    flipped = replace(
        other,
        names=[f"folder/{name.removesuffix('.jpg')}" for name in other.names],
        labels=1 - other.labels,
        classes=other.classes[::-1],
        positive=1 - other.positive,
    )
    assert row_digests(other, "test") == row_digests(flipped, "test") == digests
    former = replace(predictions, group_names=("Very light", "Light", "Intermediate", "Tan"))
    assert row_digests(former, "test") == digests, "as runs of earlier versions name the groups"
    fewer = predictions.at(np.arange(150))
    relabelled = replace(predictions, labels=1 - predictions.labels)
    positive = replace(predictions, positive=0)
    for changed, split in ((fewer, "test"), (relabelled, "test"), (positive, "test"), (other, "")):
        found = row_digests(changed, split)
        assert all(found[name] != digests[name] for name in digests)
    moved = replace(predictions, groups=np.roll(predictions.groups, 1))
    for found in (row_digests(moved, "test"), row_digests(predictions, "test", min_group=3)):
        assert found["rows_digest"] == digests["rows_digest"]
        assert found["groups_digest"] != digests["groups_digest"]


def test_point_estimates_are_metrics_gaps_and_the_metrics_of_each_tone(random_table):
    predictions = random_table(2, 400)
    found, results = point_estimates(predictions), results_of(predictions, settings=Settings())
    gaps = results["gaps"]["skin tone"]["malignant"]
    for name, value in gap_estimates(predictions, Settings().min_group).items():
        assert found[name] == value
        if name.endswith("difference"):
            assert value == gaps[name]["value"]
    assert found["equal_opportunity_groups"] == gaps["rates"]["sensitivity"]["groups"]
    for name, part in results["groups"]["skin tone"].items():
        values = {metric: figure["value"] for metric, figure in part["metrics"].items()}
        assert {metric: found["groups"][name][metric] for metric in values} == values
