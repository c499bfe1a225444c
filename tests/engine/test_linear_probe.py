"""A head on features that are computed once is the head that is trained on images."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from src.artifact.network import load_checkpoint
from src.core.config import Config
from src.core.errors import UserError
from src.datasets.load import load_table
from src.engine.checks import check_settings
from src.engine.parts import make_parts
from src.engine.run import train
from src.loading import features
from src.models.melanoma_classifier import MelanomaClassifier
from tests.engine.processes import finish, start

CPU = torch.device("cpu")


@pytest.fixture
def probe(tiny_settings, tmp_path):
    """Settings of a frozen backbone with a head on plain images."""
    own = {"freeze_model": True, "epochs": 3, "lr": 0.01, "output_dir": str(tmp_path)}
    return {**tiny_settings, **own, "augment": "none", "sampler": "undersample"}


def found(folder):
    """(weights, history without times, metrics) of a run."""
    history, metrics = (
        json.loads((Path(folder) / name).read_text())
        for name in ("training_history.json", "metrics.json")
    )
    for epoch in history:
        epoch.pop("seconds")
    return (
        load_checkpoint(Path(folder) / "best_checkpoint.pth")["model_state_dict"],
        history,
        metrics,
    )


@pytest.mark.slow
def test_a_head_on_features_is_the_head_on_images(probe, monkeypatch):
    settings = {**probe, "model_ema": True, "model_ema_decay": 0.5}
    plain = found(train(Config().with_settings(**settings, run_name="plain")))
    counted = []
    real = MelanomaClassifier.forward
    monkeypatch.setattr(
        MelanomaClassifier,
        "forward",
        lambda self, inputs: counted.append(inputs.ndim) or real(self, inputs),
    )
    once = found(train(Config().with_settings(**settings, run_name="once", feature_views=1)))
    assert set(counted) == {2}, "no image went through it in an epoch"
    for name, tensor in plain[0].items():
        torch.testing.assert_close(once[0][name], tensor, rtol=1e-4, atol=1e-5)
    for epoch, expected in zip(once[1], plain[1], strict=True):
        assert epoch["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-4)
        assert epoch["valid"]["auroc"] == pytest.approx(expected["valid"]["auroc"], abs=0.01)
    best = max(range(3), key=lambda i: once[1][i]["valid"]["auroc"])
    assert once[1][best]["valid"]["auroc"] == once[2]["valid"]["auroc"], "logged is saved"


@pytest.mark.slow
def test_views_are_augmented_each_in_its_own_way_and_the_seed_chooses(probe):
    settings = {**probe, "augment": "dermatoscopy", "feature_views": 3}

    def views(seed):
        cfg = Config().with_settings(**settings, seed=seed)
        table = load_table(cfg.data)
        make = make_parts(cfg, check_settings(cfg), table, CPU).loader.make
        rows = torch.arange(len(table.split("train")))
        found = [make(rows, torch.full_like(rows, view)) for view in range(6)]
        for _, labels, groups in found:
            assert labels.tolist() == table.split("train").labels.tolist()
            assert groups.tolist() == table.split("train").group_indices.tolist()
        return torch.stack([features for features, *_ in found])

    one = views(0)
    assert torch.equal(one, views(0)) and torch.equal(one[:3], one[3:])
    assert (one[0] != one[1]).any(dim=1).float().mean() > 0.9
    assert not torch.equal(one, views(1))


@pytest.mark.slow
def test_features_are_kept_for_the_next_run_and_never_stale(probe, monkeypatch, tmp_path):
    """A second run puts no image through the backbone; other weights, steps or rows all anew."""
    settings = {**probe, "augment": "flips", "feature_views": 2}
    settings |= {"cache": "disk", "cache_dir": str(tmp_path / "cache")}
    table = load_table(Config().with_settings(**settings).data)
    n_train, n_valid = len(table.split("train")), len(table.split("valid"))
    seen, real = [], features.featured

    def counting(*args, **options):
        found = real(*args, **options)
        seen.append(sum(len(batch[0]) for batch in found))
        return found

    monkeypatch.setattr(features, "featured", counting)

    def run(**changed):
        """The features of all rows' first views, and metrics of the untrained head."""
        seen.clear()
        cfg = Config().with_settings(**{**settings, **changed})
        parts = make_parts(cfg, check_settings(cfg), table, CPU)
        metrics = parts.evaluator(parts.evaluated_network(), "valid")[1]
        return parts.loader.make(torch.arange(n_train), 0)[0], metrics

    first = run()
    assert seen == [2 * n_train, n_valid]
    files = set((tmp_path / "cache").glob("*.features"))
    assert len(files) == 2
    again = run(lr=0.5, epochs=7)
    assert seen == [] and torch.equal(again[0], first[0]) and again[1] == first[1]
    other = run(preprocess="resize || normalize(stats='half')")
    assert len(seen) == 2 and not torch.equal(other[0], first[0])
    run(seed=1)  # other weights of a random backbone
    assert len(seen) == 2
    run(augment="none")
    assert seen == [2 * n_train], "evaluation is not augmented"
    for path in files:
        path.write_bytes(path.read_bytes()[:-9])
    again = run()
    assert len(seen) == 2 and torch.equal(again[0], first[0])


@pytest.mark.slow
def test_two_processes_compute_the_same_features(probe):
    settings = {**probe, "epochs": 1, "model": "test_convnext", "feature_views": 2}
    settings |= {"batch_size": 16, "run_name": "two"}
    outcome = finish(start(settings, 2))
    assert [code for code, _, _ in outcome] == [0, 0], outcome
    one = {**settings, "batch_size": 32, "run_name": "one"}
    weights = found(train(Config().with_settings(**one)))[0]
    others = found(Path(probe["output_dir"]) / "two")[0]
    for name, tensor in weights.items():
        np.testing.assert_allclose(others[name], tensor, rtol=1e-3, atol=1e-4)


def test_what_changes_features_in_training_is_refused(probe):
    with pytest.raises(UserError, match=r"--feature_views 2: .*--freeze_model"):
        Config().with_settings(feature_views=2)
    for name in ("mixup", "cutmix", "drop_path"):
        cfg = Config().with_settings(**{**probe, "feature_views": 2, name: 0.5})
        with pytest.raises(UserError, match=f"--feature_views and --{name}"):
            check_settings(cfg)
