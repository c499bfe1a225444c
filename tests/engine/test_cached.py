"""Training from prepared images gives what training from files gives, in one process and in two."""

import json
from pathlib import Path

import pytest
import torch

from src.artifact.network import load_checkpoint
from src.core.config import Config
from src.core.errors import UserError
from src.datasets.load import load_table
from src.engine.checks import check_settings
from src.engine.loop import Position
from src.engine.parts import make_parts
from src.engine.run import train
from src.loading.batches import ResidentBatches
from src.scripts.melanoma_train import main
from tests.engine.processes import finish, start


@pytest.fixture(scope="module")
def few(tiny_settings, tmp_path_factory):
    """Settings of two short epochs that count the statistics of the training rows."""
    own = {"preprocess": "resize || normalize(stats='train')", "epochs": 2, "augment": "lumen"}
    own |= {
        "sampler": "undersample",
        "scheduler": "constant",
        "output_dir": str(tmp_path_factory.mktemp("cached")),
    }
    return {**tiny_settings, **own, "cache_dir": f"{own['output_dir']}/cache"}


def result(folder):
    """Everything that a training found: weights, preprocessing, history and metrics."""
    content = load_checkpoint(folder / "best_checkpoint.pth")
    history, metrics = (
        json.loads((folder / name).read_text())
        for name in ("training_history.json", "metrics.json")
    )
    for epoch in history:
        epoch.pop("seconds"), epoch.pop("speed")
    return content["model_state_dict"], content["contract"]["preprocessing"], history, metrics


def assert_same(folder, other):
    (weights, *rest), (expected, *others) = result(folder), result(other)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert rest == others


@pytest.fixture(scope="module")
def plain(few):
    return train(Config().with_settings(**few, run_name="plain"))


def test_a_cache_changes_no_result(few, plain):
    for cache in ("disk", "ram"):
        settings = {**few, "cache": cache, "run_name": cache, "num_workers": 1}
        assert_same(train(Config().with_settings(**settings)), plain)
    # stopped after an epoch without a cache, continued with one
    stopped = train(Config().with_settings(**{**few, "epochs": 1, "run_name": "stopped"}))
    flags = {"resume": stopped, "epochs": 2, "cache": "disk", "cache_dir": few["cache_dir"]}
    main([f"--{name}={value}" for name, value in flags.items()])
    assert_same(stopped, plain)


@pytest.mark.slow
def test_a_training_on_images_that_are_on_the_device(few):
    """Evaluated on the same pixels; trained on those that other rounding gives."""
    found = []
    for on in (False, True):
        cfg = Config().with_settings(**{**few, "resident": on})
        parts = make_parts(cfg, check_settings(cfg), load_table(cfg.data), torch.device("cpu"))
        predictions, _ = parts.evaluator(parts.evaluated_network(), "valid")
        position = Position()
        for _ in parts.trainer.epoch(parts.loader, position, []):
            pass
        loss = position.loss_sum / position.n_rows
        probabilities = predictions.probabilities.tolist()
        found.append((probabilities, parts.contract.preprocessing, position.n_rows, loss))
        assert isinstance(parts.loader, ResidentBatches) == on
    assert found[0][:3] == found[1][:3]
    assert found[0][3] != found[1][3] == pytest.approx(found[0][3], rel=0.02)
    for name, value in {"feature_views": 2, "malignant_copies": "original"}.items():
        cfg = Config().with_settings(**{**few, "resident": True, "freeze_model": True, name: value})
        with pytest.raises(UserError, match=f"--resident and --{name}"):
            check_settings(cfg)


def test_an_evaluation_takes_no_cache_over_but_can_have_one(few, plain):
    flags = {"test": True, "checkpoint": plain / "best_checkpoint.pth", "run_name": "evaluated"}
    flags |= {"output_dir": few["output_dir"], "cache": "ram", "num_workers": 0, "device": "cpu"}
    flags["cache_dir"] = few["cache_dir"]
    assert main([f"--{name}={value}" for name, value in flags.items()]) is None
    found = json.loads((Path(few["output_dir"]) / "evaluated" / "metrics.json").read_text())
    assert found["test"] == json.loads((plain / "metrics.json").read_text())["test"]


def test_two_processes_share_one_cache(few):
    folders = []
    for cache in ("disk", "ram"):
        name = f"two_{cache}"
        settings = {**few, "cache": cache, "run_name": name, "batch_size": 16, "epochs": 1}
        settings["cache_dir"] = f"{few['output_dir']}/cache_of_two"
        found = finish(start(settings, 2))
        assert [code for code, _, _ in found] == [0, 0], found
        assert "decoded again" not in str(found)
        folders.append(Path(few["output_dir"]) / name)
    assert_same(*folders)
    assert len(list(Path(few["output_dir"], "cache_of_two").glob("*.images"))) == 1
