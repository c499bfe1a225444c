"""The files of a training's splits, and the lines for a terminal."""

import numpy as np
import pandas as pd
import pytest

from src.core.cells import csv_text
from src.evaluation.evaluate import EvaluatedModel, evaluate_model
from src.evaluation.groupings import known_tones
from src.evaluation.results import Settings
from src.report.files import by_group_table, write_split
from src.report.summary import evaluation_summary
from tests.report.drawn_evaluation import evaluation_of
from tests.report.figures import assert_has_ink

FEW = Settings(n_resamples=100)


def evaluated(predictions):
    """(model, evaluation) of a split, every row of which is a cluster."""
    clusters = np.arange(len(predictions.labels))
    model = EvaluatedModel("run", "a", "valid", "resnet18", predictions, clusters, "image")
    return evaluate_model(model, known_tones(predictions), FEW)


def test_a_split_is_written_into_its_three_files_and_no_other(random_table, table, tmp_path):
    for place, predictions in enumerate(
        (
            random_table(2),
            random_table(7),
            table([0, 1, 0, 1, 0, 0], [0, 0, 1, 1, 3, 3]),
            table([0, 0], [0, 1]),
            table([1, 1], [0, 1]),
            table([0, 1], [-1, -1]),
            table([]),
        )
    ):
        folder = tmp_path / str(place)
        folder.mkdir()
        write_split(folder, *evaluated(predictions))
        names = ["by_group_valid.png", "metrics_by_group_valid.csv", "predictions_valid.csv"]
        assert sorted(file.name for file in folder.iterdir()) == names
        assert len(pd.read_csv(folder / names[2])) == len(predictions.labels)
        assert_has_ink(folder / names[0])


def test_the_table_has_a_line_for_each_group_and_every_figure_with_its_interval(random_table):
    _, evaluation = evaluated(random_table())
    frame = by_group_table(evaluation)
    parts = {"all": evaluation["overall"], **evaluation["groups"]["skin tone"]}
    assert frame["group"].tolist() == list(parts)
    assert frame["attribute"].tolist() == ["all", *["skin tone"] * 5]
    for _, line in frame.iterrows():
        part = parts[line["group"]]
        assert [line[name] for name in ("n", "n_positive", "n_clusters")] == [
            part[name] for name in ("n", "n_positive", "n_clusters")
        ]
        for name, figure in part["metrics"].items():
            found = [line[name], line[f"{name}_low"], line[f"{name}_high"]]
            assert found == pytest.approx([*figure.values()], nan_ok=True)


def test_the_table_has_the_same_columns_for_any_data(table):
    one, two = (
        by_group_table(evaluated(table(labels, groups))[1]).columns
        for labels, groups in (([0, 1], [1, 1]), ([0, 1, 0, 1], [1, 1, 0, 0]))
    )
    assert list(one) == list(two)


def test_the_summary_names_each_group_with_its_counts_and_who_is_not_compared(table):
    labels = [1, 0] * 12 + [1, 0] * 15 + [1, 0, 0]
    groups = [0] * 24 + [1] * 30 + [2, 2, -1]
    lines = evaluation_summary(evaluated(table(labels, groups))[1]).splitlines()
    by_name = {line.split("  n ")[0].strip(): line for line in lines if "  n " in line}
    assert lines[0] == "positive class: malignant"
    assert list(by_name) == ["all", "Very light", "Light", "Intermediate", "unknown"]
    assert "malignant     28" in by_name["all"] and "AUROC 1.000" in by_name["all"]
    assert "sensitivity not defined" in by_name["unknown"]
    (left_out,) = (line for line in lines if "not compared" in line)
    assert left_out.endswith("positive images): Intermediate")


def test_the_summary_says_what_is_undefined(table):
    lines = evaluation_summary(evaluated(table([1, 0], [0, 1]))[1]).splitlines()
    gaps = [line for line in lines if line.strip().startswith(("difference", "larger difference"))]
    assert len(gaps) == 3
    assert all("not defined" in line for line in gaps)


def test_the_summary_says_once_that_groups_are_unknown(table):
    lines = evaluation_summary(evaluated(table([1, 0], [-1, -1]))[1]).splitlines()
    assert sum("unknown" in line for line in lines) == 1


def test_the_summary_tells_what_was_fitted_and_what_thresholds_by_group_cost(random_table):
    evaluation = evaluation_of(random_table())
    text = evaluation_summary(evaluation)
    assert "temperature 1.7 (temperature(by='all'), fitted on 3,120 validation images)" in text
    assert "threshold 0.0312 (youden, fitted on 3,120 validation images)" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for wanted in ("Very light 0.034", "Light 0.021", "calibration error 0.031 -> 0.011"):
        assert wanted in lines
    for wanted in ("sensitivity 0.723 -> 0.745", "equal opportunity difference 0.262 -> 0.118"):
        assert wanted in lines
    evaluation["threshold"] = evaluation["calibration"]["temperature"] = None
    assert "fitted" not in evaluation_summary(evaluation)


def test_names_of_strangers_are_shown_and_cut_in_the_summary_and_guarded_in_the_csv(random_table):
    evaluation = evaluation_of(random_table())
    part = evaluation["groups"]["skin tone"]["Light"]
    evaluation["groups"] = {"skin tone": {"=1+1": part, "\x1b[2J肤色\n": part, "x" * 500: part}}
    lines = evaluation_summary(evaluation).splitlines()
    (shown,) = (line for line in lines if "肤色" in line)
    assert shown.startswith("  \\x1b[2J肤色\\n")
    assert max(map(len, lines)) < 250
    assert csv_text(by_group_table(evaluation)).splitlines()[2].startswith("skin tone,'=1+1,")
