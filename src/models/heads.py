"""Heads by name, one function each: from a backbone's features to logits [N, n_outputs].

A head takes pooled features [N, width], or, where it asks for `channels`, the feature map
[N, channels, positions].
"""

from itertools import pairwise

import torch
from torch import nn

from ..core.errors import require
from ..core.registry import Registry

HEADS = Registry("head")


def takes_map(head: str) -> bool:
    """Whether the head with this call string takes the feature map."""
    return "channels" in HEADS.context_names(head)


@HEADS.register
def linear(width: int, n_outputs: int) -> nn.Module:
    """One linear layer."""
    layer = nn.Linear(width, n_outputs)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


@HEADS.register
def mlp(width: int, n_outputs: int, *, dropout: float = 0.35) -> nn.Module:
    """Two hidden layers, of 512 and 256 units, with batch normalization and dropout before each."""
    require(0 <= dropout < 1, f"mlp(dropout={dropout}): expected 0 <= dropout < 1")
    widths, layers = (width, 512, 256), []
    for inputs, outputs in pairwise(widths):
        layers += [
            nn.Dropout(dropout),
            nn.Linear(inputs, outputs),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(widths[-1], n_outputs))


@HEADS.register
def simple(width: int, n_outputs: int, *, dropout: float = 0.35) -> nn.Module:
    """`mlp`, by the name that an earlier system gave it."""
    return mlp(width, n_outputs, dropout=dropout)


class AttentionRecurrentHead(nn.Module):
    """`forward`: a feature map [N, channels, positions] to logits [N, n_outputs]."""

    def __init__(self, channels: int, n_outputs: int):
        super().__init__()
        self.convolution = nn.Conv1d(channels, 128, kernel_size=3, padding=1)
        self.recurrence = nn.LSTM(128, 64, batch_first=True)
        self.attention = nn.Linear(64, 16)
        self.score = nn.Linear(16, 1, bias=False)
        self.output = nn.Linear(16, n_outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        sequence = self.convolution(features).relu().transpose(1, 2)
        states = self.attention(self.recurrence(sequence)[0]).tanh()  # [N, positions, 16]
        weights = self.score(states).softmax(dim=1)
        return self.output((weights * states).sum(dim=1))


@HEADS.register
def acrnn(channels: int, n_outputs: int) -> nn.Module:
    """Convolution, LSTM and additive attention (Bahdanau et al. 2015) along the feature map."""
    return AttentionRecurrentHead(channels, n_outputs)
