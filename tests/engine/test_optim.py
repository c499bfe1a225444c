"""Optimizers and schedules: formulas, weight decay where it belongs, wrong options in words."""

import inspect
import math

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.engine.optim import OPTIMIZERS, SCHEDULERS, half_cosine, make_optimizer


def schedule(call: str, lr: float = 0.1, n_steps: int = 100, steps_per_epoch: int = 10):
    return SCHEDULERS.build(call, lr=lr, n_steps=n_steps, steps_per_epoch=steps_per_epoch)


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
    assert schedule("cosine(warmup_steps=21, min_lr=1e-3)")(step) == pytest.approx(wanted)


@pytest.mark.parametrize("call", ["cosine", "cosine(warmup_epochs=2.5)", "cosine(warmup_steps=99)"])
def test_cosine_rises_then_falls_between_its_bounds(call):
    rates = [schedule(call)(step) for step in range(100)]
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
    rising = [step for step in range(100) if rate(step) < 0.1 and rate(step) < rate(step + 1)]
    assert rising == list(range(n_warmup - 1))
    assert rate(n_warmup) == 0.1


def test_a_single_step_has_the_full_rate():
    assert schedule("cosine", n_steps=1)(0) == 0.1


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("cosine(warmup_steps=100)", "100 warm-up steps, expected fewer than all 100"),
        ("cosine(warmup_epochs=10)", "100 warm-up steps"),
        ("cosine(warmup_epochs=30.0)", "300 warm-up steps"),
        ("cosine(warmup_epochs=-1.0)", "warmup_epochs=-1.0"),
        ("cosine(min_lr=0.2)", "min_lr=0.2"),
        ("cosine(min_lr=-0.1)", "expected 0 to the learning rate 0.1"),
        ("cosine(warm_up=1)", "warmup"),
        ("cosin", "did you mean 'cosine'"),
    ],
)
def test_wrong_schedule_is_refused_in_words(call, expected):
    with pytest.raises(UserError) as caught:
        schedule(call)
    assert expected in str(caught.value)


def test_constant_is_constant():
    assert {schedule("constant", lr=0.3)(step) for step in range(100)} == {0.3}


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_every_schedule_gives_positive_rates_up_to_the_peak(name):
    rates = [schedule(name)(step) for step in range(100)]
    assert all(0 < rate <= 0.1 for rate in rates)


class Small(nn.Module):
    """Weights with and without decay."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.batch_norm = nn.BatchNorm2d(4)
        self.layer_norm = nn.LayerNorm(4)
        self.linear = nn.Linear(4, 2)


def names_by_decay(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[float, set[str]]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    found: dict[float, set[str]] = {}
    for group in optimizer.param_groups:
        found.setdefault(group["weight_decay"], set()).update(names[p] for p in group["params"])
    return found


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_biases_and_norms_have_no_decay(name):
    model = Small()
    assert names_by_decay(make_optimizer(name, model, lr=0.1, weight_decay=0.3), model) == {
        0.3: {"convolution.weight", "linear.weight"},
        0.0: {
            "convolution.bias",
            "linear.bias",
            "batch_norm.weight",
            "batch_norm.bias",
            "layer_norm.weight",
            "layer_norm.bias",
        },
    }


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_frozen_parameters_are_left_out(name):
    model = Small().requires_grad_(False)
    model.linear.bias.requires_grad_(True)
    optimizer = make_optimizer(name, model, lr=0.1, weight_decay=0.3)
    assert names_by_decay(optimizer, model) == {0.0: {"linear.bias"}}


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_step_lowers_a_quadratic_loss(name):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = make_optimizer(name, model, lr=0.01, weight_decay=0.0)
    assert {group["lr"] for group in optimizer.param_groups} == {0.01}
    losses = []
    for _ in range(4):
        loss = sum((p - 1).square().sum() for p in model.parameters())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.99 * losses[0]


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_decay_shrinks_the_weight_but_not_the_bias(name):
    """Without a gradient nothing but decay moves a parameter."""
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, -2.0)
    bias = model.bias.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    make_optimizer(name, model, lr=0.01, weight_decay=0.5).step()
    assert ((model.weight > -2) & (model.weight < 0)).all()
    assert torch.equal(model.bias, bias)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_options_reach_the_optimizer(name):
    signature = inspect.signature(OPTIMIZERS[name]).parameters.values()
    options = {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}
    assert options
    changed = {
        option: tuple(v / 2 for v in value) if isinstance(value, tuple) else value / 2
        for option, value in options.items()
    }
    call = f"{name}({', '.join(f'{k}={v}' for k, v in changed.items())})"
    (group, *_) = make_optimizer(call, Small(), lr=0.1, weight_decay=0.0).param_groups
    assert {option: group[option] for option in changed} == changed


def test_sgd_without_momentum_is_plain_descent():
    model = nn.Linear(1, 1)
    before = model.weight.item()
    model.weight.grad, model.bias.grad = torch.ones(1, 1), torch.ones(1)
    make_optimizer("sgd(momentum=0.0)", model, lr=0.25, weight_decay=0.0).step()
    assert model.weight.item() == pytest.approx(before - 0.25)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("adamw(betas=(2, 3))", "--opt adamw(betas=(2, 3))"),
        ("adamw(betas=(0.9,))", "--opt adamw(betas=(0.9,))"),
        ("adam(betas=('a', 'b'))", "--opt adam"),
        ("adam(eps=-1.0)", "-1.0"),
        ("sgd(momentum=-0.5)", "momentum"),
        ("sgd(momentumm=0.5)", "did you mean 'momentum'"),
        ("adamv", "did you mean 'adam"),
    ],
)
def test_wrong_optimizer_is_refused_in_words(call, expected):
    with pytest.raises(UserError) as caught:
        make_optimizer(call, Small(), lr=0.1, weight_decay=0.0)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weight_decay_that_starts_at_0_still_belongs_to_matrices_alone():
    groups = make_optimizer("adamw", torch.nn.Linear(2, 2), 1e-3, 0.0).param_groups
    decays = {group["params"][0].ndim: group["decays"] for group in groups}
    assert decays == {1: False, 2: True}
    assert [group["weight_decay"] for group in groups] == [0.0, 0.0]
