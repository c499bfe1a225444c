"""Objectives by name: head width, loss and reduction, chosen together."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ..core.errors import UserError, require
from ..core.registry import Registry
from . import losses
from .reductions import REDUCTIONS

OBJECTIVES = Registry("objective")


class Objective(nn.Module):
    """`objective(logits, targets, groups)` is a scalar loss; rows of negative target are ignored.

    A fourth argument, where it is given, are the probabilities [N, classes] of a teacher.

    `n_outputs` is the width of the head that it needs, `reduction` the name of what
    makes class probabilities of such logits; with `own_head` that is only for rows of unknown
    group, others are decided by their group's head alone. `weight` [1 or num_groups, num_classes]
    weighs rows by class, or by group and class.
    """

    def __init__(
        self, n_outputs: int, loss: Callable, reduction: str, weight=None, own_head: bool = False
    ):
        super().__init__()
        self.n_outputs, self.reduction, self.own_head = n_outputs, reduction, own_head
        self.loss = loss
        self.register_buffer("weight", weight)

    def forward(self, logits, targets, groups, *taught) -> torch.Tensor:
        kept = targets >= 0
        logits, targets, groups = logits.float()[kept], targets[kept], groups[kept]
        taught = tuple(rows[kept] for rows in taught)
        if not len(targets):
            return logits.sum()  # 0, with a gradient of 0
        weights = self.weight
        if weights is not None:
            weights = weights[0 if len(weights) == 1 else groups, targets]
        return self.loss(logits, targets, groups, weights, *taught)


@OBJECTIVES.register
def cross_entropy(num_classes: int, weight, *, smoothing: float = 0.0) -> Objective:
    """Cross-entropy with label smoothing."""
    _require_share("smoothing", smoothing)
    loss = partial(losses.cross_entropy, smoothing=smoothing)
    return Objective(num_classes, loss, "softmax", weight)


@OBJECTIVES.register
def focal(num_classes: int, weight, *, gamma: float = 2.0) -> Objective:
    """Focal loss (Lin et al. 2017)."""
    _require_strength("gamma", gamma)
    return Objective(num_classes, partial(losses.focal, gamma=gamma), "softmax", weight)


@OBJECTIVES.register
def ohem(num_classes: int, weight, *, fraction: float = 0.7, count: int = 0) -> Objective:
    """Online hard example mining: the hardest share, or `count`, of each batch's rows."""
    require(0 < fraction <= 1, f"ohem(fraction={fraction}): expected 0 < fraction <= 1")
    require(count >= 0, f"ohem(count={count}): expected 1 or more rows, or 0 for the fraction")
    loss = partial(losses.ohem, keep=count or float(fraction))
    return Objective(num_classes, loss, "softmax", weight)


@OBJECTIVES.register
def recall_cross_entropy(num_classes: int, weight, *, momentum: float = 0.0) -> Objective:
    """Recall-weighted cross-entropy (Tian et al. 2022): the batch's recall, or a moving average."""
    _require_share("momentum", momentum)
    loss = losses.RecallCrossEntropy(num_classes, momentum)
    return Objective(num_classes, loss, "softmax", weight)


@OBJECTIVES.register
def logit_adjustment(label_counts: torch.Tensor, weight, *, tau: float = 1.0) -> Objective:
    """Logit-adjusted cross-entropy (Menon et al. 2021), priors counted on the training rows."""
    _require_strength("tau", tau)
    priors = label_counts.clamp_min(1) / label_counts.clamp_min(1).sum()
    loss = partial(losses.logit_adjusted, shift=tau * priors.log())
    return Objective(len(label_counts), loss, "softmax", weight)


@OBJECTIVES.register
def distillation(
    num_classes: int, weight, *, temperature: float = 2.0, share: float = 0.7
) -> Objective:
    """Cross-entropy and the divergence from the probabilities of --teacher (Hinton et al. 2015)."""
    require(0.1 <= temperature <= 100, f"temperature={temperature}: expected 0.1 to 100")
    require(0 <= share <= 1, f"share={share}: expected 0 to 1")
    loss = partial(losses.distillation, temperature=temperature, share=share)
    return Objective(num_classes, loss, "softmax", weight)


@OBJECTIVES.register
def group_dro(num_classes: int, num_groups: int, weight, *, step: float = 0.01) -> Objective:
    """Group distributionally robust optimisation over tone groups (Sagawa et al. 2020)."""
    _require_strength("step", step)
    return Objective(num_classes, losses.GroupDRO(num_groups, step), "softmax", weight)


@OBJECTIVES.register
def domain_discriminative(
    num_classes: int, num_groups: int, weight, *, smoothing: float = 0.0, decide: str = "sum"
) -> Objective:
    """Cross-entropy over group x class (Wang et al. 2020).

    The rule `decide` is `sum` over groups, `prior_shift` (the sum under equal priors), or the
    `own` group's outputs where the group is known.
    """
    _require_share("smoothing", smoothing)
    rules = {"sum": "sum_over_groups", "prior_shift": "shifted_sum_over_groups"}

    def loss(logits, targets, groups, weights):
        joint = groups * num_classes + targets
        return losses.cross_entropy(logits, joint, groups, weights, smoothing)

    return _group_aware(num_classes * num_groups, loss, rules, decide, weight)


@OBJECTIVES.register
def domain_independent(
    num_classes: int, num_groups: int, weight, *, smoothing: float = 0.0, decide: str = "mean"
) -> Objective:
    """Cross-entropy in the head of the row's own group (Wang et al. 2020).

    The rule `decide` is `mean` over heads, `prior_shift` (that under equal priors of the classes),
    or the `own` group's head where the group is known.
    """
    _require_share("smoothing", smoothing)
    rules = {"mean": "mean_over_groups", "prior_shift": "shifted_mean_over_groups"}

    def loss(logits, targets, groups, weights):
        own = losses.of_own_group(logits, groups, num_classes)
        return losses.cross_entropy(own, targets, groups, weights, smoothing)

    return _group_aware(num_classes * num_groups, loss, rules, decide, weight)


def needs_groups(call: str) -> bool:
    """Whether the objective written in `call` needs the group of every training row."""
    return "num_groups" in OBJECTIVES.context_names(call)


def takes_teacher(call: str) -> bool:
    """Whether the objective written in `call` learns from a teacher."""
    return OBJECTIVES.resolve(call).name == distillation.__name__


def make_reduction(name: str, priors: torch.Tensor) -> nn.Module:
    """The reduction `name` as a module. Raises `UserError` for an unknown one."""
    if name not in REDUCTIONS:
        raise UserError(f"unknown reduction '{name}': expected one of {', '.join(REDUCTIONS)}")
    return REDUCTIONS[name](priors)


def _group_aware(n_outputs: int, loss, rules: dict, decide: str, weight) -> Objective:
    """An objective whose rule is chosen by name; `own` falls back to the first of `rules`."""
    known = [*rules, "own"]
    require(decide in known, f"decide='{decide}': expected one of {', '.join(known)}")
    rule = rules.get(decide, next(iter(rules.values())))
    return Objective(n_outputs, loss, rule, weight, own_head=decide == "own")


def _require_share(name: str, value: float) -> None:
    require(0 <= value < 1, f"{name}={value}: expected 0 <= {name} < 1")


def _require_strength(name: str, value: float) -> None:
    """Far beyond any use, and before float32 overflows."""
    require(0 <= value <= 100, f"{name}={value}: expected 0 to 100")
