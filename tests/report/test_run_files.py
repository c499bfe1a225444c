"""The files of an evaluation: strict JSON, a CSV by group, a figure, a few lines of text."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from src.evaluation.fairness import evaluate
from src.report.run_figure import UNKNOWN_COLOR
from src.report.run_files import by_group_frame, scalars, summary, to_strict_json, write_report


def refuse(text: str):
    raise ValueError(f"{text} is no JSON")


def test_undefined_numbers_are_null_at_any_depth():
    value = {"a": float("nan"), "b": [float("inf"), {"c": (-float("inf"), 1.5)}], "d": 0}
    text = to_strict_json(value, indent=2)
    assert json.loads(text, parse_constant=refuse) == {
        "a": None,
        "b": [None, {"c": [None, 1.5]}],
        "d": 0,
    }


def test_json_keeps_every_digit_and_letter():
    value = {"naïve": 0.1 + 0.2, "n": 10**12, "flag": True, "none": None}
    text = to_strict_json(value)
    assert "naïve" in text
    assert json.loads(text) == value


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], [], [0, 1]])
def test_metrics_of_any_table_are_strict_json(labels, table):
    metrics = evaluate(table(labels))
    read = json.loads(to_strict_json(metrics), parse_constant=refuse)
    assert read["n"] == len(labels)
    assert read.keys() == metrics.keys()


@pytest.mark.parametrize("n_classes", [2, 7])
def test_report_writes_its_three_files_and_no_other(n_classes, random_table, tmp_path):
    predictions = random_table(n_classes)
    write_report(tmp_path, "valid", predictions, evaluate(predictions))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "by_group_valid.png",
        "metrics_by_group_valid.csv",
        "predictions_valid.csv",
    ]
    assert len(pd.read_csv(tmp_path / "predictions_valid.csv")) == len(predictions.labels)


def test_metrics_by_group_has_a_line_for_each_and_a_column_for_each_number(random_table, tmp_path):
    predictions = random_table()
    metrics = evaluate(predictions)
    write_report(tmp_path, "test", predictions, metrics)
    frame = pd.read_csv(tmp_path / "metrics_by_group_test.csv")
    lines = {"all": metrics, **metrics["groups"]}
    assert frame["group"].tolist() == list(lines)
    assert list(frame.columns) == ["group", *scalars(metrics)]
    for _, line in frame.iterrows():
        wanted = scalars(lines[line["group"]])
        assert {key: line[key] for key in wanted} == pytest.approx(wanted)
    gap = frame.set_index("group")["demographic_parity_difference"]
    assert gap.notna().tolist() == [True] + [False] * 5


def test_scalars_leave_lists_and_groups_out(random_table):
    metrics = evaluate(random_table())
    left_out = {"confusion_matrix", "groups", "equal_opportunity_groups"}
    assert metrics.keys() - scalars(metrics).keys() == left_out


PICTURED = {
    "all groups": ([0, 1] * 10, np.arange(20) // 5),
    "a group without positives": ([0, 1, 0, 1, 0, 0], [0, 0, 1, 1, 3, 3]),
    "no positives at all": ([0, 0, 0, 0], [0, 0, 1, 1]),
    "no negatives": ([1, 1], [0, 1]),
    "unknown only": ([0, 1], [-1, -1]),
    "no rows": ([], []),
}


@pytest.mark.parametrize("case", PICTURED)
def test_figure_is_a_readable_image(case, table, tmp_path):
    labels, groups = PICTURED[case]
    scores = np.linspace(0.9, 0.1, len(labels))
    predictions = table(labels, groups, scores)
    write_report(tmp_path, "valid", predictions, evaluate(predictions))
    image = cv2.imread(str(tmp_path / "by_group_valid.png"))
    height, width, _ = image.shape
    assert 800 < width < 3000
    assert 0.3 < height / width < 0.7
    assert 0 < (image < 128).any(axis=2).mean() < 0.5


@pytest.mark.parametrize("group_names", [("A", "B"), ("A", "B", "C", "D", "E", "F")], ids=len)
def test_only_rows_of_unknown_group_are_grey(group_names, table, tmp_path, monkeypatch):
    """The curves' colours, whatever the number of groups."""
    drawn = {}

    def remember(figure, *args, **kwargs):
        lines = figure.axes[0].get_legend_handles_labels()
        drawn.update({text: line.get_color() for line, text in zip(*lines, strict=True)})
        args[0].touch()

    monkeypatch.setattr(Figure, "savefig", remember)
    groups = np.repeat(np.arange(-1, len(group_names)), 2)
    predictions = table(np.arange(len(groups)) % 2, groups, group_names=group_names)
    write_report(tmp_path, "valid", predictions, evaluate(predictions))
    grey = [text for text, color in drawn.items() if color == UNKNOWN_COLOR]
    assert len(drawn) == len(group_names) + 2
    assert len(grey) == 1
    assert grey[0].startswith("unknown (n=2, 1 malignant)")


def test_summary_names_each_group_with_its_counts(table):
    predictions = table([1, 0, 1, 0, 0], [0, 0, 1, 1, -1])
    lines = summary(evaluate(predictions)).splitlines()
    assert [line.split("  ")[0].split(" n ")[0].strip() for line in lines[:-1]] == [
        "all",
        "accuracy 1.000",
        "Very light",
        "Light",
        "unknown",
    ]
    assert " ".join(lines[0].split()) == (
        "all n 5 malignant 2 AUROC 1.000 sensitivity 1.000 specificity 1.000 F1 1.000"
    )
    assert " ".join(lines[4].split()) == (
        "unknown n 1 malignant 0 AUROC nan sensitivity nan specificity 1.000 F1 nan"
    )
    assert lines[-1] == "gaps between groups: demographic parity 0.000, equal opportunity 0.000"


def test_summary_says_once_that_groups_are_unknown(table):
    lines = summary(evaluate(table([1, 0], [-1, -1]))).splitlines()
    assert len(lines) == 3
    assert lines[-1] == "tone groups are unknown: no figures by group"


def test_by_group_frame_has_the_same_columns_for_any_data(table):
    one_group = by_group_frame(evaluate(table([0, 1], [1, 1]))).columns
    two_groups = by_group_frame(evaluate(table([0, 1, 0, 1], [1, 1, 0, 0]))).columns
    assert list(one_group) == list(two_groups)
    assert {"group", "n", "auroc", "equal_opportunity_difference"} <= {*one_group}
