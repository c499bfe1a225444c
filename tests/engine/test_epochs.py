"""What a run does with its epochs: the moving average, stopping early, which states are kept."""

import json
from copy import deepcopy

import pytest
import torch

from src.artifact.export import export_onnx
from src.artifact.network import load_checkpoint, load_network
from src.core.config import Config
from src.core.errors import UserError
from src.datasets.load import load_table
from src.engine.checkpoint import Progress
from src.engine.checks import check_settings
from src.engine.epochs import is_finished
from src.engine.loop import Position
from src.engine.parts import make_parts
from src.engine.run import train

CPU = torch.device("cpu")


@pytest.fixture
def run(tiny_settings, tmp_path):
    """A function that trains with these settings besides the tiny ones; the run's folder."""

    def run(**settings):
        settings = {**tiny_settings, "output_dir": str(tmp_path), "run_name": "r", **settings}
        return train(Config().with_settings(**settings))

    return run


@pytest.mark.parametrize("force_cpu", [False, True])
def test_the_average_is_the_exponential_one(tiny_settings, force_cpu):
    """From the weights after the first step on, and of batch statistics as well."""
    settings = {**tiny_settings, "model_ema": True, "model_ema_decay": 0.7}
    cfg = Config().with_settings(**{**settings, "model_ema_force_cpu": force_cpu})
    parts = make_parts(cfg, check_settings(cfg), load_table(cfg.data), CPU)
    expected = None
    for _ in parts.trainer.epoch(parts.loader, Position(), []):
        now = deepcopy(parts.trainer.classifier.state_dict())
        if expected is None:
            expected = now
        expected = {
            key: 0.7 * expected[key] + 0.3 * value if value.is_floating_point() else None
            for key, value in now.items()
        }
    network = parts.evaluated_network()
    for key, value in network.classifier.state_dict().items():
        if expected[key] is not None:
            torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6)
    head = parts.trainer.classifier.head.weight
    assert not torch.allclose(network.classifier.head.weight, head, atol=1e-6)


def test_the_average_is_evaluated_saved_and_exported(run, tmp_path):
    folder = run(model_ema=True, model_ema_decay=0.5)
    content = load_checkpoint(folder / "best_checkpoint.pth")
    trained, average = content["training_state_dict"], content["model_state_dict"]
    assert not torch.equal(trained["head.weight"], average["head.weight"])
    network, contract = load_network(folder / "best_checkpoint.pth")
    assert torch.equal(network.classifier.head.weight, average["head.weight"])
    history = json.loads((folder / "training_history.json").read_text())
    metrics = json.loads((folder / "metrics.json").read_text())
    assert history[content["epoch"]]["valid"].items() <= metrics["valid"].items()
    assert export_onnx(network, contract, tmp_path / "model.onnx").deviation < 1e-4


def entry(epoch, value):
    return {"epoch": epoch, "valid": {"auroc": value}}


def test_it_stops_after_as_many_epochs_without_a_better_one():
    cfg = Config().with_settings(epochs=10, early_stopping=2, monitor="auroc")
    progress, seen = Progress(), []
    for epoch, value in enumerate((0.5, 0.6, 0.6, 0.7, 0.65, 0.7, 0.9)):
        if is_finished(cfg, progress):
            break
        progress.add(entry(epoch, value), "auroc")
        seen.append(value)
    assert seen == [0.5, 0.6, 0.6, 0.7, 0.65, 0.7]
    assert progress.best_epoch == 3
    assert not is_finished(cfg.with_settings(early_stopping=0), progress)
    assert is_finished(cfg.with_settings(early_stopping=0, epochs=6), progress)


