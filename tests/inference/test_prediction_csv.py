"""Predictions CSVs of any origin: one table in many forms reads alike, mistakes end in a line."""

import argparse
import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import melanoma_eval
from src.core.errors import UserError
from src.core.flags import parse_flags
from src.evaluation.fairness import evaluate
from src.evaluation.predictions import Predictions
from src.inference.metadata import read_metadata
from src.inference.prediction_csv import (
    FLAGS,
    CsvColumns,
    add_csv_flags,
    csv_columns,
    read_predictions,
)

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
N = 60


@pytest.fixture
def write(tmp_path):
    """Write columns as a CSV; its path."""
    numbers = itertools.count()

    def write(columns, sep=",", decimal=".") -> Path:
        path = tmp_path / f"{next(numbers)}.csv"
        pd.DataFrame(columns).to_csv(path, sep=sep, decimal=decimal, index=False)
        return path

    return write


@pytest.fixture
def read(write):
    """Write predictions, and metadata where there are some, and read them."""

    def read(rows, metadata=None, **columns) -> Predictions:
        known = None if metadata is None else read_metadata(write(metadata))
        return read_predictions(write(rows), known, CsvColumns(**columns))

    return read


def assert_same(found: Predictions, expected: Predictions) -> None:
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


@pytest.fixture
def softmax():
    """Images, labels and probabilities of seven classes, and the columns of a published file."""
    rng = np.random.default_rng(5)
    names = [f"ISIC_{number:07}" for number in range(N)]
    labels = np.concatenate([np.arange(7), rng.integers(7, size=N - 7)])
    probabilities = rng.dirichlet(np.ones(7), size=N)
    rows = {"image": names, "fold": ["x"] * N, **dict(zip(CLASSES, probabilities.T, strict=True))}
    return names, labels, probabilities, rows


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
    columns = {"probabilities": CLASSES, "label": label, **settings}
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
        group_names=("Very light", "Light", "Intermediate", "Tan"),
    )
    assert_same(found, expected)


def test_order_and_names_of_classes_are_those_of_the_columns_given(softmax, read):
    _, labels, probabilities, rows = softmax
    order = (3, 0, 6, 1, 2, 5, 4)
    truth = {"dx": [CLASSES[label].lower() for label in labels]}
    scores = tuple(CLASSES[place] for place in order)
    found = read({**rows, **truth}, probabilities=scores, label=("dx",))
    assert (found.classes, found.positive) == (scores, 1)
    np.testing.assert_array_equal(found.probabilities, probabilities[:, order])
    np.testing.assert_array_equal(np.array(order)[found.labels], labels)
    named = read(
        {**rows, "i": found.labels},
        probabilities=scores,
        classes=tuple("abcdefg"),
        label=("i",),
        positive="B",
    )
    assert (named.classes, named.positive) == (tuple("abcdefg"), 1)
    np.testing.assert_array_equal(named.labels, found.labels)


def test_semicolons_with_decimal_commas_are_read(softmax, write):
    _, labels, probabilities, rows = softmax
    path = write({**rows, "label": labels}, sep=";", decimal=",")
    found = read_predictions(path, None, CsvColumns(probabilities=CLASSES))
    np.testing.assert_array_equal(found.probabilities, probabilities)


def test_metadata_win_over_columns_of_the_same_name_for_labels(read):
    """A ground truth names its columns as a softmax file does."""
    scores = {"mel": [0.75, 0.5], "nv": [0.25, 0.5]}
    truth = {"image": ["a", "b"], "mel": ["0.0", "1.0"], "nv": ["1.0", "0.0"]}
    found = read(
        {"image": ["a", "b"], **scores}, truth, probabilities=("mel", "nv"), label=("mel", "nv")
    )
    assert found.labels.tolist() == [1, 0]
    assert found.decisions.tolist() == [0, 0], "the first of equal ones"


