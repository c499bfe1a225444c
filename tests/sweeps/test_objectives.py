"""`compare_objectives`: a whole comparison of two objectives, which is then read again."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from src.core.errors import UserError
from src.runs.comparison import FIGURES
from src.scripts.compare_objectives import main
from src.skin.tone import GROUP_NAMES
from src.sweeps import objectives as module
from src.sweeps.objectives import to_markdown

CALLS = ["cross_entropy", "focal(gamma=1.5)"]
RUNS = [f"{name}_seed{seed}" for name in ("cross_entropy", "focal_gamma_1.5") for seed in (0, 1)]
OUTPUTS = ("objectives.csv", "objectives.md", "objectives.png")


@pytest.fixture(scope="module", autouse=True)
def no_figures_of_runs():
    """Drawing them takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.report.files.plot_fairness", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def tones(demo, tmp_path_factory):
    """A CSV with the tone group of four images of five."""
    rows = pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";", dtype=str)
    rows = rows[["image_name", "group"]]
    rows.loc[rows.index % 5 == 0, "group"] = ""
    path = tmp_path_factory.mktemp("tones") / "tones.csv"
    rows.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def flags(tiny_settings, demo, tones):
    """A function that makes a command line: of two objectives and seeds and an epoch each."""
    settings = tiny_settings | {
        "dataset": "ham10000(task='melanoma')",
        "data_path": str(demo / "ham10000"),
        "skin_color_csv": str(tones),
        "known_groups_only": True,
        "valid_size": 0.25,
        "test_size": 0.3,
        "epochs": 1,
        "save_ckpt": False,
    }

    def flags(folder, objectives=CALLS, seeds=(0, 1), **more):
        given = {**settings, "min_positive": 1, "n_resamples": 100, "output_dir": folder, **more}
        argv = [word for key, value in given.items() for word in (f"--{key}", str(value))]
        return [*argv, "--objectives", *objectives, "--seeds", *map(str, seeds)]

    return flags


@pytest.fixture(scope="module")
def compared(flags, tmp_path_factory):
    """The folder of a comparison; tests must not change it."""
    folder = tmp_path_factory.mktemp("compared") / "out"
    main(flags(folder))
    return folder


@pytest.fixture
def trained(monkeypatch):
    """The names of the runs that are trained from now on."""
    names, train = [], module.train

    def note(cfg):
        names.append(cfg.run.run_name)
        return train(cfg)

    monkeypatch.setattr(module, "train", note)
    return names


@pytest.fixture
def copy(compared, tmp_path):
    """A copy of the comparison that a test may change."""
    return shutil.copytree(compared, tmp_path / "copy")


def test_every_objective_is_trained_with_every_seed_each_on_its_split(compared):
    assert sorted(p.name for p in compared.iterdir()) == sorted([*RUNS, *OUTPUTS])
    splits = {}
    for name in RUNS:
        cfg = json.loads((compared / name / "config.json").read_text())
        seed = int(name[-1])
        assert (cfg["seed"], cfg["split_seed"], cfg["epochs"]) == (seed, seed, 1)
        assert cfg["objective"] == CALLS[name.startswith("focal")]
        splits[name] = (compared / name / "test_split.csv").read_text()
    assert splits[RUNS[0]] == splits[RUNS[2]] != splits[RUNS[1]] == splits[RUNS[3]]


def test_rows_of_unknown_group_are_in_no_split(compared, tones):
    known = pd.read_csv(tones).dropna()["image_name"]
    parts = [pd.read_csv(compared / RUNS[0] / f"{s}_split.csv") for s in ("train", "valid", "test")]
    rows = pd.concat(parts)
    assert sorted(rows["image"].str.removeprefix("images/")) == sorted(known)
    assert rows["group"].min() == 0


def test_csv_has_a_line_for_each_objective_and_a_column_for_each_figure(compared):
    rows = pd.read_csv(compared / "objectives.csv")
    assert rows["objective"].tolist() == CALLS
    figures = [*FIGURES, *(f"sensitivity {name}" for name in GROUP_NAMES)]
    counts = ["n", "n_positive", *(f"n_positive {name}" for name in GROUP_NAMES)]
    columns = [f"{name}{end}" for name in figures for end in ("", "_low", "_high")]
    assert sorted(rows) == sorted(["objective", "n_runs", *counts, *columns])
    assert rows["n_runs"].tolist() == [2, 2]
    assert (rows[[f"n_positive {name}" for name in GROUP_NAMES]].sum(axis=1) > 0).all()
    for name in ("auroc", "sensitivity", "specificity"):
        assert (rows[f"{name}_low"] <= rows[f"{name}_high"]).all()


