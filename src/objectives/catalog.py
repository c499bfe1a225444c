"""Objectives by name: head width, loss and decision rule, chosen together."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from src.core.errors import UserError
from src.core.registry import Registry
from src.objectives import losses
from src.objectives.reductions import REDUCTIONS

OBJECTIVES = Registry("objective")


class Objective(nn.Module):
    """`objective(logits, targets, groups)` is a scalar loss.

    `n_outputs` is the width of the head that it needs, `reduction` the name of the rule that
    makes class probabilities of such logits.
    """

    def __init__(self, n_outputs: int, loss: Callable, reduction: str, weight=None):
        super().__init__()
        self.n_outputs, self.loss, self.reduction = n_outputs, loss, reduction
        self.register_buffer("weight", weight)

    def forward(self, logits, targets, groups) -> torch.Tensor:
        return self.loss(logits, targets, groups, self.weight)


@OBJECTIVES.register
def cross_entropy(num_classes: int, weight, *, smoothing: float = 0.0) -> Objective:
    """Cross-entropy with label smoothing."""
    _require_share("smoothing", smoothing)
    return Objective(
        num_classes,
        lambda x, y, g, w: losses.cross_entropy(x, y, w, smoothing),
        "softmax",
        weight,
    )


@OBJECTIVES.register
def focal(num_classes: int, weight, *, gamma: float = 2.0) -> Objective:
    """Focal loss (Lin et al. 2017)."""
    if gamma < 0:
        raise UserError(f"focal(gamma={gamma}): expected 0 or more")
    return Objective(
        num_classes, lambda x, y, g, w: losses.focal(x, y, gamma, w), "softmax", weight
    )


@OBJECTIVES.register
def ohem(num_classes: int, weight, *, fraction: float = 0.7) -> Objective:
    """Online hard example mining: the hardest share of each batch (Shrivastava et al. 2016)."""
    if not 0 < fraction <= 1:
        raise UserError(f"ohem(fraction={fraction}): expected 0 < fraction <= 1")
    return Objective(
        num_classes, lambda x, y, g, w: losses.ohem(x, y, fraction, w), "softmax", weight
    )


@OBJECTIVES.register
def recall_cross_entropy(num_classes: int, weight) -> Objective:
    """Recall-weighted cross-entropy (Tian et al. 2022), with the batch's recall."""
    return Objective(
        num_classes, lambda x, y, g, w: losses.recall_cross_entropy(x, y, w), "softmax", weight
    )


@OBJECTIVES.register
def domain_discriminative(
    num_classes: int, num_groups: int, weight, *, smoothing: float = 0.0
) -> Objective:
    """Cross-entropy over group x class, summed over groups to decide (Wang et al. 2020)."""
    _require_share("smoothing", smoothing)

    def loss(logits, targets, groups, weight):
        joint = groups * num_classes + targets
        weight = None if weight is None else weight.repeat(num_groups)
        return losses.cross_entropy(logits, joint, weight, smoothing)

    return Objective(num_groups * num_classes, loss, "sum_over_groups", weight)


@OBJECTIVES.register
def domain_independent(
    num_classes: int, num_groups: int, weight, *, smoothing: float = 0.0
) -> Objective:
    """Cross-entropy in the head of the row's own group (Wang et al. 2020)."""
    _require_share("smoothing", smoothing)

    def loss(logits, targets, groups, weight):
        own = losses.of_own_group(logits, groups, num_classes)
        return losses.cross_entropy(own, targets, weight, smoothing)

    return Objective(num_groups * num_classes, loss, "mean_over_groups", weight)


def class_weights(name: str, counts: np.ndarray) -> torch.Tensor | None:
    """float32 [num_classes] loss weights from the training rows of each class; None for `none`.

    `inverse_frequency` is N / (num_classes * N_class), so that rows have a mean weight of 1.
    """
    if name == "none":
        return None
    if name != "inverse_frequency":
        raise UserError(f"--class_weights {name}: expected none or inverse_frequency")
    weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
    return torch.tensor(np.where(counts > 0, weights, 0.0), dtype=torch.float32)


def needs_groups(call: str) -> bool:
    """Whether the objective written in `call` needs the group of every training row."""
    return "num_groups" in OBJECTIVES.context_names(call)


def make_reduction(name: str, num_classes: int, num_groups: int) -> nn.Module:
    """The decision rule `name` as a module. Raises `UserError` for an unknown one."""
    if name not in REDUCTIONS:
        raise UserError(f"unknown reduction '{name}': expected one of {', '.join(REDUCTIONS)}")
    return REDUCTIONS[name](num_classes, num_groups)


def _require_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise UserError(f"{name}={value}: expected 0 <= {name} < 1")