def test_a_run_s_file_is_read_as_written(softmax, tmp_path):
    names, labels, probabilities, _ = softmax
    groups, decisions = np.arange(N) % 5 - 1, np.roll(labels, 1)
    tones = ("Very light", "Light", "Intermediate", "Tan")
    written = Predictions(names, labels, groups, probabilities, decisions, CLASSES, 0, tones)
    written.to_csv(tmp_path / "p.csv")
    assert_same(read_predictions(tmp_path / "p.csv", None), written)


@pytest.mark.parametrize("positive", ["", "Malignant", "benign"])
def test_one_column_is_the_probability_of_the_positive_of_two(read, positive):
    rows = {"file_name": ["a", "b", "c"], "p": [0.25, 0.5, 0.75], "label": [0, 1, 1]}
    found = read(rows, probabilities=("p",), positive=positive)
    assert (found.classes, found.labels.tolist()) == (("benign", "malignant"), [0, 1, 1])
    assert found.probabilities[:, found.positive].tolist() == [0.25, 0.5, 0.75]
    assert found.probabilities.sum(axis=1).tolist() == [1, 1, 1]
    assert found.classes[found.positive] == (positive.lower() or "malignant")
    named = read(rows, probabilities=("p",), classes=("Melanoma", "nevus"))
    assert (named.classes, named.positive) == (("Melanoma", "nevus"), 0)
    assert named.probabilities[:, 0].tolist() == [0.25, 0.5, 0.75]


@pytest.mark.parametrize("name", ["MEL", "Malignant", "melanoma", "mel"])
def test_usual_positive_classes_are_found_in_any_case(read, name):
    scores = {name: [0.5], "x": [0.25], "z": [0.25]}
    found = read({"image": ["a"], **scores, "label": [0]}, probabilities=tuple(scores))
    assert found.positive == 0


@pytest.mark.parametrize(
    ("decisions", "settings"),
    [
        ([2, 0], {}),
        (["2.0", "0"], {}),
        (["z", "x"], {}),
        (["Z", "X"], {}),
    ],
)
def test_decisions_are_indices_or_names(read, decisions, settings):
    rows = {"image": ["a", "b"], "x": [0.5, 0.5], "y": [0.25, 0.5], "z": [0.25, 0.0]}
    rows |= {"label": [0, 1], "said": decisions}
    scores = ("x", "y", "z")
    found = read(rows, probabilities=scores, decision="said", **settings)
    assert found.decisions.tolist() == [2, 0]
    rows["target"] = rows.pop("said")
    assert read(rows, probabilities=scores).decisions.tolist() == [2, 0]


def test_of_names_that_differ_in_case_the_one_written_so_is_meant(read):
    rows = {"image": ["a", "b"], "x": [0.5, 0.5], "X": [0.25, 0.5], "z": [0.25, 0.0]}
    rows |= {"label": ["X", "x"], "target": ["x", "X"]}
    found = read(rows, probabilities=("x", "X", "z"))
    assert (found.labels.tolist(), found.decisions.tolist()) == ([1, 0], [0, 1])


def test_a_target_that_is_the_truth_is_no_decision(read):
    rows = {"image": ["a", "b"], "x": [0.75, 0.25], "y": [0.25, 0.75], "target": [1, 1]}
    found = read(rows, probabilities=("x", "y"), label=("target",))
    assert (found.labels.tolist(), found.decisions.tolist()) == ([1, 1], [0, 1])
    table = {"image": ["a", "b"], "target": ["y", "x"]}
    found = read(rows, table, probabilities=("x", "y"), label=("target",))
    assert (found.labels.tolist(), found.decisions.tolist()) == ([1, 0], [1, 1])


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
    found = read(rows, {"image": ["p", "q", "r"], **truth}, label=tuple(truth), **settings)
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


