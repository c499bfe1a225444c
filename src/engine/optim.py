"""Optimizers and learning-rate schedules by name."""

import math
from collections.abc import Callable

import torch
from timm.optim import param_groups_weight_decay

from src.core.errors import UserError
from src.core.registry import Registry

OPTIMIZERS = Registry("optimizer")
SCHEDULERS = Registry("scheduler")


def make_optimizer(
    call: str, model: torch.nn.Module, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimizer over the trainable parameters; vectors (biases, norms) have no decay.

    Raises `UserError` for options that the optimizer refuses.
    """
    groups = param_groups_weight_decay(model, weight_decay=1.0)
    for group in groups:
        group["decays"] = group["weight_decay"] > 0
        group["weight_decay"] *= weight_decay
    try:
        return OPTIMIZERS.build(call, parameters=[g for g in groups if g["params"]], lr=lr)
    except (ValueError, TypeError, IndexError) as error:
        raise UserError(f"--opt {call}: {error}") from None


@OPTIMIZERS.register
def adamw(parameters, lr, *, betas: tuple = (0.9, 0.999), eps: float = 1e-8):
    """AdamW (Loshchilov & Hutter 2019)."""
    return torch.optim.AdamW(parameters, lr, betas, eps)


@OPTIMIZERS.register
def adam(parameters, lr, *, betas: tuple = (0.9, 0.999), eps: float = 1e-8):
    """Adam (Kingma & Ba 2015)."""
    return torch.optim.Adam(parameters, lr, betas, eps)


@OPTIMIZERS.register
def sgd(parameters, lr, *, momentum: float = 0.9):
    """Stochastic gradient descent with Nesterov momentum."""
    return torch.optim.SGD(parameters, lr, momentum, nesterov=momentum > 0)


@SCHEDULERS.register
def cosine(
    lr: float,
    n_steps: int,
    steps_per_epoch: int,
    *,
    warmup_epochs: float = 0.0,
    warmup_steps: int = -1,
    min_lr: float = 1e-6,
) -> Callable[[int], float]:
    """Learning rate of a step: linear warm-up to `lr`, then half a cosine down to `min_lr`.

    `warmup_steps` of 0 or more goes before `warmup_epochs`.
    """
    warmup = warmup_steps if warmup_steps >= 0 else round(warmup_epochs * steps_per_epoch)
    if warmup >= n_steps > 0 and warmup > 0:
        raise UserError(f"cosine: {warmup} warm-up steps, expected fewer than all {n_steps}")
    if warmup < 0:
        raise UserError(f"cosine(warmup_epochs={warmup_epochs}): expected 0 or more")
    if not 0 <= min_lr <= lr:
        raise UserError(f"cosine(min_lr={min_lr}): expected 0 to the learning rate {lr}")

    def rate(step: int) -> float:
        if step < warmup:
            return lr * (step + 1) / warmup
        progress = (step - warmup) / max(1, n_steps - warmup - 1)
        return min_lr + (lr - min_lr) * half_cosine(progress)

    return rate


@SCHEDULERS.register
def constant(lr: float) -> Callable[[int], float]:
    """The same learning rate at every step."""
    return lambda step: lr


def half_cosine(progress: float) -> float:
    """1 at progress 0, falling to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