@pytest.mark.parametrize("number", [0, 1])
def test_figures_are_those_of_the_predictions_of_the_runs(compared, number):
    row = pd.read_csv(compared / "objectives.csv").iloc[number]
    aurocs, tests = [], []
    for name in RUNS[2 * number : 2 * number + 2]:
        valid, test = (
            pd.read_csv(compared / name / f"predictions_{s}.csv") for s in ("valid", "test")
        )
        rest = valid["probability_mel"][valid["label"] == 0]
        limit = min(s for s in rest if (rest <= s).mean() >= 0.9)
        tests.append(test.assign(found=test["probability_mel"] > limit))
        aurocs.append(roc_auc_score(test["label"], test["probability_mel"]))
    rows = pd.concat(tests)
    positive = rows[rows["label"] == 1]
    assert row["auroc"] == pytest.approx(np.mean(aurocs))
    assert row["sensitivity"] == pytest.approx(positive["found"].mean())
    assert row["specificity"] == pytest.approx(1 - rows["found"][rows["label"] == 0].mean())
    assert row["n"] == rows["image_name"].nunique()
    assert row["n_positive"] == positive["image_name"].nunique()
    recalls = positive.groupby("group")["found"].mean()
    for group, recall in recalls.items():
        assert row[f"sensitivity {GROUP_NAMES[group]}"] == pytest.approx(recall)
    assert row["worst_group_sensitivity"] == pytest.approx(recalls.min())
    assert row["equal_opportunity_difference"] == pytest.approx(np.ptp(recalls))


def test_markdown_is_the_table_of_the_csv(compared):
    rows = pd.read_csv(compared / "objectives.csv")
    text = (compared / "objectives.md").read_text()
    assert text == to_markdown(rows)
    counts, _, header, rule, *lines = text.splitlines()
    assert counts.startswith(f"{rows['n'][0]} test images, {rows['n_positive'][0]} malignant (")
    assert counts.endswith("in the test rows of 2 runs.")
    assert [header.count("|"), rule.count("|"), *(line.count("|") for line in lines)] == [8] * 4
    assert "| 0.000 (0.000–0.000) |" in lines[0]
    for line, (_, row) in zip(lines, rows.iterrows(), strict=True):
        assert line.startswith(f"| `{row['objective']}` | {row['auroc']:.3f} (")
        low, high = row["worst_group_sensitivity_low"], row["worst_group_sensitivity_high"]
        assert f"| {row['worst_group_sensitivity']:.3f} ({low:.3f}–{high:.3f}) |" in line


def test_the_figure_is_an_image(compared):
    assert cv2.imread(str(compared / "objectives.png")).std() > 1


def test_a_second_call_trains_nothing_and_gives_the_same_files(copy, flags, trained, capsys):
    before = {name: (copy / name).read_bytes() for name in OUTPUTS}
    for name in OUTPUTS:
        (copy / name).unlink()
    main(flags(copy))
    assert trained == []
    assert {name: (copy / name).read_bytes() for name in OUTPUTS} == before
    assert capsys.readouterr().out == f"{before['objectives.md'].decode()}written to {copy}\n"


def test_a_run_that_is_not_complete_is_finished(copy, flags, trained):
    before = (copy / "objectives.csv").read_bytes()
    for path in (copy / RUNS[1]).glob("predictions_*"):
        path.unlink()
    (copy / RUNS[1] / "metrics.json").unlink()
    main(flags(copy))
    assert trained == [RUNS[1]]
    assert (copy / "objectives.csv").read_bytes() == before


def test_other_settings_in_the_same_folder_are_refused(compared, flags, trained):
    with pytest.raises(UserError, match=r"cross_entropy_seed0 was started with other .* \(lr\)"):
        main(flags(compared, lr=2e-3))
    assert trained == []


def test_other_questions_of_the_same_runs_train_nothing(copy, flags, trained):
    before = pd.read_csv(copy / "objectives.csv")
    main(flags(copy, CALLS[::-1], seeds=[1], specificity=0.5))
    found = pd.read_csv(copy / "objectives.csv")
    assert trained == []
    assert found["objective"].tolist() == CALLS[::-1]
    assert found["n_runs"].tolist() == [1, 1]
    assert (found["sensitivity"] > before["sensitivity"][::-1].to_numpy()).all()
    assert found["auroc_gain"][0] == 0


def test_groups_of_too_few_malignant_test_images_are_refused_before_any_training(
    compared, flags, trained, tmp_path
):
    found = []
    for folder in (compared, tmp_path):
        with pytest.raises(UserError, match=r"groups with 99 or more .* found 0 \(there") as error:
            main(flags(folder, min_positive=99))
        found.append(str(error.value))
    assert found[0] == found[1], "the same counts from the table as from the runs"
    assert trained == []


def test_runs_on_changed_data_are_not_compared_with_earlier_ones(copy, flags, trained, tones):
    rows = pd.read_csv(tones, dtype=str)
    before = tones.read_bytes()
    rows["group"] = rows["group"].replace({"0": "1", "1": "0"})
    try:
        rows.to_csv(tones, index=False)
        with pytest.raises(UserError, match="focal: its test rows are not those of cross_entropy"):
            main(flags(copy, ["cross_entropy", "focal"], seeds=[0]))
    finally:
        tones.write_bytes(before)
    assert trained == ["focal_seed0"]


def test_a_split_without_test_rows_is_refused_before_any_training(flags, trained, tmp_path):
    with pytest.raises(UserError, match="seed 0: no test rows; expected"):
        main(flags(tmp_path, test_size=0.0))
    assert trained == []
