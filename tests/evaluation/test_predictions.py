"""The predictions table: exact through a CSV, decisions at the threshold, mistakes in words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.core.files import to_strict_json
from src.evaluation.predictions import Predictions, from_frame, probability_columns
from src.evaluation.results import point_estimates

GROUPS = ("Very light", "Light", "Intermediate", "Tan and darker")


def frame_of(**columns) -> pd.DataFrame:
    """Two lines of a predictions CSV, with `columns` changed."""
    usual = {
        "image_name": ["a.jpg", "b.jpg"],
        "target": [1, 0],
        "probability_benign": [0.25, 0.75],
        "probability_malignant": [0.75, 0.25],
    }
    return pd.DataFrame({**usual, **columns})


def read(frame: pd.DataFrame, labels=(1, 0), groups=(0, -1)) -> Predictions:
    return from_frame(frame, np.array(labels), np.array(groups), GROUPS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 7])
def test_csv_and_back_is_exact(n_classes, dtype, random_table, tmp_path):
    predictions = random_table(n_classes)
    noisy = predictions.probabilities.astype(np.float64) ** 1.01
    noisy = (noisy / noisy.sum(axis=1, keepdims=True)).astype(dtype)
    predictions = replace(predictions, probabilities=noisy)
    path = tmp_path / "predictions_valid.csv"
    predictions.to_csv(path)
    frame = pd.read_csv(path, dtype=str)
    labels, groups = frame["label"].astype(int), frame["group"].astype(int)
    found = replace(read(frame, labels, groups), positive=predictions.positive)
    assert np.array_equal(found.probabilities, noisy.astype(np.float64))
    assert np.array_equal(found.decisions, predictions.decisions)
    assert (found.names, found.classes) == (predictions.names, predictions.classes)
    assert to_strict_json(point_estimates(found)) == to_strict_json(point_estimates(predictions))


def test_csv_columns_are_those_of_the_predictor(table, tmp_path):
    path = tmp_path / "predictions.csv"
    table([1, 0], [2, -1], scores=[0.75, 0.5], decisions=[1, 1]).to_csv(path)
    assert path.read_text().splitlines() == [
        "image_name,target,label,group,probability_benign,probability_malignant",
        "image_0.jpg,1,1,2,0.25,0.75",
        "image_1.jpg,1,0,-1,0.5,0.5",
    ]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_probability_columns_are_in_the_order_of_the_file():
    assert probability_columns(frame_of()) == ["probability_benign", "probability_malignant"]


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (("benign", "malignant"), 1),
        (("malignant", "benign"), 0),
        (("akiec", "mel", "nv"), 1),
        (("melanoma", "other"), 0),
        (("x", "y", "z"), 2),
    ],
)
def test_positive_class_is_found_by_its_name(classes, positive):
    columns = {f"probability_{name}": [1 / len(classes)] * 2 for name in classes}
    frame = pd.DataFrame({"image_name": ["a", "b"], "target": [1, 0], **columns})
    assert read(frame).classes == classes
    assert read(frame).positive == positive


@pytest.mark.parametrize(
    ("target", "labels", "n_classes"),
    [([1, 0], (0, 0), 2), ([0, 0], (0, 0), 2), ([1, 0], (4, 0), 5)],
)
def test_without_probabilities_what_ranks_is_undefined(target, labels, n_classes):
    found = read(frame_of(target=target)[["image_name", "target"]], labels)
    numbered = ("benign", "malignant") if n_classes == 2 else tuple(map(str, range(n_classes)))
    assert found.classes == numbered
    assert found.probabilities.shape == (2, n_classes)
    metrics = point_estimates(found)
    assert metrics["accuracy"] == (np.array(target) == labels).mean()
    assert np.isnan([metrics[name] for name in ("auroc", "auprc", "log_loss")]).all()


@pytest.mark.parametrize("value", [-1, 0.5, "malignant", None, float("inf"), 1e12])
@pytest.mark.parametrize("n_columns", [2, 4], ids=["decisions only", "probabilities"])
def test_target_that_is_no_class_index_is_refused(n_columns, value):
    frame = frame_of(target=[value, 0])
    with pytest.raises(UserError, match="column 'target': expected whole numbers, 0 to"):
        read(frame.iloc[:, :n_columns])


def test_target_beyond_the_probabilities_is_refused():
    with pytest.raises(UserError, match="column 'target': expected whole numbers, 0 to 1"):
        read(frame_of(target=[2, 0]))


@pytest.mark.parametrize("value", [1.01, -0.01, "high", float("nan"), float("inf")])
def test_value_that_is_no_probability_is_refused(value):
    with pytest.raises(UserError, match=r"probability_benign.*expected probabilities, 0 to 1"):
        read(frame_of(probability_malignant=[value, 0.5]))


@pytest.mark.parametrize("label", [2, -1])
def test_label_beyond_the_classes_is_refused(label):
    with pytest.raises(UserError, match="column 'label': expected whole numbers, 0 to 1"):
        read(frame_of(), labels=(label, 0))


@pytest.mark.parametrize("group", [4, -2])
def test_group_without_a_name_is_refused(group):
    with pytest.raises(UserError, match=r"column 'group': expected whole numbers, -1 to 3"):
        read(frame_of(), groups=(group, 0))


def test_empty_table_reads_and_evaluates():
    found = point_estimates(
        read(frame_of().iloc[:0], labels=np.array([], int), groups=np.array([], int))
    )
    assert (found["n"], found["groups"]) == (0, {})


def test_rows_where_something_holds_are_kept_together(random_table):
    predictions = random_table()
    keep = predictions.groups == 2
    part, rows = predictions.where(keep), np.flatnonzero(keep)
    assert part.names == [predictions.names[row] for row in rows]
    for column in ("labels", "groups", "probabilities", "decisions"):
        assert np.array_equal(getattr(part, column), getattr(predictions, column)[rows])
    assert (part.classes, part.positive) == (predictions.classes, predictions.positive)
