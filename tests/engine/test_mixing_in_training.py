"""Mixing in training: the loop with and without, the flags, and a run that is continued."""

import numpy as np
import pytest
import torch
from torch import nn

from src.artifact.network import load_checkpoint
from src.core.config import Config
from src.core.flags import load_config
from src.engine.loop import Position, StepSettings, Trainer, seed_torch
from src.engine.optim import make_step_settings
from src.engine.run import train
from src.objectives.catalog import OBJECTIVES
from src.objectives.mixing import Mixing
from tests.datasets.small_isic import isic_rows, write_csv, write_image

CPU = torch.device("cpu")
MIXINGS = [
    Mixing(mixup=0.8),
    Mixing(cutmix=1.0),
    Mixing(cutmix_minmax=(0.4, 0.8)),
    Mixing(mixup=0.4, cutmix=2.0),
    Mixing(mixup=0.4, cutmix_minmax=(0.5, 0.5), prob=0.5, switch_prob=0.7),
]


class Flat(nn.Module):
    """A linear model of the pixels."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(192, 6)

    def forward(self, images):
        return self.linear(images.flatten(1))


def loader():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(12, 3, 8, 8, generator=generator)
    labels, groups = torch.arange(12) % 2, torch.arange(12) // 2 % 3
    return [(images[i : i + 4], labels[i : i + 4], groups[i : i + 4]) for i in range(0, 12, 4)]


def by_hand(mixing):
    """Weights and mean loss of three steps of plain descent, written out."""
    model, losses = Flat(), []
    for step, (images, labels, groups) in enumerate(loader()):
        seed_torch(0, step, 0)
        images, order, share = mixing(images)
        logits = model(images).view(4, 3, 2)
        loss = sum(
            part * nn.functional.cross_entropy(logits[range(4), groups[rows]], labels[rows])
            for part, rows in ((share, torch.arange(4)), (1 - share, order))
            if part
        )
        loss.backward()
        for parameter in model.parameters():
            parameter.data -= 0.5 * parameter.grad
            parameter.grad = None
        losses.append(loss.item())
    return model.linear.weight, np.mean(losses)


def by_loop(**given):
    model = Flat()
    counts = {"label_counts": torch.ones(2), "joint_counts": torch.ones(3, 2), "positive": 1}
    objective = OBJECTIVES.build(
        "domain_independent", num_classes=2, num_groups=3, weight=None, **counts
    )
    groups = [{"params": list(model.parameters()), "decays": False, "lr_scale": 1.0}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    settings = StepSettings(1, 3, None, lambda step, values: 0.5, lambda step: 0.0, **given)
    position = Position()
    for _ in Trainer(model, objective, optimizer, settings, CPU).epoch(loader(), position, []):
        pass
    return model.linear.weight, position.loss_sum / position.n_rows


def test_the_loop_without_mixing_is_unchanged_bit_for_bit():
    weights, mean = by_hand(Mixing())
    for given in ({}, {"mixing": Mixing()}, {"mixing": Mixing(mixup=1.0, prob=0.0)}):
        found, found_mean = by_loop(**given)
        assert torch.equal(found, weights)
        assert found_mean == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("mixing", MIXINGS, ids=str)
def test_the_loop_descends_the_mixed_loss(mixing):
    weights, mean = by_hand(mixing)
    found, found_mean = by_loop(mixing=mixing)
    torch.testing.assert_close(found, weights)
    assert found_mean == pytest.approx(mean, rel=1e-5)
    assert not torch.allclose(found, by_loop()[0], atol=1e-3)


def test_every_flag_reaches_the_steps():
    flags = "--mixup 0.2 --cutmix 0.7 --cutmix_minmax 0.3 0.9 --mixup_prob 0.6"
    cfg = load_config([*flags.split(), "--mixup-switch-prob", "0.25"])
    found = make_step_settings(cfg, 10, None).mixing
    assert found == Mixing(0.2, 0.7, (0.3, 0.9), prob=0.6, switch_prob=0.25)
    assert make_step_settings(Config(), 10, None).mixing == Mixing()


@pytest.fixture
def settings(tmp_path):
    """Settings of a run on twenty-four drawn images that mixes every batch."""
    rows = isic_rows()
    for number, row in enumerate(rows):
        label = ("benign", "malignant")[row["target"]]
        write_image(tmp_path / "isic" / row["split"] / label / row["image_name"], number)
    write_csv(tmp_path / "isic" / "ISIC_2020_full.csv", rows)
    model = {"model": "test_resnet", "pretrained": False, "input_size": 32, "augment": "flips"}
    data = {"data_path": str(tmp_path / "isic"), "num_workers": 0, "batch_size": 4}
    run = {"epochs": 2, "lr": 0.01, "monitor": "auroc", "device": "cpu", "dropout": 0.2}
    return {**model, **data, **run, "mixup": 0.4, "cutmix": 1.0}


@pytest.mark.slow
def test_a_stopped_run_continues_to_the_same_weights(settings, tmp_path):
    cfg = Config().with_settings(**settings, output_dir=str(tmp_path / "runs"))

    def stop(history):
        raise KeyboardInterrupt

    def weights(**changes):
        folder = train(cfg.with_settings(**changes))
        return load_checkpoint(folder / "checkpoint_latest.pth")["model_state_dict"]

    whole = weights(run_name="whole")
    with pytest.raises(KeyboardInterrupt):
        train(cfg.with_settings(run_name="stopped"), after_epoch=stop)
    continued = weights(run_name="stopped", resume="auto", num_workers=1)
    assert all(torch.equal(continued[key], value) for key, value in whole.items())
