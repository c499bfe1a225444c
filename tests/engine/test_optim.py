"""Optimizers: updates in closed form, weight decay where it belongs, wrong options in words."""

import inspect
import io

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.core.settings import Learning
from src.engine.optim import OPTIMIZERS, make_average, make_optimizer


class Small(nn.Module):
    """Weights with and without decay."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.batch_norm = nn.BatchNorm2d(4)
        self.layer_norm = nn.LayerNorm(4)
        self.linear = nn.Linear(4, 2)
        self.grid = nn.ParameterDict({"bias": torch.zeros(2, 2)})


def names_by_decay(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[float, set[str]]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    found: dict[float, set[str]] = {}
    for group in optimizer.param_groups:
        found.setdefault(group["weight_decay"], set()).update(names[p] for p in group["params"])
    return found


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_biases_and_norms_have_no_decay(name):
    model = Small()
    assert names_by_decay(
        make_optimizer(name, model, lr=0.1, weight_decay=0.3, layer_decay=1.0), model
    ) == {
        0.3: {"convolution.weight", "linear.weight"},
        0.0: {
            "convolution.bias",
            "linear.bias",
            "grid.bias",
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
    optimizer = make_optimizer(name, model, lr=0.1, weight_decay=0.3, layer_decay=1.0)
    assert names_by_decay(optimizer, model) == {0.0: {"linear.bias"}}


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_a_step_lowers_a_quadratic_loss(name):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = make_optimizer(name, model, lr=0.01, weight_decay=0.0, layer_decay=1.0)
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
    make_optimizer(name, model, lr=0.01, weight_decay=0.5, layer_decay=1.0).step()
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
    (group, *_) = make_optimizer(
        call, Small(), lr=0.1, weight_decay=0.0, layer_decay=1.0
    ).param_groups
    assert {option: group[option] for option in changed} == changed


def test_sgd_without_momentum_is_plain_descent():
    model = nn.Linear(1, 1)
    before = model.weight.item()
    model.weight.grad, model.bias.grad = torch.ones(1, 1), torch.ones(1)
    make_optimizer("sgd(momentum=0.0)", model, lr=0.25, weight_decay=0.0, layer_decay=1.0).step()
    assert model.weight.item() == pytest.approx(before - 0.25)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("adamw(betas=(2, 3))", "--opt adamw(betas=(2, 3))"),
        ("adamw(betas=(0.9,))", "--opt adamw(betas=(0.9,))"),
        ("adam(betas=('a', 'b'))", "--opt adam"),
        ("adam(betas=(0.9, 0.9, 0.9))", "expected values like (0.9, 0.999)"),
        ("lamb(betas=(0.9,))", "--opt lamb(betas=(0.9,)): betas is (0.9,): expected values like"),
        ("lamb(betas=(0.9, 1.0))", "each at least 0 and less than 1"),
        ("adan(betas=(0.9, 0.9))", "expected values like (0.98, 0.92, 0.99)"),
        ("lion(betas=(-0.1, 0.9))", "each at least 0 and less than 1"),
        ("lion(eps=1e-8)", "no option 'eps'"),
        ("adam(eps=-1.0)", "-1.0"),
        ("lamb(eps=-1.0)", "-1.0"),
        ("adan(eps=-1.0)", "-1.0"),
        ("sgd(momentum=-0.5)", "momentum"),
        ("sgd(momentumm=0.5)", "did you mean 'momentum'"),
        ("adamv", "did you mean 'adam"),
    ],
)
def test_wrong_optimizer_is_refused_in_words(call, expected):
    with pytest.raises(UserError) as caught:
        make_optimizer(call, Small(), lr=0.1, weight_decay=0.0, layer_decay=1.0)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def moved(call: str, gradients: list[torch.Tensor], weight_decay: float = 0.0) -> torch.Tensor:
    """A weight of ones after a step of 0.01 with each gradient."""
    model = nn.Linear(2, 2, bias=False)
    nn.init.ones_(model.weight)
    optimizer = make_optimizer(call, model, 0.01, weight_decay, layer_decay=1.0)
    for gradient in gradients:
        model.weight.grad = gradient.clone()
        optimizer.step()
    return model.weight.detach()


GRADIENTS = [torch.tensor([[3.0, -2.0], [0.5, -70.0]]), torch.tensor([[-900.0, 1.0], [0.1, 5.0]])]


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS.names()) - {"sgd"}))
def test_first_step_is_of_the_learning_rate(name):
    """Adam's, Adan's and Lion's first update is the gradient's sign; LAMB's without decay too."""
    wanted = 1 - 0.01 * GRADIENTS[0].sign()
    torch.testing.assert_close(moved(name, GRADIENTS[:1]), wanted, rtol=0, atol=1e-6)


