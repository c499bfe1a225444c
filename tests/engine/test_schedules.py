"""Schedules: closed forms, torch's own schedulers step by step, wrong options in words."""

import math

import pytest
import torch

from src.core.errors import UserError
from src.engine.schedules import SCHEDULERS, half_cosine


def schedule(call: str, lr: float = 0.1, epochs: int = 10, steps_per_epoch: int = 10):
    return SCHEDULERS.build(call, lr=lr, epochs=epochs)(steps_per_epoch)


@pytest.mark.parametrize(
    ("progress", "wanted"), [(0, 1), (1 / 3, 0.75), (0.5, 0.5), (2 / 3, 0.25), (1, 0), (7, 0)]
)
def test_half_cosine(progress, wanted):
    assert half_cosine(progress) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (0, 0.1 / 21),
        (9, 0.1 * 10 / 21),
        (20, 0.1),
        (21, 0.1),
        (21 + 26, 1e-3 + 0.099 * (1 + math.cos(math.pi / 3)) / 2),
        (60, (0.1 + 1e-3) / 2),
        (99, 1e-3),
        (500, 1e-3),
    ],
)
def test_cosine_equals_its_formula(step, wanted):
    """21 steps of warm-up leave 79: the middle of their cosine is step 60."""
    assert schedule("cosine(warmup_steps=21, min_lr=1e-3)")(step, ()) == pytest.approx(wanted)


@pytest.mark.parametrize("call", ["cosine", "cosine(warmup_epochs=2.5)", "cosine(warmup_steps=99)"])
def test_cosine_rises_then_falls_between_its_bounds(call):
    rates = [schedule(call)(step, ()) for step in range(100)]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.1)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 < rate <= 0.1 for rate in rates)


@pytest.mark.parametrize(
    ("options", "n_warmup"),
    [
        ("", 0),
        ("warmup_epochs=1.5", 15),
        ("warmup_epochs=2", 20),
        ("warmup_epochs=2, warmup_steps=3", 3),
        ("warmup_epochs=2, warmup_steps=0", 0),
    ],
)
def test_warmup_lasts_as_long_as_told(options, n_warmup):
    rate = schedule(f"cosine({options})")
    rising = [step for step in range(100) if rate(step, ()) < min(0.1, rate(step + 1, ()))]
    assert rising == list(range(n_warmup - 1))
    assert rate(n_warmup, ()) == 0.1


