"""The order of classes goes from a table through its splits, predictions and reports.

A report may print right figures under wrong names where one step sorts classes and another does
not; with unequal numbers of images and a recall of its own for each class that shows.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from src.artifact.contract import Contract, contract_from_json
from src.artifact.decisions import usual_rule
from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.datasets.isic import HAM10000_CLASSES, ISIC2019_CLASSES
from src.datasets.splits import assign_splits
from src.datasets.table import split_csv
from src.evaluation.evaluate import EvaluatedModel, evaluate_model
from src.evaluation.predictions import Predictions
from src.evaluation.results import Settings
from src.evaluator.flags import CsvColumns
from src.evaluator.metadata import read_metadata
from src.evaluator.predictions_csv import read_predictions
from src.inference.predictor import Prediction, write_predictions
from src.preprocess.spec import parse_preprocessing
from src.report import forest
from tests.datasets.small_isic import write_csv

# the orders of earlier systems: dermoscopy with benign and malignant, HAM10000's folders, HAM10000
# by frequency with acne as the eighth, and a few others
ORDERS = (
    ("benign", "malignant"),
    HAM10000_CLASSES,
    ("nv", "mel", "bkl", "bcc", "akiec", "vasc", "df", "acne"),
    ISIC2019_CLASSES,
    ("10", "2", "1"),
)


def make_table(folder, order):
    """Class k of a table has 4 + 3 * (a shuffled k) images; its images lie in the CSV's folder."""
    numbers = {name: 4 + 3 * ((5 * k + 2) % len(order)) for k, name in enumerate(order)}
    rows = [
        {"image": f"{name}_{i}.png", "label": name, "lesion_id": f"{name}{i // 2}"}
        for name, n in numbers.items()
        for i in range(n)
    ]
    np.random.default_rng(0).shuffle(rows)
    for row in rows:
        (folder / row["image"]).touch()
    write_csv(folder / "t.csv", rows, ",")
    return DATASETS.build(
        f"table(csv='t.csv', classes={[*order]})", data_path=folder, skin_color_csv=""
    ), numbers


def class_in(name):
    """The class that the name of an image tells."""
    return Path(name).stem.rpartition("_")[0]


def n_found(name, n):
    """Of how many of a class's `n` images the predictions here are right."""
    return n - 1 - sum(map(ord, name)) % 3


def predicted(table, split, order):
    """Predictions of which class k has `n_found`; what is wrong is taken for the next class."""
    rows = table.split(split).rows if split else table.rows
    labels, seen = rows["label"].to_numpy(), dict.fromkeys(range(len(order)), 0)
    counts = np.bincount(labels, minlength=len(order))
    decisions = []
    for label in labels:
        seen[label] += 1
        right = seen[label] <= n_found(order[label], counts[label])
        decisions.append(label if right else (label + 1) % len(order))
    probabilities = np.full((len(rows), len(order)), 0.1 / (len(order) - 1))
    probabilities[np.arange(len(rows)), decisions] = 0.9
    return Predictions(
        names=[Path(image).name for image in rows["image"]],
        labels=labels,
        groups=rows["group"].to_numpy(),
        probabilities=probabilities,
        decisions=np.array(decisions),
        classes=table.classes,
        positive=table.positive,
        group_names=table.groups,
    )


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order[0])
def test_no_report_has_the_figures_of_one_class_under_the_name_of_another(
    tmp_path, order, monkeypatch
):
    table, numbers = make_table(tmp_path, order)
    assert table.classes == order
    assert dict(zip(order, np.bincount(table.labels), strict=True)) == numbers
    # training's own tables, read again
    split = assign_splits(table, 0.2, 0.2, 0)
    n_read = 0
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.csv").write_text(split_csv(split, part, str(tmp_path)))
        text = f"table(csv='{part}.csv', classes={[*order]})"
        again = DATASETS.build(text, data_path=tmp_path, skin_color_csv="")
        assert again.classes == order
        assert all(order[k] == class_in(i) for k, i in again.rows[["label", "image"]].to_numpy())
        n_read += len(again)
    assert n_read == len(table)
    # predictions, written and read
    predictions = predicted(table, "", order)
    predictions.to_csv(tmp_path / "predictions.csv")
    read = read_predictions(tmp_path / "predictions.csv", None)
    assert read.classes == order
    assert [order[k] for k in read.labels] == [class_in(name) for name in read.names]
    # reports
    model = EvaluatedModel("csv", "", "test", "", read, np.arange(len(read.names)), "image")
    _, evaluation = evaluate_model(model, (), Settings(n_resamples=3))
    per_class = evaluation["overall"]["per_class"]
    assert [*per_class] == [*order]
    for name, found in per_class.items():
        n = numbers[name]
        assert found["n"] == n
        assert found["sensitivity"]["value"] == pytest.approx(n_found(name, n) / n), name
    matrix = np.array(evaluation["overall"]["confusion_matrix"])
    assert dict(zip(order, matrix.sum(1), strict=True)) == numbers
    lines = []
    monkeypatch.setattr(forest, "_plot_forest", lambda drawn, *_: lines.extend(drawn))
    forest.plot_per_class(evaluation, tmp_path / "x.png")
    assert {line.name: line.counts for line in lines} == {
        o: (f"{n:,}",) for o, n in numbers.items()
    }


def test_a_model_file_and_its_predictions_keep_the_order(tmp_path):
    for order in ORDERS:
        contract = Contract(
            model="m",
            n_outputs=len(order),
            classes=order,
            positive=len(order) - 1,
            groups=("Light",),
            reduction="softmax",
            preprocessing=parse_preprocessing("resize", 8),
            rule=usual_rule(len(order)),
        )
        read = contract_from_json(json.loads(json.dumps(contract.to_json())), "a file")
        assert read.classes == order
        rest = 0.1 / (len(order) - 1)
        said = [
            Prediction(Path(f"{name}_0.png"), np.where(np.array(order) == name, 0.9, rest))
            for name in order
        ]
        assert write_predictions(said, read, order, tmp_path / "said.csv") == []
        labels = [{"image_name": f"{name}_0.png", "label": name} for name in order]
        write_csv(tmp_path / "labels.csv", labels, ",")
        metadata = read_metadata(tmp_path / "labels.csv")
        columns = CsvColumns(label_column=("label",))
        found = read_predictions(tmp_path / "said.csv", metadata, columns)
        assert found.classes == order
        assert [order[k] for k in found.decisions] == [class_in(name) for name in found.names]
        assert found.labels.tolist() == found.decisions.tolist()


def test_classes_that_are_not_in_the_order_are_refused(tmp_path, caplog):
    make_table(tmp_path, ("nv", "mel"))

    def build(classes):
        text = f"table(csv='t.csv', classes={classes})"
        return DATASETS.build(text, data_path=tmp_path, skin_color_csv="")

    for classes, told in (
        (["nv"], "class 'mel': classes=.* has nv"),
        ([1, 2], "expected a list of names"),
        (["nv", "NV", "mel"], "have the same name"),
        (["nv", " ", "mel"], "class 1 has no name"),
    ):
        with pytest.raises(UserError, match=told):
            build(classes)
    table = build([" MEL", "acne", "NV"])
    assert (table.classes, table.positive) == (("MEL", "acne", "NV"), 0)
    assert "classes without an image: acne" in caplog.text
    assert all(
        table.classes[k].lower() == class_in(i)
        for k, i in table.rows[["label", "image"]].to_numpy()
    )
