"""Class names that are numbers: a name is that name, an index that index, and never the other."""

import numpy as np
import pytest

from src.core.errors import UserError
from src.evaluation.predictions import Predictions
from src.evaluation.results import point_estimates
from src.evaluator.flags import CsvColumns
from src.evaluator.metadata import read_metadata
from src.evaluator.predictions_csv import read_labelled, read_predictions

ELEVEN = tuple(sorted(map(str, range(11))))  # 0, 1, 10, 2, ...
SCORES = tuple(f"probability_{name}" for name in ELEVEN)
TONES = ("Very light", "Light", "Intermediate", "Tan and darker")


def perfect(classes, positive=0):
    """Predictions of 44 images without a mistake."""
    labels = np.arange(44) % len(classes)
    names, unknown = [f"{place}.jpg" for place in range(44)], np.full(44, -1)
    sure = np.eye(len(classes))[labels]
    return Predictions(names, labels, unknown, sure, labels, classes, positive, TONES)


def named(predictions, column="label"):
    """The columns of a table that says the true classes by their names."""
    labels = [predictions.classes[label] for label in predictions.labels]
    return {"image": predictions.names, column: labels}


def scores_of(predictions):
    columns = (f"probability_{name}" for name in predictions.classes)
    return dict(zip(columns, predictions.probabilities.T, strict=True))


@pytest.mark.parametrize(
    ("classes", "positive"), [(ELEVEN, 0), (("1", "0"), 1), (("2", "1"), 0), (("7", "mel"), 1)]
)
def test_a_run_s_own_csv_gives_the_run_s_figures_alone_and_against_its_table(
    tmp_path, write, classes, positive
):
    run = perfect(classes, positive)
    run.to_csv(tmp_path / "predictions.csv")
    wanted = CsvColumns(positive_class=classes[positive])
    expected = point_estimates(run)
    assert (expected["accuracy"], expected["sensitivity"], expected["auroc"]) == (1, 1, 1)
    table = read_metadata(write(named(run)))
    for metadata, label in ((None, ()), (table, ()), (table, ("label",))):
        columns = CsvColumns(positive_class=wanted.positive_class, label_column=label)
        found = read_predictions(tmp_path / "predictions.csv", metadata, columns)
        np.testing.assert_equal(point_estimates(found), expected)


def test_the_targets_of_a_table_are_names_where_they_are_class_names(tmp_path, write):
    """With 0 for malignant: 1 is not the positive class."""
    run = perfect(("1", "0"), positive=1)
    csv = write({"image": run.names, **scores_of(run)})
    table = read_metadata(write(named(run, "target")))
    found = read_predictions(csv, table, CsvColumns(positive_class="0"))
    assert point_estimates(found)["sensitivity"] == 1


def test_what_decides_for_the_most_probable_class_in_one_reading_only_is_read_so(read):
    """A stranger's names and the indices of an earlier run, each with probabilities beside them."""
    run = perfect(ELEVEN)
    by_name = [ELEVEN[label] for label in run.labels]
    for said in (by_name, [f"{name}.0" for name in by_name], run.labels):
        found = read({"image": run.names, "target": said, "label": said, **scores_of(run)})
        assert point_estimates(found)["accuracy"] == 1
    found = read({"image": run.names, "label": by_name, **scores_of(run)})
    assert point_estimates(found)["accuracy"] == 1, "a text that is a class name is that name"


def test_what_can_be_read_both_ways_is_refused_until_a_flag_says_it(read):
    run = perfect(ELEVEN)
    wrong = [ELEVEN[(label + 1) % 11] for label in run.labels]
    rows = {"image": run.names, "target": wrong, "label": wrong, **scores_of(run)}
    with pytest.raises(UserError, match=r"column 'target': .*--class_values names, or") as error:
        read(rows)
    assert "'10' is the class 10 by its name and 9 by its index" in str(error.value)
    found = read(rows, class_values="names")
    assert found.decisions.tolist() == ((run.labels + 1) % 11).tolist()
    assert (found.labels == found.decisions).all()
    found = read(rows, class_values="indices")
    assert found.labels.tolist() == [int(name) for name in wrong]


