"""The feature map of a backbone: what it computes before it pools, as a sequence of positions."""

import torch
from torch import nn

from ..core.errors import UserError


def feature_map(backbone: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """[N, channels, positions] of images [N, 3, H, W].

    Positions are those of a map in reading order, or the tokens of a vision transformer, class
    and register tokens first. Raises `UserError` for a backbone without either.
    """
    found = _unpooled(backbone, images)
    axis = channel_axis(backbone, found)
    if axis is None:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise UserError(
            f"--head: {type(backbone).__name__} has no feature map of a known layout ({shape}); "
            "take a head on pooled features, such as linear or mlp, or another --model"
        )
    return found.movedim(axis, 1).flatten(2)


def prepare_for_map(backbone: nn.Module, input_size: int | tuple[int, int]) -> int:
    """The channels of the feature map, measured on an image of `input_size`.

    Parameters that only pooled features depend on are frozen: no gradient would reach them, which
    stops training on several processes.
    """
    size = (input_size, input_size) if isinstance(input_size, int) else input_size
    parameters = [p for p in backbone.parameters() if p.requires_grad]
    was_training = backbone.training
    found = feature_map(backbone.eval(), torch.zeros(1, 3, *size))
    backbone.train(was_training)
    gradients = torch.autograd.grad(found.sum(), parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_(gradient is not None)
    return found.shape[1]


def channel_axis(backbone: nn.Module, found: torch.Tensor) -> int | None:
    """The axis as long as the backbone's width: the usual one of the layout, else any other."""
    if not isinstance(found, torch.Tensor) or found.ndim not in (3, 4):
        return None
    last = found.ndim - 1
    is_last = found.ndim == 3 or getattr(backbone, "output_fmt", "NCHW") == "NHWC"
    usual = last if is_last else 1
    width = getattr(backbone, "num_features", found.shape[usual])
    return next((axis for axis in (usual, 1, last) if found.shape[axis] == width), None)


def _unpooled(backbone: nn.Module, images: torch.Tensor) -> torch.Tensor:
    if hasattr(backbone, "forward_features"):  # timm's
        return backbone.forward_features(images)
    if hasattr(backbone, "features"):  # most of torchvision's
        return backbone.features(images)
    for layer in backbone.children():  # ShuffleNet's, which pools between two of them by itself
        images = layer(images)
    return images
