"""Decision rules: logits [N, n_outputs] to class probabilities [N, num_classes].

Each is an `nn.Module` that is part of the exported graph.
"""

import torch
from torch import nn


class Softmax(nn.Module):
    """Softmax over the classes."""

    def __init__(self, num_classes: int, num_groups: int):
        super().__init__()

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.float().softmax(dim=1)


class SumOverGroups(nn.Module):
    """Joint softmax over group x class, then the sum over groups (Wang et al. 2020)."""

    def __init__(self, num_classes: int, num_groups: int):
        super().__init__()
        self.shape = (-1, num_groups, num_classes)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.float().softmax(dim=1).reshape(self.shape).sum(dim=1)


class MeanOverGroups(nn.Module):
    """Softmax over the classes within each group's head, then the mean over heads.

    For heads that were trained apart, each on its own group (Wang et al. 2020).
    """

    def __init__(self, num_classes: int, num_groups: int):
        super().__init__()
        self.shape = (-1, num_groups, num_classes)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.float().reshape(self.shape).softmax(dim=2).mean(dim=1)


REDUCTIONS = {
    "softmax": Softmax,
    "sum_over_groups": SumOverGroups,
    "mean_over_groups": MeanOverGroups,
}
