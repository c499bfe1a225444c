"""A whole run: its folder, its numbers, and that it can be repeated and continued."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from src.artifact.network import load_checkpoint, load_contract
from src.core.config import Config
from src.core.errors import UserError
from src.core.files import to_strict_json
from src.core.flags import load_config
from src.engine.checkpoint import Progress
from src.engine.evaluate import test as evaluate_checkpoint
from src.engine.run import train
from src.evaluation.results import point_estimates
from src.evaluator.predictions_csv import read_predictions
from src.selection.kept import KEPT, read_kept

FILES = (
    "config.yaml",
    "config.json",
    "command.txt",
    "environment.json",
    "training.log",
    "log.txt",
    "training_history.json",
    "validation_epochs.npz",
    "checkpoint_epoch_0.pth",
    "checkpoint_epoch_2.pth",
    "checkpoint_latest.pth",
    "best_checkpoint.pth",
    "train_split.csv",
    "valid_split.csv",
    "test_split.csv",
    "predictions_valid.csv",
    "predictions_test.csv",
    "metrics.json",
    "metrics_by_group_test.csv",
    "by_group_test.png",
)


def read(path):
    return json.loads(path.read_text())


def strict(metrics):
    return json.loads(to_strict_json(metrics))


def weights(folder, name="checkpoint_latest.pth"):
    return load_checkpoint(folder / name)["model_state_dict"]


def same_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def without_seconds(history):
    return [
        {key: value for key, value in entry.items() if key not in ("seconds", "speed")}
        for entry in history
    ]


def test_the_validation_rows_of_every_epoch_are_kept(tiny_run):
    kept, history = read_kept(tiny_run / KEPT), read(tiny_run / "training_history.json")
    assert kept.epochs.tolist() == [entry["epoch"] for entry in history]
    for place, entry in enumerate(history):
        found = strict(point_estimates(kept.predictions(place)))
        assert all(found[name] == entry["valid"][name] for name in ("auroc", "f1", "brier"))
    assert kept.rows_digest == read(tiny_run / "metrics.json")["valid"]["rows_digest"]


@pytest.mark.parametrize("name", FILES)
def test_run_folder_holds(tiny_run, name):
    assert (tiny_run / name).stat().st_size > 0


def test_run_folder_has_tensorboard_events_and_no_leftovers(tiny_run):
    assert list((tiny_run / "logs").glob("events.out.tfevents.*"))
    assert not list(tiny_run.glob(".*"))


def test_log_has_a_json_line_an_epoch(tiny_run):
    lines = [json.loads(line) for line in (tiny_run / "log.txt").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert lines == read(tiny_run / "training_history.json")


def test_metrics_logged_in_training_are_those_of_the_saved_file(tiny_run):
    history, metrics = read(tiny_run / "training_history.json"), read(tiny_run / "metrics.json")
    best = load_checkpoint(tiny_run / "best_checkpoint.pth")["epoch"]
    assert history[best]["valid"].items() <= metrics["valid"].items()
    assert metrics["valid"]["n"] == len(pd.read_csv(tiny_run / "valid_split.csv"))


@pytest.mark.parametrize("split", ["valid", "test"])
def test_metrics_of_the_predictions_file_are_those_logged(tiny_run, split):
    logged = read(tiny_run / "metrics.json")[split]
    found = strict(point_estimates(read_predictions(tiny_run / f"predictions_{split}.csv", None)))
    of_rows = {"loss", "rows_digest", "groups_digest", "tone_source"}
    assert found == {key: value for key, value in logged.items() if key not in of_rows}


def test_testing_the_checkpoint_repeats_the_logged_metrics(tiny_run, tmp_path):
    checkpoint = str(tiny_run / "best_checkpoint.pth")
    trained_with = load_checkpoint(checkpoint)["contract"]["provenance"]["config"]
    flags = ["--test", "--checkpoint", checkpoint, "--output_dir", str(tmp_path)]
    cfg = load_config(flags, trained_with)
    found = evaluate_checkpoint(cfg, load_contract(cfg.run.checkpoint))
    assert strict(found)["test"] == read(tiny_run / "metrics.json")["test"]


def test_testing_on_other_rows_warns(tiny_run, tiny_settings, demo, tmp_path, capsys):
    flags = ["--test", "--checkpoint", str(tiny_run / "best_checkpoint.pth")]
    base = {**tiny_settings, "output_dir": str(tmp_path)}
    rows = pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";")
    rows = rows[rows["split"] == "valid"]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for name in rows["image_name"]:
        (image,) = (demo / "isic2020" / "valid").glob(f"*/{name}")
        (tmp_path / name).symlink_to(image)
    base["dataset"] = f"siim(csv='{tmp_path / 'rows.csv'}', images='{tmp_path}')"
    cfg = load_config(flags, base)
    found = evaluate_checkpoint(cfg, load_contract(cfg.run.checkpoint))
    assert found["valid"]["n"] == len(rows)
    assert "its training rows may be among these" in capsys.readouterr().out


def test_best_epoch_is_the_best_by_the_monitored_metric(tiny_run):
    values = [entry["valid"]["auroc"] for entry in read(tiny_run / "training_history.json")]
    assert load_checkpoint(tiny_run / "best_checkpoint.pth")["epoch"] == int(np.argmax(values))


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_either_config_file_reproduces_the_run(tiny_run, tmp_path, suffix):
    config = str(tiny_run / f"config.{suffix}")
    cfg = load_config(["--config", config, "--output_dir", str(tmp_path)])
    again = train(cfg)
    assert same_weights(weights(tiny_run), weights(again))
    assert without_seconds(read(again / "training_history.json")) == without_seconds(
        read(tiny_run / "training_history.json")
    )


def test_another_seed_gives_other_weights(tiny_settings, tiny_run, tmp_path):
    cfg = Config().with_settings(**tiny_settings, output_dir=str(tmp_path), seed=1)
    assert not same_weights(weights(tiny_run), weights(train(cfg.with_settings(epochs=1))))


def test_a_stopped_run_continues_to_the_same_weights(tiny_settings, tiny_run, tmp_path):
    cfg = Config().with_settings(
        **tiny_settings, output_dir=str(tmp_path), run_name="tiny", resume="auto"
    )

    def stop(history):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cfg, after_epoch=stop)
    assert len(read(tmp_path / "tiny" / "training_history.json")) == 1
    folder = train(cfg)
    assert same_weights(weights(tiny_run), weights(folder))
    assert same_weights(
        weights(tiny_run, "best_checkpoint.pth"), weights(folder, "best_checkpoint.pth")
    )
    assert read(folder / "metrics.json") == read(tiny_run / "metrics.json")
    assert without_seconds(read(folder / "training_history.json")) == without_seconds(
        read(tiny_run / "training_history.json")
    )


def test_resume_auto_without_a_name_finds_the_matching_run(tiny_settings, tmp_path):
    cfg = Config().with_settings(**{**tiny_settings, "epochs": 1}, output_dir=str(tmp_path))
    first = train(cfg)
    assert train(cfg.with_settings(resume="auto")) == first
    other = train(cfg.with_settings(resume="auto", lr=2e-3, run_name="other"))
    assert other != first
    with pytest.raises(UserError, match=r"other settings \(lr\)"):
        train(cfg.with_settings(resume=str(other)))


def test_a_named_run_is_not_overwritten(tiny_settings, tiny_run):
    cfg = Config().with_settings(
        **tiny_settings, output_dir=str(tiny_run.parent), run_name=tiny_run.name
    )
    with pytest.raises(UserError, match="holds a run"):
        train(cfg)


def test_split_files_train_again_as_a_table(tiny_run, tiny_settings, tmp_path):
    data = tiny_settings["data_path"]
    rows = pd.concat([pd.read_csv(tiny_run / f"{s}_split.csv") for s in ("train", "valid", "test")])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    settings = {**tiny_settings, "dataset": f"table(csv='{tmp_path / 'rows.csv'}')"}
    again = train(Config().with_settings(**settings, output_dir=str(tmp_path)))
    assert data and same_weights(weights(tiny_run), weights(again))


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "domain_discriminative", "class_weights": "inverse_frequency"},
        {"preprocess": "resize || to_lab | normalize(stats='train')"},
        {"freeze_model": True, "update_freq": 2, "clip_grad": 1.0, "weight_decay_end": 0.1},
        {"save_ckpt": False, "augment": "dermatoscopy", "sampler": "oversample"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_run_with(tiny_settings, tmp_path, settings):
    cfg = Config().with_settings(
        **{**tiny_settings, "epochs": 1, **settings}, output_dir=str(tmp_path)
    )
    folder = train(cfg)
    contract = load_checkpoint(folder / "best_checkpoint.pth")["contract"]
    kept = (folder / "checkpoint_epoch_0.pth").exists()
    assert kept == settings.get("save_ckpt", True)
    if "preprocess" in settings:
        lightness = contract["preprocessing"]["steps"][-1][1]["mean"][0]
        assert 20 < lightness < 80  # L* counted on the training rows and written out
    if "objective" in settings:
        assert contract["n_outputs"] == 8
        assert contract["reduction"] == "sum_over_groups"


def test_log_dir_takes_the_tensorboard_events(tiny_settings, tmp_path):
    settings = {**tiny_settings, "epochs": 1, "log_dir": str(tmp_path / "events")}
    folder = train(Config().with_settings(**settings, output_dir=str(tmp_path), run_name="r"))
    assert list((tmp_path / "events" / "r").glob("events.out.tfevents.*"))
    assert not (folder / "logs").exists()


def test_a_run_is_not_continued_on_changed_data(tiny_settings, demo, tmp_path):
    rows = pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";", dtype=str)
    rows.to_csv(tmp_path / "rows.csv", sep=";", index=False)
    settings = {**tiny_settings, "epochs": 1, "skin_color_csv": str(tmp_path / "rows.csv")}
    cfg = Config().with_settings(**settings, output_dir=str(tmp_path), run_name="r", resume="auto")
    train(cfg)
    rows["split"] = rows["split"].replace({"valid": "test", "test": "valid"})
    rows.to_csv(tmp_path / "rows.csv", sep=";", index=False)
    with pytest.raises(UserError, match="the data changed since this run was started"):
        train(cfg)


def test_a_monitor_without_a_value_is_refused(tiny_settings, tmp_path):
    settings = {**tiny_settings, "monitor": "auroc_macro"}
    with pytest.raises(UserError, match="--monitor auroc_macro is undefined"):
        train(Config().with_settings(**settings, output_dir=str(tmp_path)))
    assert not list(tmp_path.iterdir())  # before training


def test_ties_of_the_monitor_are_broken_by_auroc():
    progress = Progress()
    for epoch, auroc in enumerate((0.6, 0.8, 0.7)):
        progress.add({"epoch": epoch, "valid": {"f1": 0.0, "auroc": auroc}}, "f1")
    assert progress.best_epoch == 1
    progress.add({"epoch": 3, "valid": {"f1": 0.1, "auroc": 0.5}}, "f1")
    assert progress.best_epoch == 3


def test_no_test_rows_are_pointed_out(tiny_settings, demo, tmp_path, capsys):
    rows = pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";", dtype=str)
    rows["split"] = rows["split"].replace({"test": "train"})
    rows.to_csv(tmp_path / "rows.csv", sep=";", index=False)
    settings = {**tiny_settings, "epochs": 1, "skin_color_csv": str(tmp_path / "rows.csv")}
    folder = train(Config().with_settings(**settings, output_dir=str(tmp_path)))
    assert list(read(folder / "metrics.json")) == ["valid"]
    assert "No test set" in capsys.readouterr().out


def test_checkpoints_are_kept_as_often_as_asked(tiny_settings, tmp_path):
    cfg = Config().with_settings(**tiny_settings, output_dir=str(tmp_path), save_ckpt_freq=2)
    kept = [path.name for path in train(cfg).glob("checkpoint_epoch_*")]
    assert kept == ["checkpoint_epoch_1.pth"]


def test_a_run_starts_from_the_weights_of_another(tiny_settings, tiny_run, tmp_path, capsys):
    settings = {**tiny_settings, "epochs": 1, "lr": 1e-9, "scheduler": "constant"}
    settings["weights"] = str(tiny_run / "best_checkpoint.pth")
    folder = train(Config().with_settings(**settings, output_dir=str(tmp_path)))
    assert "backbone tensors matched" in capsys.readouterr().out
    start, end = weights(tiny_run, "best_checkpoint.pth"), weights(folder)
    filters = [name for name in start if name.startswith("backbone.") and start[name].ndim == 4]
    assert filters
    assert max((end[name] - start[name]).abs().max() for name in filters) < 1e-6
