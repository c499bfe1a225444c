"""Losses, all `loss(logits, targets, groups)`: a scalar mean in float32.

`weight` [num_classes] weighs rows by their class; a weighted mean divides by the sum of weights,
as `torch.nn.functional.cross_entropy` does. Joint logits are group-major:
`group * num_classes + class`.
"""

import torch
import torch.nn.functional as F


def weighted_mean(losses: torch.Tensor, targets: torch.Tensor, weight) -> torch.Tensor:
    """Mean of `losses` [N], by the class weight of each target where there are weights."""
    if weight is None:
        return losses.mean()
    return (losses * weight[targets]).sum() / _total(weight, targets)


def _total(weight, targets: torch.Tensor) -> torch.Tensor:
    """Sum of the rows' weights; 1 where all are 0, so that a mean by them is 0."""
    total = weight[targets].sum()
    return total + (total == 0)


def cross_entropy(logits, targets, weight=None, smoothing: float = 0.0) -> torch.Tensor:
    """Cross-entropy [N] -> mean; label smoothing of Szegedy et al. 2016."""
    logits = logits.float()
    if weight is None:
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    losses = F.cross_entropy(logits, targets, weight, reduction="none", label_smoothing=smoothing)
    return losses.sum() / _total(weight, targets)


def focal(logits, targets, gamma: float, weight=None) -> torch.Tensor:
    """Focal loss, (1 - p)^gamma times the cross-entropy (Lin et al. 2017)."""
    log_p = F.log_softmax(logits.float(), dim=1).gather(1, targets[:, None]).squeeze(1)
    # 1 - p as expm1: exact where p is near 1, and its gradient stays finite for gamma < 1
    miss = -torch.expm1(log_p)
    return weighted_mean(miss.clamp_min(1e-12).pow(gamma) * -log_p, targets, weight)


def ohem(logits, targets, fraction: float, weight=None) -> torch.Tensor:
    """Cross-entropy of the hardest `fraction` of rows, at least one (Shrivastava et al. 2016)."""
    losses = F.cross_entropy(logits.float(), targets, reduction="none")
    kept = losses.topk(max(1, round(fraction * len(losses)))).indices
    return weighted_mean(losses[kept], targets[kept], weight)


def recall_cross_entropy(logits, targets, weight=None) -> torch.Tensor:
    """Cross-entropy weighted by 1 - recall of each class in the batch (Tian et al. 2022)."""
    logits = logits.float()
    num_classes = logits.shape[1]
    hit = (logits.argmax(1) == targets).float()
    count = torch.bincount(targets, minlength=num_classes).clamp_min(1)
    recall = torch.zeros(num_classes, device=logits.device).index_add(0, targets, hit) / count
    row_weights = (1.0 - recall)[targets]
    losses = F.cross_entropy(logits, targets, reduction="none")
    return weighted_mean(losses * row_weights, targets, weight)


def of_own_group(logits, groups, num_classes: int) -> torch.Tensor:
    """[N, num_classes] logits of each row's own group from joint logits; groups are known."""
    by_group = logits.view(len(logits), -1, num_classes)
    return by_group[torch.arange(len(logits), device=logits.device), groups]