def test_a_single_step_has_the_full_rate():
    assert schedule("cosine", epochs=1, steps_per_epoch=1)(0, ()) == 0.1


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("cosine(warmup_steps=100)", "Warm-up (100 steps) must be shorter than training"),
        ("cosine(warmup_epochs=10)", "Warm-up (10 epochs) must be shorter"),
        ("cosine(warmup_epochs=9.96)", "Warm-up (100 steps)"),
        ("cosine(warmup_epochs=-1.0)", "warmup_epochs=-1.0"),
        ("cosine(min_lr=0.2)", "min_lr=0.2"),
        ("cosine(min_lr=-0.1)", "expected 0 to the learning rate 0.1"),
        ("cosine(warm_up=1)", "warmup"),
        ("cosine_restarts(warmup_epochs=10)", "Warm-up (10 epochs)"),
        ("cosine_restarts(warmup_epochs=-1)", "warmup_epochs=-1"),
        ("cosine_restarts(first_epochs=0.04)", "first_epochs=0.04): expected at least one step"),
        ("cosine_restarts(first_epochs=-5)", "first_epochs=-5): expected more"),
        ("cosine_restarts(factor=0)", "factor=0): expected 1 or more"),
        ("cosine_restarts(factor=1.5)", "expected a value like 2"),
        ("cosine_restarts(min_lr=0.2)", "cosine_restarts(min_lr=0.2)"),
        ("plateau(factor=1.0)", "factor=1.0): expected more than 0 and less than 1"),
        ("plateau(factor=0.0)", "factor=0.0)"),
        ("plateau(patience=-1)", "patience=-1): expected 0 or more"),
        ("plateau(threshold=-0.1)", "threshold=-0.1): expected 0 or more"),
        ("plateau(min_lr=0.2)", "plateau(min_lr=0.2): expected 0 to the learning rate 0.1"),
        ("cosin", "did you mean 'cosine'"),
    ],
)
def test_wrong_schedule_is_refused_in_words(call, expected):
    with pytest.raises(UserError) as caught:
        schedule(call)
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["constant", "none"])
def test_constant_is_constant(name):
    rate = schedule(name, lr=0.3)
    assert {rate(step, [0.5] * (step // 10)) for step in range(100)} == {0.3}


def stepped(scheduler_of, values) -> list[float]:
    """The rates that a torch scheduler sets, at the start and after each step with a value."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler, rates = scheduler_of(optimizer), []
    for value in values:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*value)
    return rates


@pytest.mark.parametrize(
    ("options", "first", "factor"),
    [
        ("first_epochs=1", 10, 2),
        ("first_epochs=0.7, factor=3", 7, 3),
        ("first_epochs=2, factor=1", 20, 1),
        ("", 100, 2),
    ],
)
def test_cosine_restarts_equals_torch(options, first, factor):
    wanted = stepped(
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
            optimizer, first, factor, eta_min=1e-6
        ),
        [()] * 250,
    )
    rate = schedule(f"cosine_restarts({options})")
    assert [rate(step, ()) for step in range(250)] == pytest.approx(wanted)


def test_cosine_restarts_follow_the_warmup():
    late = schedule("cosine_restarts(first_epochs=1, warmup_epochs=0.5)")
    rate = schedule("cosine_restarts(first_epochs=1)")
    assert [late(step, ()) for step in range(5)] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert [late(step + 5, ()) for step in range(90)] == [rate(step, ()) for step in range(90)]


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(
    ("options", "patience", "factor", "threshold", "min_lr"),
    [
        ("", 5, 0.1, 0.0, 1e-6),
        ("patience=0, factor=0.5, min_lr=1e-3", 0, 0.5, 0.0, 1e-3),
        ("patience=2, threshold=0.05, min_lr=0.0", 2, 0.1, 0.05, 0.0),
    ],
)
def test_plateau_equals_torch(options, patience, factor, threshold, min_lr, mode):
    """Values of two digits that rise, fall and tie."""
    torch.manual_seed(0)
    values = [round(value, 2) for value in (0.5 + 0.1 * torch.randn(60).cumsum(0)).tolist()]
    wanted = stepped(
        lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode, factor, patience, threshold, "abs", min_lr=min_lr, eps=0
        ),
        [(value,) for value in values],
    )
    signed = values if mode == "max" else [-value for value in values]
    rate = schedule(f"plateau({options})")
    assert [rate(0, signed[:epoch]) for epoch in range(60)] == pytest.approx(wanted)
    assert len(set(wanted)) > 2


def test_plateau_waits_for_more_epochs_than_its_patience():
    rate = schedule("plateau(patience=2, factor=0.5)")
    values = [0.7, 0.7, 0.6, 0.7, 0.71, 0.71, 0.71, 0.71, 0.71, 0.71, 0.71]
    seen = [rate(0, values[:epoch]) for epoch in range(12)]
    assert seen == pytest.approx([0.1] * 4 + [0.05] * 4 + [0.025] * 3 + [0.0125])


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_every_schedule_gives_positive_rates_up_to_the_peak(name):
    rates = [schedule(name)(step, [0.5] * (step // 10)) for step in range(100)]
    assert all(0 < rate <= 0.1 for rate in rates)


def test_what_can_be_known_is_refused_before_the_steps_of_an_epoch_are():
    for call in ("cosine(warmup_epochs=2)", "cosine_restarts(warmup_epochs=1.0)"):
        with pytest.raises(UserError, match=r"training \(1 epoch\): lower warmup_epochs or raise"):
            SCHEDULERS.build(call, lr=0.1, epochs=1)
    with pytest.raises(UserError, match="first_epochs"):
        SCHEDULERS.build("cosine_restarts(first_epochs=0)", lr=0.1, epochs=1)
