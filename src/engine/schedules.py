"""Learning-rate schedules by name.

A factory takes what is known before any data are read, and refuses options that cannot work; what
it makes is given the steps of an epoch and is the schedule: a pure function of the optimizer step
and of the monitored validation values of the epochs finished so far (signed: higher is better), so
that a run continues without a saved schedule.
"""

import math
from collections.abc import Callable, Sequence

from ..core.errors import UserError
from ..core.registry import Registry

SCHEDULERS = Registry("scheduler")
Schedule = Callable[[int, Sequence[float]], float]
Plan = Callable[[int], Schedule]


@SCHEDULERS.register
def cosine(
    lr: float,
    epochs: int,
    *,
    warmup_epochs: float = 0.0,
    warmup_steps: int = -1,
    min_lr: float = 1e-6,
) -> Plan:
    """Learning rate of a step: linear warm-up to `lr`, then half a cosine down to `min_lr`.

    `warmup_steps` of 0 or more goes before `warmup_epochs`.
    """
    _require_warmup("cosine", 0 if warmup_steps >= 0 else warmup_epochs, epochs)
    _require_below(lr, "cosine", min_lr)

    def plan(steps_per_epoch: int) -> Schedule:
        n_steps = epochs * steps_per_epoch
        warmup = warmup_steps if warmup_steps >= 0 else round(warmup_epochs * steps_per_epoch)

        def after_warmup(step: int) -> float:
            progress = step / max(1, n_steps - warmup - 1)
            return min_lr + (lr - min_lr) * half_cosine(progress)

        return _with_warmup(lr, n_steps, warmup, after_warmup)

    return plan


@SCHEDULERS.register
def cosine_restarts(
    lr: float,
    epochs: int,
    *,
    first_epochs: float = 10.0,
    factor: int = 2,
    warmup_epochs: float = 0.0,
    min_lr: float = 1e-6,
) -> Plan:
    """Learning rate of a step: half cosines from `lr` to `min_lr`, again and again.

    The first takes `first_epochs`, each next one `factor` times as long; a linear warm-up comes
    before all of them. Loshchilov & Hutter 2017 (SGDR).
    """
    name = "cosine_restarts"
    _require(first_epochs > 0, f"{name}(first_epochs={first_epochs})", "more than 0")
    _require(factor >= 1, f"{name}(factor={factor})", "1 or more")
    _require_warmup(name, warmup_epochs, epochs)
    _require_below(lr, name, min_lr)

    def plan(steps_per_epoch: int) -> Schedule:
        first = round(first_epochs * steps_per_epoch)
        _require(first >= 1, f"{name}(first_epochs={first_epochs})", "at least one step")

        def after_warmup(step: int) -> float:
            length = first
            while step >= length:
                step -= length
                length *= factor
            return min_lr + (lr - min_lr) * half_cosine(step / length)

        warmup = round(warmup_epochs * steps_per_epoch)
        return _with_warmup(lr, epochs * steps_per_epoch, warmup, after_warmup)

    return plan


@SCHEDULERS.register
def plateau(
    lr: float,
    *,
    factor: float = 0.1,
    patience: int = 5,
    min_lr: float = 1e-6,
    threshold: float = 0.0,
) -> Plan:
    """Learning rate after the validation values so far: `lr`, lowered wherever they stand still.

    It is multiplied by `factor`, down to `min_lr`, at each `patience + 1` epochs in a row that do
    not pass the best value by more than `threshold`, as torch's `ReduceLROnPlateau` does.
    """
    _require_below(lr, "plateau", min_lr)
    _require(0 < factor < 1, f"plateau(factor={factor})", "more than 0 and less than 1")
    _require(patience >= 0, f"plateau(patience={patience})", "0 or more")
    _require(threshold >= 0, f"plateau(threshold={threshold})", "0 or more")

    def rate(step: int, values: Sequence[float]) -> float:
        current, best, n_bad = lr, -math.inf, 0
        for value in values:
            n_bad = 0 if value > best + threshold else n_bad + 1
            best = value if n_bad == 0 else best
            if n_bad > patience:
                current, n_bad = max(min_lr, current * factor), 0
        return current

    return lambda steps_per_epoch: rate


@SCHEDULERS.register
def constant(lr: float) -> Plan:
    """The same learning rate at every step."""
    return lambda steps_per_epoch: lambda step, values: lr


@SCHEDULERS.register
def none(lr: float) -> Plan:
    """`constant` by its other name."""
    return constant(lr)


def half_cosine(progress: float) -> float:
    """1 at progress 0, falling to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _with_warmup(
    lr: float, n_steps: int, warmup: int, after_warmup: Callable[[int], float]
) -> Schedule:
    """`after_warmup`, which counts its own steps, behind `warmup` steps of a line up to `lr`."""
    if warmup >= n_steps > 0:
        raise _too_long(f"{warmup} steps", f"{n_steps} steps", "the warm-up")

    def rate(step: int, values: Sequence[float]) -> float:
        return lr * (step + 1) / warmup if step < warmup else after_warmup(step - warmup)

    return rate


def _require_warmup(name: str, warmup_epochs: float, epochs: int) -> None:
    _require(warmup_epochs >= 0, f"{name}(warmup_epochs={warmup_epochs})", "0 or more")
    if warmup_epochs >= epochs:
        warmup, training = (f"{n:g} epoch{'s' * (n != 1)}" for n in (warmup_epochs, epochs))
        raise _too_long(warmup, training, "warmup_epochs")


def _too_long(warmup: str, training: str, what: str) -> UserError:
    return UserError(
        f"Warm-up ({warmup}) must be shorter than training ({training}): lower {what} or raise "
        "--epochs."
    )


def _require(fits: bool, option: str, expected: str) -> None:
    if not fits:
        raise UserError(f"{option}: expected {expected}")


def _require_below(lr: float, name: str, min_lr: float) -> None:
    _require(0 <= min_lr <= lr, f"{name}(min_lr={min_lr})", f"0 to the learning rate {lr}")
