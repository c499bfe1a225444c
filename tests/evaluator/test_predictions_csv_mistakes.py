"""Predictions CSVs that are none: a line says what was expected, found and can be done."""

import pytest

from src.core.errors import UserError
from src.evaluator.metadata import read_metadata
from src.evaluator.predictions_csv import read_predictions

FEW = {"image_name": ["a", "b"], "p": [0.25, 0.5], "q": [0.75, 0.5], "label": [0, 1]}
SCORES = {"probability_columns": ("p", "q")}


@pytest.mark.parametrize(
    ("rows", "settings", "expected"),
    [
        ({"p": ["", 0.5]}, SCORES, r"column 'p': expected probabilities, 0 to 1; image 'a' has ''"),
        ({"q": [0.75, "x\ny"]}, SCORES, r"column 'q': expected prob.*image 'b' has 'x\\ny'"),
        ({"q": [0.75, 1.5]}, SCORES, r"column 'q': expected prob.*'1.5'"),
        ({"p": ["0_1", 0.5], "q": [0, 0.5]}, SCORES, r"column 'p': expected prob.*'0_1'"),
        ({"p": ["0_0", 0.5], "q": [1, 0.5]}, SCORES, r"column 'p': expected prob.*'0_0'"),
        ({}, {**SCORES, "classes": ("x", "a\nb")}, r"expected printable names, found a\\nb"),
        ({}, {**SCORES, "label_classes": ("x", "\udcff")}, r"expected printable names, found \\ud"),
        ({"q": [0.75, "inf"]}, SCORES, r"column 'q': expected prob"),
        ({"q": [0.75, -0.5]}, SCORES, r"column 'q': expected prob"),
        ({"q": [0.75, 0.55]}, SCORES, r"2 probabilities of image 'b' add up to 1.05: expected 1"),
        ({"p": [0.2, 0.5]}, SCORES, r"2 probabilities of image 'a' add up to 0.95.*not logits"),
        ({}, {"probability_columns": ("p", "r")}, r"--probability_columns: .* no column 'r'"),
        ({}, {**SCORES, "classes": ("x",)}, "--classes: expected 2 names for 2 columns .* found 1"),
        ({}, {"probability_columns": ("p",), "classes": ("x",)}, "expected 2 names for 1 columns"),
        ({}, {**SCORES, "classes": ("x", "x")}, "--classes.*all different, found x, x"),
        ({}, {**SCORES, "classes": ("x", "X ")}, "--classes.*all different, found X , x"),
        ({}, {**SCORES, "classes": ("1", "1.0")}, "--classes.*all different, found 1, 1.0"),
        ({}, {**SCORES, "classes": ("x", " ")}, "--classes.*printable names"),
        ({}, {**SCORES, "label_classes": ("x", "")}, "--label_classes: .*printable names"),
        ({}, {**SCORES, "label_classes": ("p", "p")}, "--label_classes: .*all different"),
        ({}, {"decision_column": "p", "classes": ("x",)}, "--classes: expected two or more"),
        ({}, {**SCORES, "positive_class": "r"}, "positive='r': expected one of p, q"),
        ({}, {**SCORES, "decision_column": "d"}, r"--decision_column: .* no column 'd'"),
        (
            {},
            {**SCORES, "decision_column": "p"},
            r"column 'p': expected whole .* image 'a' has '0.25'",
        ),
        (
            {"target": [0, ""]},
            {**SCORES, "decision_column": "target"},
            "column 'target': .* image 'b' has no decision",
        ),
        (
            {"target": ["p", 0]},
            {**SCORES, "decision_column": "target"},
            r"'target': expected .* 0 to 1, or class names \(p, q\); im",
        ),
        ({"target": [1000, 0]}, {}, "'target': expected whole numbers, 0 to 199; image 'a' has"),
        ({"label": [0, 2]}, SCORES, "'label': expected whole numbers, 0 to 1.*image 'b' has '2'"),
        ({"label": [0, -1]}, SCORES, "'label': expected whole numbers, 0 to 1.*has '-1'"),
        ({"label": [0, 0.5]}, SCORES, "'label': expected whole numbers, 0 to 1.*has '0.5'"),
        ({"label": ["p", "r"]}, SCORES, r"or class names \(p, q\); image 'b' has 'r'"),
        ({"label": ["p", ""]}, SCORES, "image 'b' has no label"),
        ({"label": ["", ""]}, SCORES, "image 'a' has no label"),
        (
            {},
            {**SCORES, "label_column": ("labl",)},
            "--label_column: .* 'labl'; did you mean 'label'",
        ),
        ({}, {**SCORES, "label_column": ("p", "x")}, "--label_column: .* no column 'x'"),
        (
            {},
            {**SCORES, "label_column": ("p", "q")},
            "columns p, q: expected exactly one 1 .* 'a' has 0.25",
        ),
        ({"x": [0, 1], "y": [0, 0]}, {**SCORES, "label_column": ("x", "y")}, "image 'a' has 0, 0"),
        ({"x": [1, 1], "y": [0, 1]}, {**SCORES, "label_column": ("x", "y")}, "image 'b' has 1, 1"),
        (
            {"x": [1, 2], "y": [0, -1]},
            {**SCORES, "label_column": ("x", "y")},
            "image 'b' has 2, -1",
        ),
        (
            {"x": [1, 0], "y": [0, 1], "z": [0, 0]},
            {**SCORES, "label_column": ("x", "y", "z")},
            "3 columns for 2 classes",
        ),
        ({"image_name": ["a", "a"]}, SCORES, r"1 rows repeat an image \(first: 'a'\)"),
        ({"image_name": ["a", ""]}, SCORES, "row 2 names no image"),
        ({}, {**SCORES, "image_column": "img"}, "--image_column: .* no column 'img'"),
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
        ({"image": ["a", "b"], "dx": "xy"}, {"label_column": ("d_x",)}, "did you mean 'dx'"),
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
    with pytest.raises(UserError, match=r"binary.csv: not a CSV"):
        reader(tmp_path / "binary.csv")
    monkeypatch.setattr("src.datasets.csv_files.MAX_CSV_BYTES", 10)
    with pytest.raises(UserError, match="larger than 10 bytes"):
        reader(write(FEW))


def test_a_binary_target_does_not_evaluate_seven_classes(softmax, read):
    names, _, probabilities, rows = softmax
    scores = tuple(rows)[-probabilities.shape[1] :]
    with pytest.raises(UserError, match="say nothing of the 7 classes"):
        read(rows, {"image": names, "target": [0] * len(names)}, probability_columns=scores)


def test_sums_that_rounding_explains_are_taken(read):
    rows = {**FEW, "p": [0.26, 0.49], "q": [0.75, 0.5]}
    assert read(rows, **SCORES).probabilities.tolist() == [[0.26, 0.75], [0.49, 0.5]]


@pytest.mark.parametrize(("n_classes", "most"), [(2, 0.02), (4, 0.02), (8, 0.04), (100, 0.5)])
def test_more_classes_may_be_rounded_to_a_sum_further_from_1(read, n_classes, most):
    """Two digits each: every one of n classes is off by 0.005 at most."""
    scores = tuple(f"c{place}" for place in range(n_classes))
    for off, is_taken in ((most - 0.001, True), (most + 0.001, False)):
        for total in (1 - off, 1 + off):
            rows = {"image": ["a"], "label": [0]} | {key: [total / n_classes] for key in scores}
            if is_taken:
                found = read(rows, probability_columns=scores).probabilities
                assert found.sum() == pytest.approx(total)
            else:
                with pytest.raises(UserError, match="add up to"):
                    read(rows, probability_columns=scores)


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


def test_more_classes_than_there_may_be_are_refused_before_they_are_read(write, monkeypatch):
    rows = {"image": [*range(50)], "label": 0} | {f"probability_{i}": 0.5 for i in range(1001)}
    monkeypatch.setattr("src.evaluator.predictions_csv.exact_probabilities", None)
    with pytest.raises(UserError, match="at most 200 classes, found 1,001"):
        read_predictions(write(rows), None)
