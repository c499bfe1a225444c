"""Heads by name: from pooled features [N, width] to logits [N, n_outputs]; one function each."""

from torch import nn

from ..core.registry import Registry

HEADS = Registry("head")


@HEADS.register
def linear(width: int, n_outputs: int) -> nn.Module:
    """One linear layer."""
    layer = nn.Linear(width, n_outputs)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer
