"""Optimizer steps: accumulation, clipping and schedules, on a model that is a matrix."""

import numpy as np
import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.engine.loop import Position, StepSettings, Trainer, predict, seed_torch

CPU = torch.device("cpu")


class Flat(nn.Module):
    """A linear model of the pixels, in float64."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(12, 2).double()

    def forward(self, images):
        return self.linear(images.flatten(1).double())


class Loss(nn.Module):
    """Cross-entropy in the precision of the logits."""

    def forward(self, logits, labels, groups):
        return nn.functional.cross_entropy(logits, labels)


loss = Loss()


def batches(n, size):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(n, 3, 2, 2, generator=generator)
    labels = torch.randint(0, 2, (n,), generator=generator)
    groups = torch.zeros(n, dtype=torch.int64)
    return [tuple(x[i : i + size] for x in (images, labels, groups)) for i in range(0, n, size)]


def train_once(loader, update_freq=1, clip_grad=None, lr=0.5, weight_decay=0.0, epoch=0):
    model = Flat()
    groups = [{"params": list(model.parameters()), "decays": True, "lr_scale": 1.0}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    settings = StepSettings(
        update_freq, 2, clip_grad, lambda step, values: lr * (step + 1), lambda step: weight_decay
    )
    position = Position(epoch)
    for _ in Trainer(model, loss, optimizer, settings, CPU).epoch(loader, position, []):
        pass
    return model, optimizer, position.loss_sum / position.n_rows


def test_accumulated_batches_step_as_one_large_batch():
    small, _, small_loss = train_once(batches(16, 4), update_freq=2)
    large, _, large_loss = train_once(batches(16, 8))
    assert torch.allclose(small.linear.weight, large.linear.weight, atol=1e-12)
    assert small_loss == pytest.approx(large_loss, abs=1e-12)


def test_a_last_incomplete_accumulation_is_a_mean_of_what_it_has():
    three, _, _ = train_once(batches(12, 4), update_freq=2, lr=0.1)
    model = Flat()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    parts = batches(12, 4)
    first = (
        loss(model(parts[0][0]), parts[0][1], None),
        loss(model(parts[1][0]), parts[1][1], None),
    )
    (sum(first) / 2).backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.param_groups[0]["lr"] = 0.2
    loss(model(parts[2][0]), parts[2][1], None).backward()
    optimizer.step()
    assert torch.allclose(three.linear.weight, model.linear.weight, atol=1e-12)


def test_clipping_bounds_the_step():
    free, _, _ = train_once(batches(8, 8), lr=1.0)
    clipped, _, _ = train_once(batches(8, 8), lr=1.0, clip_grad=1e-3)
    start = Flat()

    def moved(model):
        steps = [a - b for a, b in zip(model.parameters(), start.parameters(), strict=True)]
        return torch.cat([step.flatten() for step in steps]).norm().item()

    assert moved(free) > 0.01
    assert moved(clipped) == pytest.approx(1e-3, rel=1e-3)


def test_schedules_are_set_by_the_step_over_all_epochs():
    _, optimizer, _ = train_once(batches(8, 4), lr=0.1, weight_decay=0.25, epoch=3)
    group = optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(0.1 * 8)  # steps 6 and 7 of two an epoch
    assert group["weight_decay"] == 0.25


def test_a_loss_that_is_no_number_stops_with_a_reason():
    loader = batches(4, 4)
    loader[0][0][0, 0, 0, 0] = float("nan")
    with pytest.raises(UserError, match="lower --lr"):
        train_once(loader)


def test_predict_gives_every_row_once_in_order():
    class Network(Flat):
        def forward(self, images):
            logits = super().forward(images)
            return logits, logits.softmax(1)

    loader = batches(11, 4)
    outputs = predict(Network(), loader, "all")
    assert [len(logits) for logits, _ in outputs] == [4, 4, 3]
    images = torch.cat([images for images, _, _ in loader])
    for column, expected in enumerate(Network()(images)):
        found = np.concatenate([output[column] for output in outputs])
        np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-6)


def test_seeding_repeats_and_differs_by_epoch():
    draws = []
    for numbers in ((0, 1), (0, 1), (0, 2), (1, 1)):
        seed_torch(*numbers)
        draws.append(torch.rand(3))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])


def test_a_step_does_not_wait_for_its_loss(monkeypatch):
    """Reading a value waits for the device: losses are read every 50 steps and at the end."""
    read = []
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__"):
        real = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor,
            name,
            lambda self, *args, name=name, real=real: read.append(name) or real(self, *args),
        )
    loader, position = batches(120, 1), Position()
    model = Flat()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for group in optimizer.param_groups:
        group.update(decays=False, lr_scale=1.0)
    settings = StepSettings(1, 120, 1.0, lambda step, values: 0.1, lambda step: 0.0)
    trainer = Trainer(model, loss, optimizer, settings, CPU)
    for number, _ in enumerate(trainer.epoch(loader, position, []), 1):
        assert position.n_rows == number // 50 * 50
    assert position.n_rows == 120 and read.count("tolist") == 3, read
    assert len(read) == 3, "of no other value either"


def test_a_loss_that_is_no_number_is_told_with_its_step_before_anything_is_saved():
    loader, position, model = batches(8, 1), Position(), Flat()
    loader[2][0][0, 0, 0, 0] = float("inf")
    groups = [{"params": list(model.parameters()), "decays": False, "lr_scale": 1.0}]
    settings = StepSettings(1, 8, None, lambda step, values: 0.1, lambda step: 0.0)
    trainer = Trainer(model, loss, torch.optim.SGD(groups, lr=1.0), settings, CPU)
    steps = trainer.epoch(loader, position, [])
    for _ in range(4):
        next(steps)
    with pytest.raises(UserError, match="nan at step 2"):
        trainer.read_losses(position)
    assert position.n_rows == 2
