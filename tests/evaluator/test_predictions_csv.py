"""Predictions CSVs of any origin: one table in many forms reads alike."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.evaluation.predictions import Predictions
from src.evaluation.results import point_estimates
from src.evaluator.metadata import read_metadata
from src.evaluator.predictions_csv import CsvColumns, read_predictions

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
N = 60


def assert_same(found: Predictions, expected: Predictions) -> None:
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


def label_forms(labels: np.ndarray) -> dict[str, tuple[dict, dict]]:
    """Columns of labels in all forms, and the settings that they need."""
    other = CLASSES[::-1]
    one_hot = {name: (labels == i).astype(float) for i, name in enumerate(CLASSES)}
    shuffled = {name: one_hot[name] for name in sorted(CLASSES)}
    lower = {f"is_{i}": one_hot[name].astype(int) for i, name in enumerate(CLASSES)}
    return {
        "index": ({"truth": labels}, {}),
        "index as float": ({"truth": labels.astype(float)}, {}),
        "index into others": ({"truth": 6 - labels}, {"label_classes": other}),
        "names": ({"truth": [CLASSES[label] for label in labels]}, {}),
        "small names": ({"truth": [CLASSES[label].lower() for label in labels]}, {}),
        "one-hot by name": (shuffled, {}),
        "one-hot in order": (lower, {}),
        "one-hot of others": (
            dict(zip(lower, reversed(list(lower.values())), strict=True)),
            {"label_classes": other},
        ),
    }


@pytest.mark.parametrize("form", label_forms(np.arange(7)))
@pytest.mark.parametrize("home", ["csv", "metadata"])
def test_labels_in_all_forms_give_the_same(softmax, read, form, home):
    names, labels, probabilities, rows = softmax
    truth, settings = label_forms(labels)[form]
    label = tuple(truth)
    if home == "csv" and set(truth) & set(rows):
        truth = {f"{name}_true": values for name, values in truth.items()}
        label, settings = tuple(truth), {"label_classes": label}
    columns = {"probability_columns": CLASSES, "label_column": label, **settings}
    if home == "csv":
        found = read({**rows, **truth}, **columns)
    else:
        order = np.random.default_rng(1).permutation(N)
        table = {"image_id": [f"HAM/{name}.jpg" for name in names], **truth}
        found = read(rows, pd.DataFrame(table).iloc[order], **columns)
    expected = Predictions(
        names=names,
        labels=labels,
        groups=np.full(N, -1),
        probabilities=probabilities,
        decisions=np.array([max(range(7), key=row.__getitem__) for row in probabilities]),
        classes=CLASSES,
        positive=0,
        group_names=("Very light", "Light", "Intermediate", "Tan and darker"),
    )
    assert_same(found, expected)


def test_order_and_names_of_classes_are_those_of_the_columns_given(softmax, read):
    _, labels, probabilities, rows = softmax
    order = (3, 0, 6, 1, 2, 5, 4)
    truth = {"dx": [CLASSES[label].lower() for label in labels]}
    scores = tuple(CLASSES[place] for place in order)
    found = read({**rows, **truth}, probability_columns=scores, label_column=("dx",))
    assert (found.classes, found.positive) == (scores, 1)
    np.testing.assert_array_equal(found.probabilities, probabilities[:, order])
    np.testing.assert_array_equal(np.array(order)[found.labels], labels)
    named = read(
        {**rows, "i": found.labels},
        probability_columns=scores,
        classes=tuple("abcdefg"),
        label_column=("i",),
        positive_class="B",
    )
    assert (named.classes, named.positive) == (tuple("abcdefg"), 1)
    np.testing.assert_array_equal(named.labels, found.labels)


def test_semicolons_with_decimal_commas_are_read(softmax, write):
    _, labels, probabilities, rows = softmax
    path = write({**rows, "label": labels}, sep=";", decimal=",")
    found = read_predictions(path, None, CsvColumns(probability_columns=CLASSES))
    np.testing.assert_array_equal(found.probabilities, probabilities)


def test_metadata_win_over_columns_of_the_same_name_for_labels(read):
    """A ground truth names its columns as a softmax file does."""
    scores = {"mel": [0.75, 0.5], "nv": [0.25, 0.5]}
    truth = {"image": ["a", "b"], "mel": ["0.0", "1.0"], "nv": ["1.0", "0.0"]}
    found = read(
        {"image": ["a", "b"], **scores},
        truth,
        probability_columns=("mel", "nv"),
        label_column=("mel", "nv"),
    )
    assert found.labels.tolist() == [1, 0]
    assert found.decisions.tolist() == [0, 0], "the first of equal ones"


def test_a_run_s_file_is_read_as_written(softmax, tmp_path):
    names, labels, probabilities, _ = softmax
    groups, decisions = np.arange(N) % 5 - 1, np.roll(labels, 1)
    tones = ("Very light", "Light", "Intermediate", "Tan and darker")
    written = Predictions(names, labels, groups, probabilities, decisions, CLASSES, 0, tones)
    written.to_csv(tmp_path / "p.csv")
    assert_same(read_predictions(tmp_path / "p.csv", None), written)


@pytest.mark.parametrize("n_classes", [2, 7, 199])
def test_a_file_of_decisions_is_read_as_written(tmp_path, n_classes):
    labels, tones = np.arange(n_classes), ("Very light", "Light", "Intermediate", "Tan and darker")
    names, classes = [f"{label}.jpg" for label in labels], tuple(map(str, labels))
    classes = ("benign", "malignant") if n_classes == 2 else classes
    unknown = np.full((n_classes, n_classes), np.nan)
    written = Predictions(
        names, labels, labels % 4, unknown, labels[::-1], classes, n_classes - 1, tones
    )
    written.to_csv(tmp_path / "p.csv")
    header = (tmp_path / "p.csv").read_text().splitlines()[0]
    assert header == "image_name,target,label,group"
    assert_same(read_predictions(tmp_path / "p.csv", None), written)


def test_as_many_classes_as_there_may_be_are_read_as_written(tmp_path):
    n_classes, tones = 199, ("Very light", "Light", "Intermediate", "Tan and darker")
    labels, classes = np.array([0, 198]), tuple(f"c{place}" for place in range(199))
    scores = np.random.default_rng(2).dirichlet(np.ones(n_classes), size=2)
    written = Predictions(["a", "b"], labels, labels * 0, scores, labels, classes, 198, tones)
    written.to_csv(tmp_path / "p.csv")
    assert_same(read_predictions(tmp_path / "p.csv", None), written)


@pytest.mark.parametrize("positive", ["", "Malignant", "benign"])
def test_one_column_is_the_probability_of_the_positive_of_two(read, positive):
    rows = {"file_name": ["a", "b", "c"], "p": [0.25, 0.5, 0.75], "label": [0, 1, 1]}
    found = read(rows, probability_columns=("p",), positive_class=positive)
    assert (found.classes, found.labels.tolist()) == (("benign", "malignant"), [0, 1, 1])
    assert found.probabilities[:, found.positive].tolist() == [0.25, 0.5, 0.75]
    assert found.probabilities.sum(axis=1).tolist() == [1, 1, 1]
    assert found.classes[found.positive] == (positive.lower() or "malignant")
    named = read(rows, probability_columns=("p",), classes=("Melanoma", "nevus"))
    assert (named.classes, named.positive) == (("Melanoma", "nevus"), 0)
    assert named.probabilities[:, 0].tolist() == [0.25, 0.5, 0.75]


@pytest.mark.parametrize("name", ["MEL", "Malignant", "melanoma", "mel"])
def test_usual_positive_classes_are_found_in_any_case(read, name):
    scores = {name: [0.5], "x": [0.25], "z": [0.25]}
    found = read({"image": ["a"], **scores, "label": [0]}, probability_columns=tuple(scores))
    assert found.positive == 0


@pytest.mark.parametrize(
    ("decisions", "settings"),
    [([2, 0], {}), (["2.0", "0"], {}), (["z", "x"], {}), (["Z", "X"], {})],
)
def test_decisions_are_indices_or_names(read, decisions, settings):
    rows = {"image": ["a", "b"], "x": [0.5, 0.5], "y": [0.25, 0.5], "z": [0.25, 0.0]}
    rows |= {"label": [0, 1], "said": decisions}
    scores = ("x", "y", "z")
    found = read(rows, probability_columns=scores, decision_column="said", **settings)
    assert found.decisions.tolist() == [2, 0]
    named = {f"probability_{name}": rows.pop(name) for name in scores}
    rows |= {**named, "target": rows.pop("said")}
    assert read(rows).decisions.tolist() == [2, 0], "a run's columns"


def test_a_target_that_is_the_truth_is_no_decision(read):
    rows = {"image": ["a", "b"], "x": [0.75, 0.25], "y": [0.25, 0.75], "target": [1, 1]}
    found = read(rows, probability_columns=("x", "y"), label_column=("target",))
    assert (found.labels.tolist(), found.decisions.tolist()) == ([1, 1], [0, 1])
    table = {"image": ["a", "b"], "target": ["y", "x"]}
    found = read(rows, table, probability_columns=("x", "y"), label_column=("target",))
    assert (found.labels.tolist(), found.decisions.tolist()) == ([1, 0], [0, 1])
    found = read({**rows, "label": [0, 0]}, probability_columns=("x", "y"))
    assert (found.labels.tolist(), found.decisions.tolist()) == ([0, 0], [0, 1])


@pytest.mark.parametrize("positive", ["benign", "malignant"])
def test_of_equal_probabilities_the_first_class_but_the_positive_of_a_single_column(read, positive):
    rows = {"image": list("abc"), "p": [0.25, 0.5, 0.75], "q": [0.75, 0.5, 0.25]}
    rows |= {"label": [0, 0, 1], "target": [1, 0, 0]}
    single = read(rows, probability_columns=("p",), positive_class=positive)
    assert (single.decisions == single.positive).tolist() == [False, True, True]
    both = {"classes": ("benign", "malignant"), "positive_class": positive}
    assert read(rows, probability_columns=("p", "q"), **both).decisions.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("truth", "settings", "classes", "labels"),
    [
        ({"t": [0, 3, 1]}, {}, ("0", "1", "2", "3"), [0, 3, 1]),
        ({"t": ["C", "a", "b"]}, {"classes": ("a", "b", "c")}, ("a", "b", "c"), [2, 0, 1]),
        ({"t": [1, 0, 2]}, {"label_classes": ("a", "b", "c")}, ("a", "b", "c"), [1, 0, 2]),
        ({"a": [0, 1, 0], "b": [1, 0, 0], "c": [0, 0, 1]}, {}, ("a", "b", "c"), [1, 0, 2]),
    ],
)
def test_classes_of_decisions_alone(read, truth, settings, classes, labels):
    rows = {"image_name": ["p", "q", "r"], "target": [1, 0, 0]}
    found = read(rows, {"image": ["p", "q", "r"], **truth}, label_column=tuple(truth), **settings)
    assert (found.classes, found.labels.tolist()) == (classes, labels)
    assert found.decisions.tolist() == [1, 0, 0]
    assert found.probabilities.shape == (3, len(classes)) and np.isnan(found.probabilities).all()


def test_targets_of_metadata_are_1_for_the_positive_class(read):
    table = {"image_name": ["a", "b"], "target": [1, 0], "group": [3, ""], "ita": [60, 50]}
    rows = {"image_name": ["b.jpg", "a.jpg"], "target": [0, 1]}
    found = read(rows, table)
    assert (found.labels.tolist(), found.groups.tolist()) == ([0, 1], [1, 3])
    for names in (("benign", "malignant"), ("malignant", "benign")):
        scores = {f"probability_{name}": [0.5, 0.5] for name in names}
        found = read({**rows, **scores}, table)
        assert found.labels.tolist() == [1 - found.positive, found.positive]
    named = read({**rows, "target": [1, 1]}, table, label_classes=("x", "y"))
    assert (named.classes, named.labels.tolist()) == (("x", "y"), [0, 1])
    assert named.decisions.tolist() == [1, 1]


@pytest.mark.parametrize("words", [("True", "False"), ("yes", "no"), (" TRUE", "false ")])
def test_words_of_truth_are_the_positive_class_and_the_other(read, words):
    scores = {"probability_malignant": [0.75, 0.25], "probability_benign": [0.25, 0.75]}
    rows = {"image": ["a", "b"], **scores}
    table = {"image": ["a", "b"], "malignant": words, "target": words}
    assert read(rows, table, label_column=("malignant",)).labels.tolist() == [0, 1]
    assert read(rows, table).labels.tolist() == [0, 1]
    assert read({**rows, "label": words}).labels.tolist() == [0, 1]
    decided = {"image": ["a", "b"], "target": [1, 0]}
    assert read(decided, table, label_column=("malignant",)).labels.tolist() == [1, 0]
    with pytest.raises(UserError, match=r"'label': .* has 'maybe'"):
        read({"image": ["a", "b", "c"], "target": [1, 0, 0], "label": [*words, "maybe"]})


def test_a_label_in_the_csv_comes_first_unless_it_is_asked_for(read):
    rows = {"image_name": ["a", "b"], "target": [0, 1], "label": [0, 0]}
    table = {"image": ["a", "b"], "label": [1, 1], "target": [1, 0]}
    assert read(rows, table).labels.tolist() == [0, 0]
    assert read(rows, table, label_column=("label",)).labels.tolist() == [1, 1]
    assert read(rows, table, label_column=("target",)).labels.tolist() == [1, 0]


def test_groups_are_the_csv_s_own_else_those_of_the_metadata(read):
    rows = {"image_name": ["a", "b"], "target": [0, 1], "label": [0, 1]}
    table = {"image": ["a", "b"], "group": ["0", "2"]}
    assert read(rows).groups.tolist() == [-1, -1]
    assert read(rows, table).groups.tolist() == [0, 2]
    assert read({**rows, "group": ["", 3]}, table).groups.tolist() == [-1, 3]


def test_published_decisions_of_isic(real_data, write):
    """Those of 6,562 images: what was found in each group is all that the figures need."""
    path = real_data / "isic2020" / "ISIC_2020_full.csv"
    rows = pd.read_csv(path, sep=";", decimal=",")
    rows = rows[rows["split"].isin(["valid", "val"])].sample(frac=1, random_state=0)
    found_of = {0: (15, 17), 1: (36, 58), 2: (34, 46), 3: (14, 16)}
    decisions = pd.Series(0, rows.index)
    for group, (n_found, n_all) in found_of.items():
        melanomas = rows.index[(rows["group"] == group) & (rows["target"] == 1)]
        assert len(melanomas) == n_all
        decisions[melanomas[:n_found]] = 1
    decisions[rows.index[rows["target"] == 0][:632]] = 1
    csv = write({"image_name": rows["image_name"].str.removesuffix(".jpg"), "target": decisions})
    found = point_estimates(read_predictions(csv, read_metadata(path)))
    assert (found["n"], found["n_positive"]) == (6562, 137)
    assert found["sensitivity"] == pytest.approx(float(Fraction(99, 137)), abs=1e-15)
    assert round(found["sensitivity"], 4) == 0.7226
    gap = Fraction(15, 17) - Fraction(36, 58)
    assert found["equal_opportunity_difference"] == pytest.approx(float(gap), abs=1e-15)
    assert round(found["equal_opportunity_difference"], 4) == 0.2617
    names = ("Very light", "Light", "Intermediate", "Tan and darker")
    recalls = {name: found["groups"][name]["sensitivity"] for name in names}
    assert recalls == {n: a / b for n, (a, b) in zip(names, found_of.values(), strict=True)}
    assert found["specificity"] == (6425 - 632) / 6425
    assert np.isnan(found["auroc"])
