"""A teacher of each training row: models that were not fitted to it, never ones that saw a test."""

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from src.artifact.contract import Contract
from src.artifact.decisions import usual_rule
from src.core.errors import UserError
from src.datasets import overlap
from src.datasets.load import table_hash
from src.datasets.overlap import write_training_rows
from src.datasets.table import make_table
from src.inference import teacher
from src.inference.predictor import OnnxPredictor
from src.inference.teacher import taught
from src.preprocess.spec import parse_preprocessing
from tests.inference.onnx_files import with_contract

CLASSES = ("benign", "malignant")
WEIGHTS = {"a": [[2.0, 0.0], [1.0, 0.5], [0.0, 3.0]], "b": [[0.0, 1.0], [2.0, 0.0], [1.0, 1.0]]}
N = 12


def rows_in(folder, splits, **columns):
    """A table of the folder's 12 images, whose bytes are their contents' digests, in `splits`."""
    frame = pd.DataFrame(
        {
            "image": [str(folder / f"i{n:02}.png") for n in range(N)],
            "label": [n % 2 for n in range(N)],
            "split": splits,
            **columns,
        }
    )
    table = make_table(frame, CLASSES, 1)
    return table.with_rows(table.rows.assign(content=[f"digest {n}" for n in range(N)]))


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for n in range(N):
        cv2.imwrite(str(folder / f"i{n:02}.png"), rng.integers(0, 256, (8, 8, 3), np.uint8))
    return folder


@pytest.fixture
def student(images):
    """Eight training rows and four test rows."""
    return rows_in(images, ["train"] * 8 + ["test"] * 4)


def save_member(folder, name, seen, classes=CLASSES):
    """A model of `folder`, with the hashes of its rows beside it."""
    folder.mkdir(exist_ok=True)
    contract = Contract(
        model="m",
        n_outputs=2,
        classes=classes,
        positive=1,
        groups=seen.groups,
        reduction="softmax",
        preprocessing=parse_preprocessing("resize || normalize(stats='half')", 8),
        rule=usual_rule(2),
        provenance={"table": table_hash(seen)},
    )
    with_contract(folder / f"{name}.onnx", contract, WEIGHTS[name])
    write_training_rows(seen, folder)
    (folder / overlap.FILE).rename(folder / f"{name}_{overlap.FILE}")
    return folder / f"{name}.onnx"


@pytest.fixture
def folds(tmp_path, images):
    """Two models of a cross-validation over the student's training rows."""
    tests = ["test"] * 4
    save_member(tmp_path / "folds", "a", rows_in(images, ["train"] * 4 + ["valid"] * 4 + tests))
    save_member(tmp_path / "folds", "b", rows_in(images, ["valid"] * 4 + ["train"] * 4 + tests))
    return tmp_path / "folds"


def of_model(path, table):
    paths = list(map(teacher.Path, table.split("train").rows["image"]))
    return np.stack([found.probabilities for found in OnnxPredictor(path).predict(paths)])


def refusal(*args, allow_unknown=False):
    with pytest.raises(UserError) as caught:
        taught(*args, allow_unknown)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_row_is_taught_by_those_that_were_not_fitted_to_it_else_by_all(
    student, folds, tmp_path, images
):
    a, b = (of_model(folds / f"{name}.onnx", student) for name in "ab")
    found = taught(student, folds, tmp_path / "cache", False)
    assert found.dtype == np.float32 and np.abs(a - b).min() > 1e-3
    np.testing.assert_allclose(found, [*b[:4], *a[4:]], atol=1e-6)
    save_member(folds, "b", rows_in(images, ["train"] * 8 + ["test"] * 4))
    found = taught(student, folds, tmp_path / "cache", False)
    np.testing.assert_allclose(found, [*((a + b) / 2)[:4], *a[4:]], atol=1e-6)


def test_classes_in_another_order_are_put_in_the_tables(student, tmp_path, images):
    path = save_member(tmp_path / "one", "a", student, CLASSES[::-1])
    found = taught(student, path, tmp_path / "cache", False)
    np.testing.assert_allclose(found, of_model(path, student)[:, ::-1], atol=1e-6)
    save_member(tmp_path / "one", "a", student, ("benign", "mel"))
    assert "knows the classes benign, mel; the data have benign, malignant" in refusal(
        student, path, tmp_path
    )


def test_a_teacher_that_saw_what_evaluates_the_student_is_refused(student, tmp_path, images):
    """By its name, its bytes, its patient or its lesion; in whatever split of its own."""
    splits, nobody = ["train"] * 7 + ["valid"] + ["test"] * 4, [f"p{n}" for n in range(N)]
    known = {"patient_id": nobody, "lesion_id": nobody}
    clean = rows_in(images, splits, **known)
    student = rows_in(images, ["train"] * 8 + ["test"] * 4, **known)
    path = save_member(tmp_path / "one", "a", clean)
    assert len(taught(student, path, tmp_path / "cache", False)) == 8
    for way, row, column, value in (
        ("image name", 0, "image", str(images / "elsewhere" / "i09.JPG")),
        ("image file", 0, "content", "digest 9"),
        ("patient", 0, "patient_id", "p9"),
        ("lesion", 7, "lesion_id", "p9"),
    ):
        seen = clean.rows.copy()
        seen.loc[row, column] = value
        path = save_member(tmp_path / "one", "a", clean.with_rows(seen))
        said = refusal(student, path, tmp_path / "cache", allow_unknown=True)
        assert (
            f"1 of the 4 test rows on which the student is evaluated (known by {way}; first: i09"
            in said
        )


