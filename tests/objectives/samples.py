"""Objectives and batches to test with: of three classes and two groups unless said otherwise."""

from typing import NamedTuple

import torch

from src.objectives.catalog import OBJECTIVES, Objective

CLASSES, GROUPS = 3, 2
EVEN = [[1] * CLASSES] * GROUPS
DOMAIN = ("domain_discriminative", "domain_independent")
# Every objective as it is, and some options that make it another.
CALLS = (
    *OBJECTIVES.names(),
    *(f"{name}(decide='{rule}')" for name in DOMAIN for rule in ("own", "prior_shift")),
    "focal(gamma=0)",
    "focal(gamma=0.1)",
    "ohem(count=3)",
    "recall_cross_entropy(momentum=0.9)",
    "logit_adjustment(tau=3)",
    "group_dro(step=1)",
)

WEIGHTS = {
    "plain": None,
    "by class": torch.tensor([[0.2, 1.0, 3.0]]),
    "by group and class": torch.tensor([[0.2, 1.0, 3.0], [2.0, 0.0, 0.5]]),
}


class Shape(NamedTuple):
    """What an objective is made for: training rows of each group and class."""

    counts: list[list[int]]

    @property
    def num_groups(self) -> int:
        return len(self.counts)

    @property
    def num_classes(self) -> int:
        return len(self.counts[0])

    @property
    def label_counts(self) -> list[int]:
        return [sum(column) for column in zip(*self.counts, strict=True)]


def build(call: str, weight=None, counts=EVEN) -> Objective:
    """The objective in training mode; `weight` is a tensor or None."""
    shape = Shape(counts)
    return OBJECTIVES.build(
        call,
        num_classes=shape.num_classes,
        num_groups=shape.num_groups,
        label_counts=torch.tensor(shape.label_counts),
        joint_counts=torch.tensor(counts),
        positive=shape.num_classes - 1,
        weight=weight,
    )


def batch(objective: Objective, n_rows=12, *, seed=0, scale=3.0, classes=CLASSES, groups=GROUPS):
    """(logits with a gradient, targets, groups); 6 rows or more are of every class and group."""
    rng = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(n_rows, objective.n_outputs, generator=rng)
    rows = torch.arange(n_rows)
    return logits.requires_grad_(), rows % classes, rows % groups


def value_and_gradient(loss, logits, *arguments):
    """(the loss, its gradient by the logits)"""
    value = loss(logits, *arguments)
    (gradient,) = torch.autograd.grad(value, logits)
    return value, gradient


def state_of(objective: Objective) -> dict:
    """A copy of what the objective remembers."""
    return {name: value.clone() for name, value in objective.state_dict().items()}
