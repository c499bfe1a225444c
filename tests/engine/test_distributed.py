"""Several processes against one: the same metrics, the same training, one clear end."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from src.artifact.network import load_checkpoint, load_contract
from src.core.config import Config
from src.core.errors import UserError
from src.core.files import to_strict_json
from src.core.flags import load_config
from src.engine.distributed import SINGLE_PROCESS, joined_processes
from src.engine.evaluate import test as evaluate_checkpoint
from src.engine.run import train
from src.scripts.melanoma_train import main
from tests.engine.processes import finish, free_port, start

# without batch statistics, which are of each process's own rows
NO_STATISTICS = {"model": "test_convnext", "input_size": 32, "epochs": 2, "lr": 1e-3}
# an even number of rows: none is left out of two equal shares
NO_STATISTICS["sampler"] = "undersample"


def read(path):
    return json.loads(path.read_text())


def trained_by(count, settings, batch_size):
    """The history of a training in `count` processes with a batch of `batch_size` for all.

    A single one is this process, with one thread as each of several has.
    """
    settings = {**settings, "batch_size": batch_size // count}
    if count == 1:
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            main([f"--{name}={value}" for name, value in settings.items()])
        finally:
            torch.set_num_threads(n_threads)
    else:
        found = finish(start(settings, count))
        assert [code for code, _, _ in found] == [0] * count, found
    return read(Path(settings["output_dir"], settings["run_name"], "training_history.json"))


@pytest.fixture(scope="module")
def two(tiny_settings, tmp_path_factory):
    """The folder of a run of two processes, of a model with batch statistics."""
    output = tmp_path_factory.mktemp("two")
    settings = {**tiny_settings, "output_dir": str(output), "run_name": "two"}
    settings["objective"] = "domain_independent"
    found = finish(start({**settings, "batch_size": 16, "epochs": 2}, 2))
    assert [code for code, _, _ in found] == [0, 0], found
    return output / "two", found


def test_logged_is_saved_with_batch_statistics_on_two_processes(two, tmp_path):
    folder, _ = two
    metrics, history = read(folder / "metrics.json"), read(folder / "training_history.json")
    content = load_checkpoint(folder / "best_checkpoint.pth")
    assert history[content["epoch"]]["valid"].items() <= metrics["valid"].items()
    cfg = load_config(
        ["--test", "--checkpoint", str(folder / "best_checkpoint.pth")],
        content["contract"]["provenance"]["config"] | {"output_dir": str(tmp_path)},
    )
    alone = evaluate_checkpoint(
        cfg, load_contract(cfg.run.checkpoint)
    )  # one process, from the saved file
    assert json.loads(to_strict_json(alone["test"])) == metrics["test"]


def test_two_processes_evaluate_as_one_does(two, tmp_path):
    folder, _ = two
    checkpoint = str(folder / "best_checkpoint.pth")
    settings = {"test": True, "checkpoint": checkpoint, "output_dir": str(tmp_path)}
    found = finish(start({**settings, "run_name": "evaluated"}, 2))
    assert [code for code, _, _ in found] == [0, 0], found
    evaluated, trained = (read(path / "metrics.json") for path in (tmp_path / "evaluated", folder))
    assert evaluated["test"] == trained["test"]


def test_every_row_is_evaluated_once_and_in_order(two):
    folder, _ = two
    for split in ("valid", "test"):
        rows = pd.read_csv(folder / f"{split}_split.csv")["image"]
        names = pd.read_csv(folder / f"predictions_{split}.csv")["image_name"]
        assert names.tolist() == [image.rpartition("/")[2] for image in rows]


def test_only_the_main_process_speaks_and_writes(two):
    folder, ((_, first, _), (_, second, _)) = two
    assert "epoch 2/2" in first
    assert second == ""
    assert len(list((folder / "logs").glob("events*"))) == 1
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    "extra",
    [
        {"objective": "cross_entropy", "update_freq": 2},
        {"objective": "ohem", "class_weights": "inverse_frequency"},
        {"objective": "group_dro(step=1.0)", "model_ema": True, "model_ema_decay": 0.9},
        {"objective": "recall_cross_entropy(momentum=0.5)"},
    ],
    ids=lambda extra: extra["objective"],
)
def test_two_processes_learn_what_one_learns(tiny_settings, tmp_path, extra):
    """Losses and weights agree to rounding for losses that are no mean over rows, too."""
    settings = {**tiny_settings, **NO_STATISTICS, **extra, "output_dir": str(tmp_path)}
    settings["clip_grad"] = 1.0
    histories = {
        count: trained_by(count, {**settings, "run_name": f"of_{count}"}, 16) for count in (1, 2)
    }
    one, two = histories[1], histories[2]
    for key in ("train_loss", "lr"):
        values = [[entry[key] for entry in history] for history in (one, two)]
        np.testing.assert_allclose(values[0], values[1], rtol=2e-5)
    losses = [[entry["valid"]["loss"] for entry in history] for history in (one, two)]
    np.testing.assert_allclose(*losses, rtol=2e-4)


def test_metrics_of_the_same_weights_do_not_depend_on_the_processes(
    tiny_settings, tiny_run, tmp_path
):
    """Nothing is learned at a rate of 0 and a frozen backbone: bit-equal metrics remain."""
    settings = {**tiny_settings, "freeze_model": True, "lr": 1e-30, "min_lr": 0.0, "epochs": 1}
    settings |= {"weights": str(tiny_run / "best_checkpoint.pth"), "output_dir": str(tmp_path)}
    settings |= {"weight_decay": 0.0, "eval_batch_size": 7}
    valid = [
        trained_by(count, {**settings, "run_name": f"of_{count}"}, 32)[0]["valid"]
        for count in (1, 2)
    ]
    assert valid[0] == valid[1]


def test_a_mistake_is_told_once_and_ends_all(tiny_settings, tmp_path):
    settings = {**tiny_settings, "output_dir": str(tmp_path), "monitor": "aurocc"}
    (first, _, error), (second, _, silent) = finish(start(settings, 2))
    assert (first, second) == (2, 2)
    assert error.count("error: --monitor aurocc: no such metric") == 1
    assert "error" not in silent
    assert "Traceback" not in error + silent


def test_a_killed_process_ends_the_others_with_one_line(tiny_settings, tmp_path):
    settings = {**tiny_settings, "output_dir": str(tmp_path), "run_name": "r", "epochs": 500}
    processes = start({**settings, "dist_timeout": 60}, 2)
    for line in processes[0].stdout:
        if line.startswith("epoch 1/"):
            break
    processes[1].kill()
    (code, _, error), _ = finish(processes)
    assert code == 2
    lines = [line for line in error.splitlines() if line.startswith("error:")]
    (line,) = lines
    assert line.startswith("error: process 0 lost its connection to another process of this run")
    assert line.endswith("continue with --resume auto")
    assert "Traceback" not in error
    assert load_checkpoint(tmp_path / "r" / "checkpoint_latest.pth")["epoch"] >= 0


def test_folds_are_trained_by_all_processes_and_summed_up_once(tiny_settings, tmp_path):
    settings = {**tiny_settings, "output_dir": str(tmp_path), "run_name": "r", "epochs": 1}
    found = finish(start({**settings, "kfold": 2, "batch_size": 16}, 2))
    assert [code for code, _, _ in found] == [0, 0], found
    assert found[1][1] == ""
    content = read(tmp_path / "r" / "kfold.json")
    assert content["valid"]["auroc"]["n"] == 2
    rows = [pd.read_csv(tmp_path / "r" / f"fold_{i}" / "valid_split.csv") for i in (0, 1)]
    assert content["oof"]["n"] == sum(map(len, rows))


def test_processes_that_do_not_come_are_told_of(tiny_settings, tmp_path, monkeypatch):
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    for name, value in {**place, "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    cfg = Config().with_settings(**tiny_settings, output_dir=str(tmp_path), dist_timeout=1.0)
    with pytest.raises(UserError, match=r"process 1 of 2 cannot reach the others at 127\.0\.0\.1"):
        train(cfg)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: expected a number"),
        ({"WORLD_SIZE": "2"}, "RANK=None: expected a number"),
        ({"WORLD_SIZE": "2", "RANK": "2", "LOCAL_RANK": "0"}, "RANK=2: expected less than"),
    ],
)
def test_a_strange_environment_is_refused(monkeypatch, place, message):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message), joined_processes("cpu", 1.0):
        pass


def test_alone_everything_is_its_own():
    rows = torch.ones(3, 2, requires_grad=True)
    assert SINGLE_PROCESS.rows_of_all(rows) is rows
    assert SINGLE_PROCESS.gather("x") == ["x"]
    assert SINGLE_PROCESS.highest(7) == 7
    assert SINGLE_PROCESS.from_main(lambda: 5) == 5