def test_a_run_that_stopped_early_is_not_continued(run, capsys):
    settings = {"early_stopping": 1, "epochs": 5, "freeze_model": True}
    settings |= {"lr": 1e-30, "scheduler": "none"}
    folder = run(**settings)
    history = json.loads((folder / "training_history.json").read_text())
    assert len(history) == 2  # nothing is learned: the second is not better
    assert "stopped early: 1 epochs without a better one" in capsys.readouterr().out
    again = run(**settings, resume="auto")
    assert again == folder
    assert json.loads((folder / "training_history.json").read_text()) == history


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"keep_checkpoints": 2}, ["checkpoint_epoch_2.pth", "checkpoint_epoch_3.pth"]),
        ({"keep_checkpoints": 1, "save_ckpt_freq": 2}, ["checkpoint_epoch_3.pth"]),
        ({"keep_checkpoints": 9, "save_ckpt_freq": 3}, ["checkpoint_epoch_2.pth"]),
    ],
)
def test_the_last_checkpoints_are_kept(run, settings, kept):
    folder = run(epochs=4, **settings)
    assert sorted(path.name for path in folder.glob("checkpoint_epoch_*")) == kept
    assert (folder / "checkpoint_latest.pth").is_file()


def test_all_rows_train_and_the_last_epoch_is_the_result(run):
    folder = run(train_on_all=True, epochs=2)
    assert load_checkpoint(folder / "best_checkpoint.pth")["epoch"] == 1
    assert list(json.loads((folder / "metrics.json").read_text())) == ["test"]
    history = json.loads((folder / "training_history.json").read_text())
    assert [line["valid"] for line in history] == [{}, {}]
    assert (folder / "valid_split.csv").read_text().count("\n") == 1


@pytest.mark.parametrize("settings", [{"early_stopping": 1}, {"scheduler": "plateau"}])
def test_what_needs_validation_rows_is_refused_without_them(run, settings):
    with pytest.raises(UserError, match="needs validation rows: --train_on_all leaves none"):
        run(train_on_all=True, **settings)


def test_a_plateau_lowers_the_rate_and_goes_on_so_when_continued(run, tmp_path):
    """Nothing is learned, so that each epoch stands still; the rate is a function of that."""
    settings = {"freeze_model": True, "lr": 1e-30, "epochs": 4, "weight_decay": 0.0}
    settings["scheduler"] = "plateau(factor=0.5, patience=0, min_lr=0.0)"
    folder = run(**settings)
    history = json.loads((folder / "training_history.json").read_text())
    assert [line["lr"] for line in history] == pytest.approx([1e-30, 1e-30, 5e-31, 2.5e-31])


@pytest.mark.parametrize(
    "settings",
    [{"freeze": "conv1x"}, {"model": "mobilenet_v2", "layer_decay": 0.5}],
    ids=["freeze", "layer_decay"],
)
def test_layers_that_are_not_there_are_refused_before_a_folder_is_made(run, tmp_path, settings):
    with pytest.raises(UserError, match=f"--{list(settings)[-1]}"):
        run(**settings)
    assert not list(tmp_path.iterdir())


def test_a_lost_best_checkpoint_is_made_again_from_the_files_of_its_epoch(run, capsys):
    folder = run()
    best = (folder / "best_checkpoint.pth").read_bytes()
    metrics = (folder / "metrics.json").read_text()
    (folder / "best_checkpoint.pth").write_bytes(best[:1000])
    run(resume="auto")
    assert "made again from checkpoint_epoch_" in capsys.readouterr().out
    assert (folder / "best_checkpoint.pth").read_bytes() == best
    assert (folder / "metrics.json").read_text() == metrics
    for path in folder.glob("*.pth"):
        path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"checkpoint_latest\.pth"):
        run(resume="auto")


def test_the_last_line_of_a_run_that_was_killed_before_it_was_written_comes_later(run):
    folder = run()
    whole = (folder / "training_history.json").read_text()
    history = json.loads(whole)
    (folder / "training_history.json").write_text(json.dumps(history[:-1]))
    run(resume="auto")
    assert (folder / "training_history.json").read_text() == whole


def test_states_that_are_left_over_are_not_continued_unasked(run):
    folder = run()
    for name in ("checkpoint_latest.pth", "best_checkpoint.pth"):
        (folder / name).unlink()
    with pytest.raises(UserError, match="holds a run"):
        run(lr=0.5)
    with pytest.raises(UserError, match=r"other settings \(lr\)"):
        run(lr=0.5, resume="auto")