def test_a_label_in_the_csv_comes_first_unless_it_is_asked_for(read):
    rows = {"image_name": ["a", "b"], "target": [0, 1], "label": [0, 0]}
    table = {"image": ["a", "b"], "label": [1, 1], "target": [1, 0]}
    assert read(rows, table).labels.tolist() == [0, 0]
    assert read(rows, table, label=("label",)).labels.tolist() == [1, 1]
    assert read(rows, table, label=("target",)).labels.tolist() == [1, 0]


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
    found = evaluate(read_predictions(csv, read_metadata(path)))
    assert (found["n"], found["n_malignant"]) == (6562, 137)
    assert found["malignant_recall"] == pytest.approx(float(Fraction(99, 137)), abs=1e-15)
    assert round(found["malignant_recall"], 4) == 0.7226
    gap = Fraction(15, 17) - Fraction(36, 58)
    assert found["equal_opportunity_difference"] == pytest.approx(float(gap), abs=1e-15)
    assert round(found["equal_opportunity_difference"], 4) == 0.2617
    names = ("Very light", "Light", "Intermediate", "Tan")
    recalls = {name: found["groups"][name]["malignant_recall"] for name in names}
    assert recalls == {n: a / b for n, (a, b) in zip(names, found_of.values(), strict=True)}
    assert found["specificity"] == (6425 - 632) / 6425
    assert np.isnan(found["auroc"])


FEW = {"image_name": ["a", "b"], "p": [0.25, 0.5], "q": [0.75, 0.5], "label": [0, 1]}
SCORES = {"probabilities": ("p", "q")}


