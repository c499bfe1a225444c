"""Losses, all `loss(logits, targets, groups, weights)`: a scalar mean.

`logits` are float32 [N, n_outputs], N at least 1; `targets` and `groups` int64 [N]; `weights` [N]
weigh the rows, or None. A weighted mean divides by the sum of weights, and is 0 where that is 0.
Joint logits are group-major: `group * num_classes + class`.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

LEAST = 1e-8  # of a teacher's probability, of which the logarithm is taken


def weighted_mean(losses: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Mean of `losses` [N] by row weight."""
    if weights is None:
        return losses.mean()
    total = weights.sum()
    return (losses * weights).sum() / (total + (total == 0))


def cross_entropy(logits, targets, groups, weights, smoothing: float = 0.0) -> torch.Tensor:
    """Cross-entropy; label smoothing of Szegedy et al. 2016."""
    losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    return weighted_mean(losses, weights)


def focal(logits, targets, groups, weights, gamma: float) -> torch.Tensor:
    """Focal loss, (1 - p)^gamma times the cross-entropy (Lin et al. 2017)."""
    log_p = F.log_softmax(logits, dim=1).gather(1, targets[:, None]).squeeze(1)
    # 1 - p as expm1: exact where p is near 1, and its gradient stays finite for gamma < 1
    miss = -torch.expm1(log_p)
    return weighted_mean(miss.clamp_min(1e-12).pow(gamma) * -log_p, weights)


def ohem(logits, targets, groups, weights, keep: float | int) -> torch.Tensor:
    """Cross-entropy of the hardest rows (Shrivastava et al. 2016).

    `keep` is their share (float) or number (int); at least one is kept, at most all.
    """
    losses = F.cross_entropy(logits, targets, reduction="none")
    wanted = keep if isinstance(keep, int) else round(keep * len(losses))
    kept = losses.topk(min(max(1, wanted), len(losses))).indices
    return weighted_mean(losses[kept], None if weights is None else weights[kept])


def logit_adjusted(logits, targets, groups, weights, shift: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits plus `shift` [num_classes], tau log(prior) (Menon et al. 2021)."""
    return cross_entropy(logits + shift.to(logits), targets, groups, weights)


def distillation(
    logits, targets, groups, weights, taught=None, *, temperature: float, share: float
) -> torch.Tensor:
    """`share` of a teacher's soft targets and the rest of the labels (Hinton et al. 2015).

    `taught` [N, classes] are its probabilities; without, as in evaluation, labels alone count. At
    both temperatures T the divergence is T^2 as large, so that its gradient does not depend on T.
    """
    losses = F.cross_entropy(logits, targets, reduction="none")
    if taught is not None:
        soft = (taught.clamp_min(LEAST).log() / temperature).softmax(dim=1)
        log_p = F.log_softmax(logits / temperature, dim=1)
        divergence = F.kl_div(log_p, soft, reduction="none").sum(dim=1)
        losses = share * temperature**2 * divergence + (1 - share) * losses
    return weighted_mean(losses, weights)


def of_own_group(logits, groups, num_classes: int) -> torch.Tensor:
    """[N, num_classes] logits of each row's own group from joint logits; groups are known."""
    by_group = logits.view(len(logits), -1, num_classes)
    return by_group[torch.arange(len(logits), device=logits.device), groups]


class RecallCrossEntropy(nn.Module):
    """Cross-entropy weighted by 1 - recall of each class (Tian et al. 2022).

    The recall is the batch's, or in training a moving average over batches with `momentum`.
    """

    def __init__(self, num_classes: int, momentum: float):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("recall", torch.full((num_classes,), torch.nan))

    def forward(self, logits, targets, groups, weights) -> torch.Tensor:
        hit = (logits.argmax(1) == targets).float()
        count = torch.bincount(targets, minlength=len(self.recall))
        recall = torch.zeros_like(self.recall).index_add(0, targets, hit) / count  # NaN: no row
        if self.training and self.momentum:
            mixed = self.momentum * self.recall + (1 - self.momentum) * recall
            known = torch.where(self.recall.isnan(), recall, self.recall)
            recall = torch.where(mixed.isnan(), known, mixed)
            self.recall.copy_(recall)
        losses = F.cross_entropy(logits, targets, reduction="none")
        return weighted_mean(losses * (1.0 - recall)[targets], weights)


class GroupDRO(nn.Module):
    """The groups' mean losses, weighted towards the worst (Sagawa et al. 2020, algorithm 1).

    In training the weight of each group in the batch is multiplied by exp(`step` * its loss). In
    evaluation the worst group has all the weight: its value does not depend on the training.
    """

    def __init__(self, num_groups: int, step: float):
        super().__init__()
        self.step = step
        # a logarithm, so that a share too small for a float can grow again
        self.register_buffer("log_share", torch.full((num_groups,), -math.log(num_groups)))

    def forward(self, logits, targets, groups, weights) -> torch.Tensor:
        losses = F.cross_entropy(logits, targets, reduction="none")
        weights = torch.ones_like(losses) if weights is None else weights
        zeros = torch.zeros_like(self.log_share)
        total = zeros.index_add(0, groups, weights)
        by_group = zeros.index_add(0, groups, losses * weights) / (total + (total == 0))
        if not self.training:
            return by_group.max()
        grown = self.log_share + self.step * by_group.detach()
        self.log_share.copy_(grown.log_softmax(dim=0))
        return (self.log_share.exp() * by_group).sum()
