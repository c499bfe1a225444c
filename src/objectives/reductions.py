"""Reductions: logits [N, n_outputs] to class probabilities [N, num_classes].

Each is an `nn.Module` that is part of the exported graph. `priors` [num_groups, num_classes] are
the shares of the training rows, 0 for a combination that has none.
"""

import torch
from torch import nn


class Reduction(nn.Module):
    """What all have in common: the `shape` of logits by group and class."""

    def __init__(self, priors: torch.Tensor):
        super().__init__()
        self.shape = (-1, *priors.shape)


class Softmax(Reduction):
    """Softmax over the classes."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.float().softmax(dim=1)


class SumOverGroups(Reduction):
    """Joint softmax over group x class, then the sum over groups (Wang et al. 2020)."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.float().softmax(dim=1).reshape(self.shape).sum(dim=1)


class MeanOverGroups(Reduction):
    """Softmax over the classes within each group's head, then the mean over heads.

    For heads that were trained apart, each on its own group (Wang et al. 2020); heads of groups
    without training rows are left out.
    """

    def __init__(self, priors: torch.Tensor):
        super().__init__(priors)
        share = (priors.sum(dim=1) > 0).float()
        self.register_buffer("share", share / share.sum(), persistent=False)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        by_group = logits.float().reshape(self.shape).softmax(dim=2)
        return (by_group * self.share[:, None]).sum(dim=1)


class ShiftedSumOverGroups(SumOverGroups):
    """`SumOverGroups` of the joint softmax divided by the training priors (Wang et al. 2020, 3).

    The probabilities are those under equal priors of all combinations of group and class.
    """

    def __init__(self, priors: torch.Tensor):
        super().__init__(priors)
        self.register_buffer("shift", _log_odds(priors.flatten()), persistent=False)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return super().forward(logits.float() + self.shift)


class ShiftedMeanOverGroups(MeanOverGroups):
    """`MeanOverGroups` under equal priors of the classes within each group."""

    def __init__(self, priors: torch.Tensor):
        super().__init__(priors)
        self.register_buffer("shift", _log_odds(priors).flatten(), persistent=False)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return super().forward(logits.float() + self.shift)


def _log_odds(priors: torch.Tensor) -> torch.Tensor:
    """-log(prior); what never occurred in training is impossible, whatever its logit."""
    never = torch.full_like(priors, -1e30)
    return torch.where(priors > 0, -priors.clamp_min(1e-30).log(), never)


REDUCTIONS = {
    "softmax": Softmax,
    "sum_over_groups": SumOverGroups,
    "mean_over_groups": MeanOverGroups,
    "shifted_sum_over_groups": ShiftedSumOverGroups,
    "shifted_mean_over_groups": ShiftedMeanOverGroups,
}
