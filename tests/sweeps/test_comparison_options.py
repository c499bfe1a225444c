"""`compare_objectives`: its flags, what is refused, and how the files of a run are read."""

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.objectives.catalog import OBJECTIVES
from src.scripts.compare_objectives import main, parse
from src.sweeps import objectives as module
from src.sweeps.objectives import clusters_of, every_objective, read_rows
from src.sweeps.options import ComparisonOptions


def test_defaults_compare_every_objective_with_cross_entropy():
    assert parse([]) == [{}, ComparisonOptions()]
    assert every_objective()[0] == "cross_entropy"
    assert sorted([*every_objective(), "distillation"]) == OBJECTIVES.names()


def test_flags_are_taken_with_hyphens_too_and_the_others_are_left():
    argv = ["--n-resamples", "100", "--min-positive", "3", "--specificity", "0"]
    given, found = parse([*argv, "--seeds", "4", "2", "--epochs", "2"])
    wanted = {"n_resamples": 100, "min_positive": 3, "specificity": 0, "seeds": (4, 2)}
    assert found == ComparisonOptions(**wanted)
    assert given == {"epochs": "2"}


WRONG = (
    *("--specificity 1", "--specificity -0.1", "--specificity nan", "--specificity high"),
    *("--min_positive 0", "--min_positive 1.5", "--n_resamples 99", "--n_resamples 1e3"),
    *("--seeds 0 1 0", "--seeds 1 01", "--seeds one", "--seeds 0 -1", "--seeds 4294967296"),
    *("--seeds", "--objectives", "--objectives focal focal", "--objectives focal focal(gamma=2)"),
    "--objectives cross_entropy cross_entropy()",
    *("--objective focal", "--seed 1", "--split_seed 1", "--run_name a", "--resume auto"),
    *("--n_resample 100", "--monitor recall", "--test"),
)


def test_wrong_options_are_refused_by_name_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "train", lambda cfg: pytest.fail("trained"))
    for flags in WRONG:
        with pytest.raises(UserError) as error:
            main([*flags.split(), "--output_dir", str(tmp_path / "x"), "--data_path", "."])
        assert flags.split()[0] in str(error.value)
        assert ": expected " in str(error.value) or flags.startswith(REFUSED), flags
        assert str(error.value).isprintable()
        assert not (tmp_path / "x").exists()


REFUSED = (
    "--objective ",
    "--seed ",
    "--split",
    "--run",
    "--resume",
    "--n_resample ",
    "--mon",
    "--t",
)


def test_wrong_calls_are_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "train", lambda cfg: pytest.fail("trained"))
    for call, expected in (("focall", "'focal'"), ("ohem(fraction=2)", "0 < fraction <= 1")):
        with pytest.raises(UserError, match=expected):
            main(["--objectives", "focal", call, "--data_path", str(tmp_path)])


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
    units = clusters_of([one, two])
    assert set(units) == set("abcd")
    assert units["b"] == units["d"]
    assert sorted({units[name] for name in "abc"}) == [0, 1, 2]
    for folder, images in ((one, "abc"), (two, "dca")):
        found = read_rows(folder, units, 0.5)
        assert found.clusters.tolist() == [units[name] for name in images]
        assert found.predictions.names == list(images)


def test_images_of_one_file_name_in_two_folders_are_two(tmp_path):
    images = ["benign/1.jpg", "malignant/1.jpg", "benign/2.jpg"]
    folder = write_run(tmp_path / "r", images, ["p", "q", "p"], [0, 1, 0], [0.1, 0.9, 0.2])
    found = read_rows(folder, clusters_of([folder]), 0.5)
    assert found.predictions.names == images
    assert found.clusters[0] == found.clusters[2] != found.clusters[1]


def test_the_threshold_is_that_of_the_validation_rows(tmp_path):
    above = float(np.nextafter(0.4, 1))  # the threshold itself
    folder = write_run(tmp_path / "r", list("abcd"), list("abcd"), [0, 0, 0, 1], [1, 2, 3, 4])
    for split, scores in (("valid", [0.2, 0.4, 0.6, 0.5]), ("test", [0.39, above, 0.61, 0.4])):
        path = folder / f"predictions_{split}.csv"
        others = 1 - np.array(scores)
        frame = pd.read_csv(path).assign(probability_malignant=scores, probability_benign=others)
        frame.to_csv(path, index=False)
    for specificity, decisions in ((0.6, [0, 1, 1, 0]), (0.9, [0, 0, 1, 0]), (0.3, [1, 1, 1, 1])):
        found = read_rows(folder, clusters_of([folder]), specificity)
        assert found.predictions.decisions.tolist() == decisions
        assert found.target.tolist() == [False, False, False, True]
        assert found.score.tolist() == [0.39, above, 0.61, 0.4]