@pytest.mark.parametrize(
    ("rows", "settings", "expected"),
    [
        (
            {"p": ["", 0.5]},
            SCORES,
            r"column 'p': expected probabilities, 0 to 1; image 'a' has ''",
        ),
        ({"q": [0.75, "x\ny"]}, SCORES, r"column 'q': expected prob.*image 'b' has 'x\\ny'"),
        ({"q": [0.75, 1.5]}, SCORES, r"column 'q': expected prob.*'1.5'"),
        ({"q": [0.75, "inf"]}, SCORES, r"column 'q': expected prob"),
        ({"q": [0.75, -0.5]}, SCORES, r"column 'q': expected prob"),
        ({"q": [0.75, 0.55]}, SCORES, r"2 probabilities of image 'b' add up to 1.05: expected 1"),
        ({"p": [0.2, 0.5]}, SCORES, r"2 probabilities of image 'a' add up to 0.95.*not logits"),
        ({}, {"probabilities": ("p", "r")}, r"--probability_columns: .* no column 'r'"),
        ({}, {**SCORES, "classes": ("x",)}, "--classes: expected 2 names for 2 columns .* found 1"),
        ({}, {"probabilities": ("p",), "classes": ("x",)}, "expected 2 names for 1 columns"),
        ({}, {**SCORES, "classes": ("x", "x")}, "two or more, all different, found x, x"),
        ({}, {"decision": "p", "classes": ("x",)}, "--classes: expected two or more"),
        ({}, {**SCORES, "positive": "r"}, "positive='r': expected one of p, q"),
        ({}, {**SCORES, "decision": "d"}, r"--decision_column: .* no column 'd'"),
        ({}, {**SCORES, "decision": "p"}, r"column 'p': expected whole .* image 'a' has '0.25'"),
        ({"target": [0, ""]}, SCORES, "column 'target': .* image 'b' has no decision"),
        (
            {"target": ["p", 0]},
            SCORES,
            r"'target': expected .* 0 to 1, or class names \(p, q\); im",
        ),
        ({"target": [1000, 0]}, {}, "'target': expected whole numbers, 0 to 999; image 'a' has"),
        ({"label": [0, 2]}, SCORES, "'label': expected whole numbers, 0 to 1.*image 'b' has '2'"),
        ({"label": [0, -1]}, SCORES, "'label': expected whole numbers, 0 to 1.*has '-1'"),
        ({"label": [0, 0.5]}, SCORES, "'label': expected whole numbers, 0 to 1.*has '0.5'"),
        ({"label": ["p", "r"]}, SCORES, r"or class names \(p, q\); image 'b' has 'r'"),
        ({"label": ["p", ""]}, SCORES, "image 'b' has no label"),
        ({"label": ["", ""]}, SCORES, "image 'a' has no label"),
        ({}, {**SCORES, "label": ("labl",)}, "--label_column: .* 'labl'; did you mean 'label'"),
        ({}, {**SCORES, "label": ("p", "x")}, "--label_column: .* no column 'x'"),
        (
            {},
            {**SCORES, "label": ("p", "q")},
            "columns p, q: expected exactly one 1 .* 'a' has 0.25",
        ),
        ({"x": [0, 1], "y": [0, 0]}, {**SCORES, "label": ("x", "y")}, "image 'a' has 0, 0"),
        ({"x": [1, 1], "y": [0, 1]}, {**SCORES, "label": ("x", "y")}, "image 'b' has 1, 1"),
        ({"x": [1, 2], "y": [0, -1]}, {**SCORES, "label": ("x", "y")}, "image 'b' has 2, -1"),
        (
            {"x": [1, 0], "y": [0, 1], "z": [0, 0]},
            {**SCORES, "label": ("x", "y", "z")},
            "3 columns for 2 classes",
        ),
        ({"image_name": ["a", "a"]}, SCORES, r"1 rows repeat an image \(first: 'a'\)"),
        ({"image_name": ["a", ""]}, SCORES, "row 2 names no image"),
        ({}, {**SCORES, "image": "img"}, "--image_column: .* no column 'img'"),
        ({"group": ["pale", 1]}, SCORES, "column 'group' holds 'pale': expected a number"),
        ({"group": [4, 1]}, SCORES, "a: group 4: expected 0 to 3"),
        ({}, {}, "no column 'target' of decisions and none of probabilities .*--decision_column"),
    ],
)
def test_mistakes_end_in_a_line(read, rows, settings, expected):
    with pytest.raises(UserError, match=expected) as error:
        read({**FEW, **rows}, **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("table", "settings", "expected"),
    [
        ({"image": ["a"]}, {}, r"no row for 1 images \(first: b\)"),
        ({"image": ["a", "b"]}, {}, r"--label_column: .* no column 'target'"),
        ({"image": ["a", "b"], "dx": "xy"}, {"label": ("d_x",)}, "did you mean 'dx'"),
        ({"image": ["a", "b"], "target": [0, 2]}, {}, "target 2: expected 0 or 1"),
        ({"image": ["a", "b"], "target": [0, ""]}, {}, "image 'b' has no label"),
        ({"image": ["a", "b"], "target": [0, "x"]}, {}, "column 'target' holds 'x'"),
    ],
)
def test_mistakes_in_metadata_end_in_a_line(read, table, settings, expected):
    rows = {"image_name": ["a", "b"], "target": [0, 1]}
    table = {name: list(values) for name, values in table.items()}
    with pytest.raises(UserError, match=expected) as error:
        read(rows, table, **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("reader", [lambda path: read_predictions(path, None), read_metadata])
def test_files_too_large_or_not_text_are_refused(reader, write, tmp_path, monkeypatch):
    (tmp_path / "binary.csv").write_bytes(b"image_name,target\n\xff\x00,1\n")
    with pytest.raises(UserError, match="binary.csv: not a CSV"):
        reader(tmp_path / "binary.csv")
    monkeypatch.setattr("src.datasets.table.MAX_CSV_BYTES", 10)
    with pytest.raises(UserError, match="larger than 10 bytes"):
        reader(write(FEW))


def test_a_binary_target_does_not_judge_seven_classes(softmax, read):
    names, _, _, rows = softmax
    with pytest.raises(UserError, match="say nothing of the 7 classes"):
        read(rows, {"image": names, "target": [0] * N}, probabilities=CLASSES)


def test_sums_that_rounding_explains_are_taken(read):
    rows = {**FEW, "p": [0.26, 0.49], "q": [0.75, 0.5]}
    assert read(rows, **SCORES).probabilities.tolist() == [[0.26, 0.75], [0.49, 0.5]]


def test_one_file_name_may_be_of_two_images_in_a_run_s_file_only(read):
    rows = {**FEW, "image_name": ["1.jpg", "1.jpg"], "target": [0, 1]}
    table = {"image": ["1"], "sex": ["f"]}
    assert read({**rows, "group": [0, 1]}).groups.tolist() == [0, 1]
    for known in ({"metadata": table, "group": [0, 1]}, {"metadata": table}, {}):
        more = {"group": known["group"]} if "group" in known else {}
        with pytest.raises(UserError, match="1 rows repeat an image"):
            read({**rows, **more}, known.get("metadata"))
    folders = {**rows, "image_name": ["x/1.jpg", "y/1.jpg"]}
    assert read(folders).names == ["x/1.jpg", "y/1.jpg"]
    with pytest.raises(UserError, match="1 rows repeat an image"):
        read(folders, table)


GIVEN = {
    "image_column": ("file", "file"),
    "decision_column": ("said", "said"),
    "label_column": ("MEL NV", ("MEL", "NV")),
    "label_classes": ("mel nv", ("mel", "nv")),
    "probability_columns": ("p", ("p",)),
    "classes": ("nv mel", ("nv", "mel")),
    "positive_class": ("nv", "nv"),
}


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_names_its_columns(flag):
    words, value = GIVEN[flag]
    given = parse_flags(melanoma_eval.make_eval_parser(), [f"--{flag}", *words.split()])
    assert csv_columns(given) == CsvColumns(**{FLAGS[flag][0]: value})
    assert given == {}


def test_all_flags_have_a_help_text_and_no_flag_is_the_default():
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("columns")
    add_csv_flags(group)
    flags = {action.dest: action.help for action in group._group_actions}
    assert set(flags) == {*GIVEN, "metadata_image_column"}
    assert all(len(text) > 20 and "(default: " in text for text in flags.values())
    assert csv_columns(vars(parser.parse_args([]))) == CsvColumns()
    given = vars(parser.parse_args(["--metadata_image_column", "file"]))
    assert (csv_columns(given), given) == (CsvColumns(), {"metadata_image_column": "file"})


def test_a_softmax_file_is_judged_from_the_command_line(softmax, write, tmp_path, capsys):
    names, labels, probabilities, rows = softmax
    rows["picture"] = [f"test/{name}.jpg" for name in rows.pop("image")]
    truth = [CLASSES[label].lower() for label in labels]
    table = write({"img": names, "dx": truth, "ita": [60.5] * N}, sep=";", decimal=",")
    flags = ["--predictions_csv", write(rows), "--skin_color_csv", table, "--label_column", "dx"]
    flags += ["--image_column", "picture", "--metadata_image_column", "img"]
    flags += ["--probability_columns", *CLASSES, "--positive_class", "mel"]
    melanoma_eval.main([*map(str, flags), "--output_dir", str(tmp_path / "out")])
    assert "sensitivity" in capsys.readouterr().out
    (written,) = (tmp_path / "out").rglob("predictions*.csv")
    found = read_predictions(written, None)
    np.testing.assert_array_equal(found.probabilities, probabilities)
    np.testing.assert_array_equal(found.labels, labels)
    assert (found.classes, set(found.groups)) == (CLASSES, {0})


@pytest.mark.parametrize("flag", ["--image_column", "--classes", "--metadata_image_column"])
def test_columns_without_a_csv_are_refused(flag):
    with pytest.raises(UserError, match="expected with --predictions_csv only"):
        melanoma_eval.main(["--checkpoint", "x.pth", flag, "x"])