def test_lion_moves_by_the_sign_of_its_interpolation():
    average = 0.01 * GRADIENTS[0]
    second = (0.9 * average + 0.1 * GRADIENTS[1]).sign()
    wanted = (1 - 0.01 * GRADIENTS[0].sign()) - 0.01 * second
    torch.testing.assert_close(moved("lion", GRADIENTS), wanted)


def test_lamb_without_decay_is_adam_and_clips_nothing():
    torch.testing.assert_close(moved("lamb", GRADIENTS), moved("adam(eps=1e-6)", GRADIENTS))


def test_lamb_with_decay_steps_in_proportion_to_the_weight():
    direction = GRADIENTS[0].sign() + 0.5
    wanted = 1 - 0.01 * 2 / direction.norm() * direction  # the norm of four ones is 2
    torch.testing.assert_close(moved("lamb", GRADIENTS[:1], weight_decay=0.5), wanted)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_optimizer_continues_from_its_saved_state(name):
    def start():
        model = nn.Linear(2, 2)
        nn.init.ones_(model.weight)
        nn.init.ones_(model.bias)
        return model, make_optimizer(name, model, 0.01, 0.1, layer_decay=1.0)

    def step(model, optimizer, gradient):
        model.weight.grad, model.bias.grad = gradient.clone(), gradient[0].clone()
        optimizer.step()

    model, optimizer = start()
    step(model, optimizer, GRADIENTS[0])
    file = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict()], file)
    file.seek(0)
    again, continued = start()
    weights, state = torch.load(file, weights_only=True)
    again.load_state_dict(weights)
    continued.load_state_dict(state)
    for each in ((model, optimizer), (again, continued)):
        step(*each, GRADIENTS[1])
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_weight_decay_that_starts_at_0_still_belongs_to_matrices_alone():
    groups = make_optimizer("adamw", torch.nn.Linear(2, 2), 1e-3, 0.0, 1.0).param_groups
    decays = {group["params"][0].ndim: group["decays"] for group in groups}
    assert decays == {1: False, 2: True}
    assert [group["weight_decay"] for group in groups] == [0.0, 0.0]


def test_after_its_half_life_an_average_keeps_half_of_what_it_was():
    """Weights jump from 0 to 1 and stay: after the half-life's steps the average is 1/2."""
    for half_life, steps_per_epoch in ((2.0, 5), (0.5, 8), (1.0, 1)):
        model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(model.weight)
        learning = Learning(model_ema=True, model_ema_half_life=half_life)
        average = make_average(learning, model, steps_per_epoch)
        average.update_parameters(model)  # the first one is taken as it is
        nn.init.ones_(model.weight)
        for _ in range(round(half_life * steps_per_epoch)):
            average.update_parameters(model)
        assert average.module.weight.item() == pytest.approx(0.5, abs=1e-5)
    assert make_average(Learning(model_ema_half_life=1.0), model, 1) is None


def test_an_average_remembers_by_its_half_life_or_its_decay():
    with pytest.raises(UserError, match="--model_ema_half_life and --model_ema_decay"):
        Learning(model_ema_decay=0.99, model_ema_half_life=2.0)
    with pytest.raises(UserError, match="--model_ema_half_life 0"):
        Learning(model_ema_half_life=0)
