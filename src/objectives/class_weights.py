"""Weights of the loss, from the training rows of each class, or of each group and class."""

import logging

import torch

from ..core.errors import UserError
from ..core.registry import Registry

log = logging.getLogger(__name__)
CLASS_WEIGHTS = Registry("class weighting")


@CLASS_WEIGHTS.register
def none() -> None:
    """Every row counts the same."""


@CLASS_WEIGHTS.register
def inverse_frequency(
    label_counts: torch.Tensor,
    joint_counts: torch.Tensor,
    positive: int,
    *,
    by: str = "class",
    scale: str = "balanced",
    positive_boost: float = 0.0,
) -> torch.Tensor:
    """float32 [1 or num_groups, num_classes]: weights that fall with the number of rows.

    `by` is `class` or `group_class`. `scale='balanced'` gives N / (K N_k) for K classes or
    combinations, so that rows have a mean weight of 1; `scale='sum'` makes the weights sum to 1.
    The positive class counts 1 + `positive_boost` times as much. What has no row has weight 0.
    """
    if by not in ("class", "group_class"):
        raise UserError(f"inverse_frequency(by='{by}'): expected 'class' or 'group_class'")
    if scale not in ("balanced", "sum"):
        raise UserError(f"inverse_frequency(scale='{scale}'): expected 'balanced' or 'sum'")
    if not 0 <= positive_boost <= 1000:
        raise UserError(f"inverse_frequency(positive_boost={positive_boost}): expected 0 to 1000")
    counts = label_counts[None] if by == "class" else joint_counts
    if not counts.any():
        raise UserError(f"inverse_frequency(by='{by}'): no training row to count")
    if (counts == 0).any():
        absent = ", ".join(map(str, (counts == 0).nonzero().tolist()))
        log.warning("no training row of (group, class) %s: weight 0", absent)
    inverse = torch.where(counts > 0, 1.0 / counts.clamp_min(1), 0.0)
    inverse[:, positive] *= 1.0 + positive_boost
    if scale == "sum":
        return (inverse / inverse.sum()).float()
    return (inverse * counts.sum() / counts.numel()).float()


def weights_need_groups(call: str) -> bool:
    """Whether the weighting written in `call` needs the group of every training row."""
    return CLASS_WEIGHTS.resolve(call).options.get("by") == "group_class"