def test_rows_that_chose_the_teachers_epoch_may_choose_the_students(tmp_path, images):
    """But not rows that the teacher's weights were fitted to."""
    splits = ["train"] * 6 + ["valid"] * 2 + ["test"] * 4
    student = rows_in(images, splits)
    path = save_member(tmp_path / "one", "a", student)
    assert len(taught(student, path, tmp_path / "cache", False)) == 6
    path = save_member(tmp_path / "one", "a", rows_in(images, splits[::-1]))
    assert "test rows on which the student is evaluated" in refusal(
        student, path, tmp_path / "cache"
    )
    others = ["train"] * 4 + ["valid"] + ["train"] * 3 + ["test"] * 4
    path = save_member(tmp_path / "one", "a", rows_in(images, others))
    assert "2 of the 2 validation rows" in refusal(student, path, tmp_path / "cache")


def test_a_teacher_of_unknown_rows_is_taken_at_ones_word(student, folds, tmp_path):
    (folds / f"a_{overlap.FILE}").unlink()
    said = refusal(student, folds, tmp_path / "cache")
    assert "a.onnx" in said and "--allow_leakage true" in said and overlap.FILE in said
    a, b = (of_model(folds / f"{name}.onnx", student) for name in "ab")
    found = taught(student, folds, tmp_path / "cache", True)
    np.testing.assert_allclose(found, [*((a + b) / 2)[:4], *a[4:]], atol=1e-6)


def test_what_models_say_is_computed_once(student, folds, tmp_path, monkeypatch):
    first = taught(student, folds, tmp_path / "cache", False)
    (kept,) = (tmp_path / "cache").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(teacher, "predicted", lambda *_: pytest.fail("computed again"))
        assert np.array_equal(taught(student, folds, tmp_path / "cache", False), first)
    for damaged in (b"", kept.read_bytes()[:-4], b"\x93NUMPY\x01\x00"):
        kept.write_bytes(damaged)
        assert np.array_equal(taught(student, folds, tmp_path / "cache", False), first)
    with_contract(folds / "a.onnx", OnnxPredictor(folds / "a.onnx").contract, WEIGHTS["b"])
    assert not np.array_equal(taught(student, folds, tmp_path / "cache", False), first)


def write_csv(path, names, malignant, **columns):
    frame = pd.DataFrame({"image_name": names, "target": 0, "probability_malignant": malignant})
    columns = {"probability_benign": 1 - frame["probability_malignant"]} | columns
    frame.assign(**columns).to_csv(path, index=False)
    return path


def test_a_csv_is_looked_up_by_image(student, tmp_path):
    order = np.random.default_rng(0).permutation(N)
    path = write_csv(tmp_path / "t.csv", [f"set/I{n:02}.jpg" for n in order], order / 20)
    found = taught(student, path, tmp_path / "cache", True)
    np.testing.assert_allclose(found[:, 1], np.arange(8) / 20, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert overlap.FILE in refusal(student, path, tmp_path / "cache")
    write_training_rows(student, tmp_path)
    assert len(taught(student, path, tmp_path / "cache", False)) == 8
    all_rows = replace(student, rows=student.rows.assign(split="train"))
    (tmp_path / overlap.FILE).unlink()
    (tmp_path / "fold_1").mkdir()
    write_training_rows(all_rows, tmp_path / "fold_1")
    assert "4 of the 4 test rows" in refusal(student, path, tmp_path / "cache")


def test_a_csv_that_cannot_teach_is_refused_by_what_is_wrong(student, tmp_path):
    names, good = [f"i{n:02}" for n in range(N)], np.full(N, 0.25)
    path = tmp_path / "t.csv"
    for named, rows, malignant, columns in (
        ("2 of 8 training images are not in it (first: i00)", names[2:], good[2:], {}),
        ("1 of 8 training images are in it more than once", [*names, "I03.png"], 0.25, {}),
        ("line 3: probability_benign '-0.5'", names, [0.25, 1.5, *good[2:]], {}),
        ("line 2: probability_benign ''", names, [np.nan, *good[1:]], {}),
        ("knows the classes", names, good, {"probability_nevus": 0.0}),
        ("sum to 1", names, good, {"probability_benign": 0.5}),
    ):
        write_csv(path, rows, malignant, **columns)
        assert named in refusal(student, path, tmp_path / "cache", allow_unknown=True)
    pd.DataFrame({"image_name": names, "target": 0}).to_csv(path, index=False)
    assert "probability_benign" in refusal(student, path, tmp_path, allow_unknown=True)
