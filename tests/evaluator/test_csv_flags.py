"""The flags that name a CSV's columns, and files judged with them."""

import argparse

import numpy as np
import pytest

from src.core.errors import UserError
from src.core.options import parse_flags
from src.evaluator.predictions_csv import (
    FLAGS,
    CsvColumns,
    add_csv_flags,
    csv_columns,
    read_predictions,
)
from src.scripts import melanoma_eval

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
    assert set(GIVEN) == set(FLAGS) <= set(flags)
    assert all(len(text) > 20 and "(default: " in text for text in flags.values())
    assert csv_columns(vars(parser.parse_args([]))) == CsvColumns()


def test_a_softmax_file_is_judged_from_the_command_line(softmax, write, tmp_path, capsys):
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


@pytest.mark.parametrize("flag", ["--image_column", "--classes"])
def test_columns_without_a_csv_are_refused(flag):
    with pytest.raises(UserError, match="expected with --predictions_csv only"):
        melanoma_eval.main(["--checkpoint", "x.pth", flag, "x"])
