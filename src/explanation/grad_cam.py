"""Grad-CAM (Selvaraju et al. 2017) of a trained network, by the package grad-cam; needs torch."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from torch import nn

from ..core.errors import UserError
from ..models.feature_maps import channel_axis
from ..models.melanoma_classifier import MelanomaClassifier

Shaped = Callable[[torch.Tensor], torch.Tensor]


def grad_cam(
    classifier: MelanomaClassifier, images: np.ndarray, weights: Sequence[np.ndarray]
) -> list[np.ndarray | None]:
    """A map float32 [height, width], 0 to 1, for each of `images` float32 [N, 3, height, width].

    It explains the sum of the image's logits with its `weights` [n_outputs]. None stands for a map
    that is zero everywhere or not finite, which explains nothing.
    """
    wanted = torch.tensor(np.array(weights), dtype=torch.float32)
    layer, shaped = last_map(classifier, torch.from_numpy(images[:1]), wanted[0])
    targets = [partial(torch.dot, of_image) for of_image in wanted]
    with GradCAM(classifier, [layer], reshape_transform=shaped) as explaining:
        maps = explaining(torch.from_numpy(images), targets)
    return [one if np.isfinite(one).all() and one.max() > 0 else None for one in maps]


def last_map(
    classifier: MelanomaClassifier, image: torch.Tensor, weights: torch.Tensor
) -> tuple[nn.Module, Shaped]:
    """(the layer to explain by, what makes [N, channels, h, w] of its output).

    It is the last whose output has channels for several positions, of which more than one have an
    influence on the logits of the `image` [1, 3, height, width] with their `weights` [n_outputs].
    That is measured: what a backbone calls its last layer may come after the pooling
    (MobileNetV3's), and of a vision transformer's last block only the class token is read. Raises
    `UserError` for a network without one.
    """
    backbone, outputs = classifier.backbone, []
    hooks = [
        module.register_forward_hook(lambda module, _, out: outputs.append((module, out)))
        for module in backbone.modules()
    ]
    try:
        score = classifier(image)[0] @ weights
    finally:
        for hook in hooks:
            hook.remove()
    size = image.shape[2:]
    known = [
        (module, out, shaped)
        for module, out in outputs
        if isinstance(out, torch.Tensor) and (shaped := _shaped(backbone, out, size))
    ]
    tensors = [out for _, out, _ in known]
    gradients = torch.autograd.grad(score, tensors, allow_unused=True) if tensors else ()
    for (module, _, shaped), gradient in reversed([*zip(known, gradients, strict=True)]):
        if gradient is not None and int((shaped(gradient).abs().sum(1) > 0).sum()) > 1:
            return module, shaped
    raise UserError(
        f"{type(backbone).__name__} has no layer with channels for several positions of the image: "
        "Grad-CAM cannot explain it"
    )


def _shaped(backbone: nn.Module, out: torch.Tensor, size: tuple[int, int]) -> Shaped | None:
    """What makes maps [N, channels, h, w] of such an output; None of outputs of other kinds.

    Tokens of a vision transformer become a map without the class and register tokens.
    """
    axis = channel_axis(backbone, out)
    if axis is None or not out.requires_grad:
        return None
    if out.ndim == 4:
        return lambda tensor: tensor.movedim(axis, 1)
    n_more = getattr(backbone, "num_prefix_tokens", 0)
    n_positions = out.shape[3 - axis] - n_more
    heights = [h for h in range(1, n_positions + 1) if n_positions % h == 0]
    if not heights:
        return None
    # of the grids of so many positions that in the image's proportions
    height = min(heights, key=lambda h: abs(math.log(h * h / n_positions * size[1] / size[0])))

    def shaped(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.movedim(axis, 1)[:, :, n_more:].unflatten(2, (height, -1))

    return shaped