def test_labels_that_can_be_read_both_ways_need_no_decisions_to_be_refused(read):
    """The classes 2, 1, 0 with true indices, or names, beside probabilities alone."""
    run = perfect(("2", "1", "0"))
    rows = {"image": run.names, **scores_of(run)}
    by_name = [run.classes[label] for label in run.labels]
    for said in (run.labels, by_name):
        assert point_estimates(read({**rows, "label": said}))["accuracy"] == 1
    for said in (run.labels, by_name):
        once_wrong = [said[2], *said[1:]]
        with pytest.raises(UserError, match=r"column 'label': .*--class_values names, or"):
            read({**rows, "label": once_wrong})
        for reading in ("names", "indices"):
            found = read({**rows, "label": once_wrong}, class_values=reading)
            right = (reading == "indices") == (said is run.labels)
            assert (found.labels == found.decisions).sum() == (43 if right else 16)
    one = {"image": run.names, "p": run.probabilities[:, 0]}
    settings = {"probability_columns": ("p",), "classes": ("1", "0")}
    with pytest.raises(UserError, match=r"column 'label': .*--class_values names, or"):
        read({**one, "label": np.arange(44) % 2}, **settings)


def test_a_table_with_indices_where_its_texts_are_names_is_doubted(tmp_path, write):
    run = perfect(("2", "1", "0"))
    csv = write({"image": run.names, **scores_of(run)})
    for labels, doubted in ((run.labels, True), (named(run)["label"], False)):
        table = read_metadata(write({"image": run.names, "dx": labels}))
        columns = CsvColumns(label_column=("dx",))
        found, _, doubt = read_labelled(csv, table, columns)
        assert ("--label_classes 2 1 0" in doubt) == doubted
        assert point_estimates(found)["accuracy"] == pytest.approx(15 / 44 if doubted else 1)
    said = CsvColumns(label_column=("dx",), label_classes=run.classes)
    table = read_metadata(write({"image": run.names, "dx": run.labels}))
    found, _, doubt = read_labelled(csv, table, said)
    assert (point_estimates(found)["accuracy"], doubt) == (1, "")


def test_decisions_in_words_of_truth_are_the_positive_class_and_the_other(read):
    words = ["True", "False", "True", "False"]
    for rows, classes in (
        ({"image": list("abcd")}, ()),
        (
            {"image": list("abcd"), "probability_no mel": [0.5] * 4, "probability_mel": [0.5] * 4},
            (),
        ),
        ({"image": list("abcd")}, ("nv", "mel")),
    ):
        for label in (words, [1, 0, 1, 0]):
            found = read({**rows, "target": words, "label": label}, classes=classes)
            assert found.decisions.tolist() == found.labels.tolist() == [1, 0, 1, 0]
    with pytest.raises(UserError, match=r"column 'target'.* has 'mel'.*--classes"):
        read({"image": ["a", "b"], "target": ["mel", "nv"], "label": ["mel", "nv"]})
    both = {"image": ["a", "b"], "target": ["mel", "nv"], "label": ["mel", "nv"]}
    assert read(both, classes=("nv", "mel")).labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    "classes", [("True", "False"), ("yes", "no"), ("positive", "negative"), ("1", "0")]
)
def test_a_target_of_1_is_the_positive_class_wherever_its_column_stands(read, classes):
    run = perfect(classes)
    found = read(
        {"image": run.names, **scores_of(run)}, {"image": run.names, "target": 1 - run.labels}
    )
    figures = point_estimates(found)
    assert found.classes[found.positive] == classes[0]
    assert (figures["accuracy"], figures["sensitivity"], figures["auroc"]) == (1, 1, 1)


def test_indices_beside_names_are_refused(read):
    """0 and 1 of the classes 1 and 2: is 1 the first or the second?"""
    rows = {"image": ["a", "b"], "probability_1": [0.75, 0.25], "probability_2": [0.25, 0.75]}
    with pytest.raises(UserError, match=r"column 'label': .* image 'a' has '0'.*--class_values"):
        read({**rows, "label": [0, 1]})
    assert read({**rows, "label": [1, 2]}).labels.tolist() == [0, 1]
    assert read({**rows, "label": [0, 1]}, label_classes=("1", "2")).labels.tolist() == [0, 1]


def test_names_are_written_only_where_indices_mislead(tmp_path):
    for classes, is_named in ((ELEVEN, True), (("0", "1"), False), (("benign", "mel"), False)):
        perfect(classes).to_csv(tmp_path / "p.csv")
        header = (tmp_path / "p.csv").read_text().splitlines()[0].split(",")
        assert header[:4] == ["image_name", "target", "label", "group"]
        assert (header[4:6] == ["target_class", "label_class"]) == is_named
