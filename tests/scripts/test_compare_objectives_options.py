"""`compare_objectives`: its flags, what is refused, and how the files of a run are read."""

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.core.options import parse_flags
from src.objectives.catalog import OBJECTIVES
from src.scripts import compare_objectives as module
from src.scripts.compare_objectives import (
    main,
    make_comparison_parser,
    read_scores,
    take_options,
    units_of,
)


def options(*argv):
    return take_options(parse_flags(make_comparison_parser(), list(argv)))


def test_defaults_compare_every_objective_with_cross_entropy():
    found = options()
    assert found.objectives[0] == "cross_entropy"
    assert sorted(found.objectives) == OBJECTIVES.names()
    assert found.seeds == [0, 1, 2]
    assert (found.specificity, found.min_malignant, found.n_draws) == (0.9, 10, 2000)


def test_flags_are_taken_with_hyphens_too_and_the_others_are_left():
    argv = ["--n-draws", "100", "--min-malignant", "3", "--specificity", "0", "--seeds", "4", "2"]
    given = parse_flags(make_comparison_parser(), [*argv, "--epochs", "2"])
    found = take_options(given)
    assert (found.specificity, found.min_malignant, found.n_draws) == (0, 3, 100)
    assert found.seeds == [4, 2]
    assert given == {"epochs": "2"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--specificity 1", "--specificity: expected 0 to 1, less than 1"),
        ("--specificity -0.1", "--specificity: expected 0 to 1"),
        ("--specificity nan", "--specificity: expected 0 to 1"),
        ("--specificity high", "--specificity 'high': expected a number"),
        ("--min_malignant 0", "--min_malignant: expected 1 or more"),
        ("--min_malignant 1.5", "--min_malignant '1.5': expected whole numbers"),
        ("--n_draws 99", "--n_draws: expected 100 or more"),
        ("--n_draws 1e3", "--n_draws '1e3': expected whole numbers"),
        ("--seeds 0 1 0", "--seeds: expected different ones"),
        ("--seeds 1 01", "--seeds: expected different ones"),
        ("--seeds one", "--seeds 'one': expected whole numbers"),
        ("--seeds 0 -1", "--seeds: expected 0 or more"),
        ("--seeds 4294967296", "4294967296: expected 0 to 4294967295"),
        ("--seeds", "argument --seeds: expected at least one argument"),
        ("--objectives", "argument --objectives: expected at least one argument"),
        ("--objectives focal focal", "--objectives: expected different ones"),
        ("--objectives focal focal(gamma=2)", "--objectives: expected different ones"),
        ("--objectives cross_entropy cross_entropy()", "--objectives: expected different ones"),
        ("--objectives focal focall", "did you mean 'focal'"),
        ("--objectives focal ohem(fraction=2)", "expected 0 < fraction <= 1"),
        ("--objective focal", "--objective: set for each run; expected --objectives and --seeds"),
        ("--seed 1", "--seed: set for each run"),
        ("--split_seed 1", "--split_seed: set for each run"),
        ("--run_name a", "--run_name: set for each run"),
        ("--resume auto", "--resume: set for each run"),
        ("--n_draw 100", "unknown argument '--n_draw'; did you mean 'n_draws'"),
        ("--monitor recall", "--monitor recall: no such metric"),
    ],
)
def test_wrong_options_are_refused_in_words_before_training(tmp_path, monkeypatch, flags, message):
    monkeypatch.setattr(module, "train", lambda cfg: pytest.fail("trained"))
    with pytest.raises(UserError) as error:
        main([*flags.split(), "--output_dir", str(tmp_path / "out")])
    assert message in str(error.value)
    assert str(error.value).isprintable()
    assert not (tmp_path / "out").exists()


def write_run(folder, images, patients, labels, scores):
    """A run's files of as many validation and test rows."""
    folder.mkdir()
    rows = pd.DataFrame({"image": images, "patient_id": patients, "lesion_id": ""})
    rows.to_csv(folder / "test_split.csv", index=False)
    names = [path.rpartition("/")[2] for path in images]
    for split in ("valid", "test"):
        frame = {"image_name": names, "target": 0, "label": labels, "group": 0}
        scores = np.array(scores)
        columns = {"probability_benign": 1 - scores, "probability_malignant": scores}
        pd.DataFrame(frame | columns).to_csv(folder / f"predictions_{split}.csv", index=False)
    return folder


def test_patients_are_numbered_alike_in_all_runs(tmp_path):
    one = write_run(tmp_path / "1", ["a", "b", "c"], ["p", "q", ""], [0, 1, 0], [0.1, 0.2, 0.3])
    two = write_run(tmp_path / "2", ["d", "c", "a"], ["q", "", "p"], [0, 1, 0], [0.1, 0.2, 0.3])
    units = units_of([one, two])
    assert set(units) == set("abcd")
    assert units["b"] == units["d"]
    assert sorted({units[name] for name in "abc"}) == [0, 1, 2]
    for folder, images in ((one, "abc"), (two, "dca")):
        scores = read_scores(folder, units, 0.5)
        assert scores.units.tolist() == [units[name] for name in images]
        assert scores.images.tolist() == list(images)


def test_images_of_one_file_name_in_two_folders_are_two(tmp_path):
    images = ["benign/1.jpg", "malignant/1.jpg", "benign/2.jpg"]
    folder = write_run(tmp_path / "r", images, ["p", "q", "p"], [0, 1, 0], [0.1, 0.9, 0.2])
    found = read_scores(folder, units_of([folder]), 0.5)
    assert found.images.tolist() == images
    assert found.units[0] == found.units[2] != found.units[1]


def test_the_threshold_is_that_of_the_validation_rows(tmp_path):
    above = float(np.nextafter(0.4, 1))  # the threshold itself
    folder = write_run(tmp_path / "r", list("abcd"), list("abcd"), [0, 0, 0, 1], [1, 2, 3, 4])
    for split, scores in (("valid", [0.2, 0.4, 0.6, 0.5]), ("test", [0.39, above, 0.61, 0.4])):
        path = folder / f"predictions_{split}.csv"
        others = 1 - np.array(scores)
        frame = pd.read_csv(path).assign(probability_malignant=scores, probability_benign=others)
        frame.to_csv(path, index=False)
    for specificity, decisions in ((0.6, [0, 1, 1, 0]), (0.9, [0, 0, 1, 0]), (0.3, [1, 1, 1, 1])):
        found = read_scores(folder, units_of([folder]), specificity)
        assert found.decision.tolist() == list(map(bool, decisions))
        assert found.target.tolist() == [False, False, False, True]
        assert found.score.tolist() == [0.39, above, 0.61, 0.4]
