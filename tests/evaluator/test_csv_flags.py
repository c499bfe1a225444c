"""The flags that name a CSV's columns, and files evaluated with them."""

from dataclasses import fields

import numpy as np
import pytest

from src.core.errors import UserError
from src.core.options import _help_of
from src.evaluator.flags import CsvColumns
from src.evaluator.predictions_csv import read_predictions
from src.scripts import melanoma_eval

pytestmark = pytest.mark.slow

GIVEN = {
    "image_column": ("file", "file"),
    "decision_column": ("said", "said"),
    "label_column": ("MEL NV", ("MEL", "NV")),
    "label_classes": ("mel nv", ("mel", "nv")),
    "probability_columns": ("p", ("p",)),
    "classes": ("nv mel", ("nv", "mel")),
    "class_values": ("names", "names"),
    "positive_class": ("nv", "nv"),
}


def test_every_flag_names_its_columns():
    assert set(GIVEN) == {f.name for f in fields(CsvColumns)}
    for flag, (words, value) in GIVEN.items():
        argv = ["--predictions_csv", "p.csv", f"--{flag}", *words.split()]
        given, _, columns, _ = melanoma_eval.parse(argv)
        assert (given, columns) == ({}, CsvColumns(**{flag: value}))


def test_every_help_text_says_what_is_usual():
    texts = [_help_of(f) for f in fields(CsvColumns)]
    assert all(text.count("(default: ") == 1 for text in texts)


def test_a_softmax_file_is_evaluated_from_the_command_line(softmax, write, tmp_path, capsys):
    names, labels, probabilities, rows = softmax
    classes = tuple(rows)[-probabilities.shape[1] :]
    rows["picture"] = [f"test/{name}.jpg" for name in rows.pop("image")]
    truth = [classes[label].lower() for label in labels]
    table = write({"img": names, "dx": truth, "ita": [60.5] * len(names)}, sep=";", decimal=",")
    flags = ["--predictions_csv", write(rows), "--skin_color_csv", table, "--label_column", "dx"]
    flags += ["--image_column", "picture", "--metadata_image_column", "img"]
    flags += ["--probability_columns", *classes, "--positive_class", "mel"]
    melanoma_eval.main([*map(str, flags), "--output_dir", str(tmp_path / "out")])
    assert "sensitivity" in capsys.readouterr().out
    (written,) = (tmp_path / "out").rglob("predictions*.csv")
    found = read_predictions(written, None)
    np.testing.assert_array_equal(found.probabilities, probabilities)
    np.testing.assert_array_equal(found.labels, labels)
    assert (found.classes, set(found.groups)) == (classes, {0})


def test_columns_without_a_csv_are_refused(tiny_onnx):
    for flag in ("--image_column", "--classes"):
        with pytest.raises(UserError, match=f"{flag}: expected with --predictions_csv only"):
            melanoma_eval.main(["--onnx_model_path", str(tiny_onnx), flag, "x"])
