"""Data of other origin: in the model's classes, without what it has seen, said in every file."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.evaluation.results import point_estimates
from src.evaluator.class_map import ClassMap
from src.evaluator.external import against_rest
from src.scripts import melanoma_eval
from tests.evaluation.drawn_predictions import write_lesion
from tests.evaluator.readings import measured
from tests.evaluator.test_class_values import perfect

HAM = ("--class_map", "mel=malignant,*=benign")


@pytest.fixture
def other(tmp_path, demo, tiny_run):
    """30 new images of 30 patients, and beside them 3 of a training patient, 2 training files."""
    (tmp_path / "images").mkdir()
    train = pd.read_csv(tiny_run / "train_split.csv", dtype=str)
    rows = []
    for place in range(35):
        path = tmp_path / "images" / f"new_{place}.png"
        if place < 33:
            write_lesion(path, f"n{place}")
        else:
            shutil.copy(demo / "isic2020" / train["image"][place], path)
        patient = train["patient_id"][0] if 30 <= place < 33 else f"new {place}"
        rows.append((f"images/{path.name}", ["nevus", "melanoma"][place % 2], patient))
    frame = pd.DataFrame(rows, columns=["image", "label", "patient_id"])
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


def flags_of(folder):
    return ["--external", "--dataset", "table(csv='table.csv')", "--data_path", folder]


def refused(*flags):
    with pytest.raises(UserError) as error:
        melanoma_eval.main([*map(str, flags)])
    return str(error.value)


def test_a_model_is_evaluated_on_data_of_other_origin(
    evaluate, checkpoint, tiny_onnx, other, tmp_path, capsys
):
    source = ["--checkpoint", checkpoint, *flags_of(other)]
    line = refused(*source)
    assert "--class_map 'nevus=...,melanoma=...'" in line or "'melanoma=...,nevus=...'" in line
    source += ["--class_map", "melanoma=malignant,nevus=benign"]
    line = refused(*source)
    assert "5 of 35 images were used to train the model (3 by patient, 2 by image file" in line
    assert "--skip_overlap" in line and "--allow_leakage" in line
    folder, found = evaluate(*source, "--skip_overlap")
    assert (found["overall"]["n"], found["source"]["split"]) == (30, "external")
    assert "5 of 35 images were used to train" in found["notes"][0]
    assert "left out (overlap.csv)" in found["notes"][0]
    assert "5 of 35 images were used to train" in capsys.readouterr().out
    listed = pd.read_csv(folder / "overlap.csv")
    assert [len(listed), listed["patient"].sum(), listed["content"].sum()] == [5, 3, 2]
    assert not listed["evaluated"].any()
    folder, kept = evaluate(*source, "--allow_leakage")
    assert kept["overall"]["n"] == 35 and "results are optimistic" in kept["notes"][0]
    assert pd.read_csv(folder / "overlap.csv")["evaluated"].all()
    # the hashes are not beside the exported model, until they are
    source[:2] = ["--onnx_model_path", shutil.copy(tiny_onnx, tmp_path / "m.onnx")]
    _, unchecked = evaluate(*source)
    assert "cannot be checked" in unchecked["notes"][0]
    assert "cannot be checked" in capsys.readouterr().out
    shutil.copy(checkpoint.parent / "training_rows.json", tmp_path / "m_training_rows.json")
    _, alike = evaluate(*source, "--skip_overlap")
    accuracy = [of["overall"]["metrics"]["auroc"]["value"] for of in (alike, found)]
    assert accuracy[0] == pytest.approx(accuracy[1], abs=1e-3)


def test_rows_of_a_table_without_a_class_are_left_out_by_a_flag_and_named(
    evaluate, checkpoint, other
):
    rows = pd.read_csv(other / "table.csv")[:30]
    rows["label"] = rows["label"].replace({"nevus": "benign", "melanoma": "malignant"})
    rows.loc[[3, 4], "label"] = ["", "unknown"]
    rows.to_csv(other / "gaps.csv", index=False)
    hot = pd.get_dummies(rows["label"]).astype(int)[["benign", "malignant"]]
    rows.drop(columns="label").join(hot).to_csv(other / "hot.csv", index=False)
    for table in ("csv='gaps.csv'", "csv='hot.csv', label=['benign', 'malignant']"):
        flags = ["--checkpoint", checkpoint, "--external", "--data_path", other]
        flags += ["--dataset", f"table({table})"]
        refused(*flags)
        folder, found = evaluate(*flags, "--skip_unlabelled")
        assert found["overall"]["n"] == 28
        assert any("2 images without a true class are left out" in n for n in found["notes"])
        names = pd.read_csv(folder / "unlabelled.csv")["image_name"].tolist()
        assert names == ["images/new_3.png", "images/new_4.png"]
    folders = ["--dataset", "folders", "--data_path", other, "--external", "--skip_unlabelled"]
    assert "--skip_unlabelled" in refused("--checkpoint", checkpoint, *folders)


def test_what_is_left_of_its_own_data_are_its_test_rows(evaluate, checkpoint, demo):
    own = ["--external", "--dataset", "isic2020", "--data_path", demo / "isic2020"]
    _, expected = evaluate("--checkpoint", checkpoint)
    _, found = evaluate("--checkpoint", checkpoint, *own, "--skip_overlap")
    assert measured(found) == measured(expected)


def test_the_hashes_of_training_rows_name_nobody(tiny_run):
    text = (tiny_run / "training_rows.json").read_text()
    content = json.loads(text)
    split = pd.concat(pd.read_csv(tiny_run / f"{name}_split.csv") for name in ("train", "valid"))
    assert len(content["name"]) == len(content["content"]) == len(split)
    assert len(content["patient"]) == split["patient_id"].nunique()
    assert not any(patient in text for patient in split["patient_id"])


def test_flags_that_contradict_external_data_are_refused(checkpoint, drawn, demo):
    model = ["--checkpoint", checkpoint]
    assert "--dataset NAME and --data_path FOLDER" in refused(*model, "--external")
    assert "--skip_overlap: expected with --external" in refused(*model, "--skip_overlap")
    own = ["--external", "--dataset", "isic2020", "--data_path", demo / "isic2020"]
    assert "--kfold: has no effect" in refused(*model, *own, "--kfold", "5")
    assert "--calibration" in refused(*model, *own, "--calibration", "temperature")
    csv = ["--predictions_csv", drawn / "test.csv"]
    assert "--external" in refused(*csv, *own)


def test_names_of_other_data_are_mapped(softmax):
    classes = ("akiec", "mel", "nv")
    assert ClassMap("", classes).classes_of(["MEL", "nv "]) == ["mel", "nv"]
    mapping = ClassMap("melanoma=mel, Nevus=NV", classes)
    assert mapping.classes_of(["Melanoma", "nevus", "akiec"]) == ["mel", "nv", "akiec"]
    mapping = ClassMap("melanoma=mel,*=rest", classes, "mel")
    assert mapping.classes_of(["melanoma", "x", "nv"]) == ["mel", "akiec", "nv"]
    for written, positive, names, expected in (
        ("", "", ["melanoma", "nv"], "--class_map 'melanoma=...'"),
        ("melanoma=mel", "mel", ["melanoma", "benign"], "what benign is with --class_map"),
        ("melanoma", "", [], "melanoma: expected NAME=CLASS"),
        ("a=mel,A=nv", "", [], "A=nv: names it twice"),
        ("a=x", "", [], "a=x: expected one of the classes akiec, mel, nv"),
        ("a=rest", "", [], "with --positive CLASS, rest"),
        ("b=mel", "", ["mel"], "b: no such class in the data"),
        ("", "melanoma", [], "--positive melanoma: expected one of"),
    ):
        with pytest.raises(UserError, match=r".") as error:
            ClassMap(written, classes, positive).classes_of(names)
        assert expected in str(error.value)


def test_one_class_against_the_rest_adds_their_probabilities():
    seven = perfect(("akiec", "mel", "nv"), 1)
    half = np.full_like(seven.probabilities, 0.25) + seven.probabilities / 4
    found = against_rest(type(seven)(**{**vars(seven), "probabilities": half}), "MEL")
    assert (found.classes, found.positive) == (("rest", "mel"), 1)
    is_mel = seven.labels == 1
    np.testing.assert_array_equal(found.labels, is_mel)
    np.testing.assert_array_equal(found.decisions, is_mel)
    np.testing.assert_allclose(found.probabilities[:, 1], np.where(is_mel, 0.5, 0.25))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert point_estimates(found)["sensitivity"] == point_estimates(found)["specificity"] == 1
    assert against_rest(perfect(("mel", "nv"), 1), "mel").classes == ("mel", "nv")


def test_a_csv_s_seven_classes_are_evaluated_as_one_against_the_rest(evaluate, write, softmax):
    _, labels, probabilities, rows = softmax
    truth = {"dx": ["melanoma" if label == 0 else "other" for label in labels]}
    flags = ["--predictions_csv", write({**rows, **truth}), "--label_column", "dx"]
    flags += ["--probability_columns", *tuple(rows)[-7:], "--positive", "MEL"]
    assert "--class_map" in refused(*flags)
    _, found = evaluate(*flags, "--class_map", "melanoma=MEL,*=rest")
    assert found["source"]["classes"] == ["rest", "MEL"]
    assert found["overall"]["n_positive"] == (labels == 0).sum()
    hit = (probabilities.argmax(axis=1) == 0)[labels == 0].mean()
    assert found["overall"]["metrics"]["sensitivity"]["value"] == pytest.approx(hit)


def test_images_without_a_truth_are_left_out_by_a_flag_and_named(evaluate, write, capsys):
    n = 60
    rows = {"image": [f"{i}.jpg" for i in range(n)], "probability_malignant": np.arange(n) / n}
    rows["probability_benign"] = 1 - rows["probability_malignant"]
    labels = ["malignant" if i % 3 == 0 else "benign" for i in range(n)]
    table = pd.DataFrame({"image_id": rows["image"], "dx": labels, "sex": "f"})[2:]
    table.loc[5, "dx"], table.loc[7, "dx"] = "unknown", ""
    hot = table.assign(**{name: (table["dx"] == name).astype(int) for name in set(labels)})
    csv, blank = write(rows), {**rows, "label": ["", "NA", *labels[2:5], "?", labels[6], ""]}
    blank["label"] += labels[8:]
    for flags in (
        ["--predictions_csv", csv, "--metadata_csv", write(table), "--label_column", "dx"],
        ["--predictions_csv", csv, "--metadata_csv", write(hot), "--label_column", *set(labels)],
        ["--predictions_csv", write(blank)],
    ):
        assert "--skip_unlabelled" in refused(*flags)
        capsys.readouterr()
        folder, found = evaluate(*flags, "--skip_unlabelled")
        assert found["overall"]["n"] == n - 4
        assert found["notes"][0].startswith("4 images without a true class are left out (first: 0")
        assert "4 images without a true class" in capsys.readouterr().out
        names = pd.read_csv(folder / "unlabelled.csv")["image_name"].tolist()
        assert names == ["0.jpg", "1.jpg", "5.jpg", "7.jpg"]
