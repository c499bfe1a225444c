"""All files of an evaluation, which say the same."""

import re

import cv2
import pandas as pd
import pytest

from src.core.errors import UserError
from src.evaluation.measure import compute_metrics
from src.evaluation.results import point_estimates
from src.evaluator.predictions_csv import read_predictions
from src.scripts import melanoma_eval
from tests.evaluator.readings import read_events, same, strict_json, values

pytestmark = pytest.mark.slow

FIGURES = "confusion_matrix roc_curves pr_curves per_class_metrics calibration_curve"
FIGURES += " fairness_by_group hard_cases roc_by_group"
TEXTS = {"evaluation_metrics.json", "metrics_by_group.csv", "predictions.csv", "report.html"}
TEXTS |= {"table.md", "table.tex"}


def test_all_files_are_there(full):
    folder, _ = full
    figures = {f"{name}.png" for name in FIGURES.split()}
    assert {path.name for path in folder.iterdir()} == {*TEXTS, *figures, "logs"}
    for name in figures:
        image = cv2.imread(str(folder / name))
        assert min(image.shape[:2]) > 100 and image.std() > 5, name
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") >= len(figures)
    assert "Not a medical device" in page and "test.csv" in page


def test_the_table_by_group_says_what_the_json_says(full):
    folder, evaluation = full
    lines = pd.read_csv(folder / "metrics_by_group.csv").set_index(["attribute", "group"])
    parts = {("all", "all"): evaluation["overall"]}
    for attribute, levels in evaluation["groups"].items():
        parts |= {(attribute, level): part for level, part in levels.items()}
    assert lines.index.tolist() == [*parts]
    for place, part in parts.items():
        line = lines.loc[place]
        assert [line["n"], line["n_positive"], line["n_clusters"]] == [
            part[name] for name in ("n", "n_positive", "n_clusters")
        ]
        for name, figure in part["metrics"].items():
            for key, column in (("value", ""), ("low", "_low"), ("high", "_high")):
                assert same(figure[key], line[name + column]), (place, name, key)


def test_the_predictions_written_are_those_evaluated(full):
    folder, evaluation = full
    metrics = compute_metrics(read_predictions(folder / "predictions.csv", None))
    for name, value in values(evaluation["overall"]).items():
        assert same(value, metrics[name]), name


def test_the_events_hold_each_metric_and_figure(full):
    folder, evaluation = full
    events = read_events(folder / "logs")
    parts = {"all/all": evaluation["overall"]}
    for attribute, levels in evaluation["groups"].items():
        parts |= {f"{attribute}/{level}": part for level, part in levels.items()}
    for place, part in parts.items():
        for name, value in values(part).items():
            words = f"{place}/{name}".replace("<", "below ").replace("≥", "from ")
            words = words.replace("×", "and ")
            tag = re.sub(r"[^-/\w.]", "_", words)  # as TensorBoard has it
            assert (tag in events) == (value is not None)
            assert value is None or events[tag].simple_value == pytest.approx(value)
    gap = evaluation["gaps"]["sex"]["malignant"]["demographic_parity_difference"]["value"]
    assert events["sex/demographic_parity_difference"].simple_value == pytest.approx(gap)
    for name in FIGURES.split():
        assert events[name].image.encoded_image_string.startswith(b"\x89PNG")


def test_bands_around_one_edge_have_tags_of_their_own(evaluate, base):
    folder, evaluation = evaluate(*base, "--group_by", "age_approx:30")
    events = read_events(folder / "logs")
    for word, level in (("below", "<30"), ("from", "≥30")):
        found = evaluation["groups"]["age_approx"][level]["metrics"]["accuracy"]["value"]
        tag = f"age_approx/{word}_30/accuracy"
        assert events[tag].simple_value == pytest.approx(found)


def test_a_second_evaluation_replaces_nothing(drawn, base, tmp_path):
    """Another threshold, the same name: a folder of its own, or a refusal before any work."""
    flags = [*map(str, base), "--n_resamples", "100", "--output_dir", str(tmp_path)]
    for threshold in ("0.5", "0.2"):
        melanoma_eval.main([*flags, "--threshold", f"fixed(value={threshold})"])
    name = f"{drawn.name}_test_eval"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}_2"]
    values = [
        strict_json(tmp_path / folder / "evaluation_metrics.json")["threshold"]["value"]
        for folder in (name, f"{name}_2")
    ]
    assert values == [0.5, 0.2]
    with pytest.raises(UserError, match=f"--run_name {name}"):
        melanoma_eval.main([*flags, "--run_name", name])


def test_a_metric_of_the_table_is_known_or_the_nearest_is_named(base, tmp_path):
    flags = [*map(str, base), "--output_dir", str(tmp_path), "--table_metrics", "f1", "aurocc"]
    with pytest.raises(UserError, match=r"--table_metrics aurocc.*'auroc'"):
        melanoma_eval.main(flags)


def test_the_table_for_a_paper_has_the_metrics_that_are_chosen(evaluate, base):
    folder, evaluation = evaluate(*base, "--table_metrics", "cohen_kappa", "f1")
    figure = evaluation["overall"]["metrics"]["f1"]
    told = "{value:.3f} ({low:.3f}–{high:.3f})".format(**figure)
    markdown = (folder / "table.md").read_text("utf-8")
    assert told in markdown and "Cohen's κ (95 % CI) | F1 (95 % CI) |" in markdown
    assert told.replace("–", "--") in (folder / "table.tex").read_text("utf-8")


def test_an_evaluation_is_what_fairness_measures(evaluate, base):
    folder, evaluation = evaluate(*base, "--min_group", "1")
    wanted = point_estimates(read_predictions(folder / "predictions.csv", None))
    assert evaluation["overall"]["n"] == wanted["n"] == 150
    parts = {"all": (evaluation["overall"], wanted)}
    tones = evaluation["groups"]["skin tone"]
    assert list(tones) == list(wanted["groups"])
    parts |= {level: (part, wanted["groups"][level]) for level, part in tones.items()}
    for level, (part, metrics) in parts.items():
        assert part["confusion_matrix"] == metrics["confusion_matrix"]
        for name, value in values(part).items():
            assert same(value, metrics[name]), (level, name)
    gaps = evaluation["gaps"]["skin tone"]["malignant"]
    for name in ("demographic_parity_difference", "equal_opportunity_difference"):
        assert gaps[name]["value"] == pytest.approx(wanted[name]) and gaps[name]["value"] > 0
    evaluated = gaps["rates"]["sensitivity"]["groups"]
    assert evaluated == wanted["equal_opportunity_groups"]
