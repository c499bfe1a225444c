"""Mixup and CutMix: batches whose images are made of two each, and the loss of such a batch."""

import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Mixing:
    """`mixing(images)` is (images, order, share), every image with that at its place in `order`.

    `share` of each image [C, H, W] and its label is the row's own, the rest is its partner's.
    `mixup` is the alpha of Zhang et al. 2018, `cutmix` that of Yun et al. 2019: the share is drawn
    from Beta(alpha, alpha), 0 is off. `cutmix_minmax` turns CutMix on with boxes whose sides are
    uniform between these shares of the image's. A batch is mixed with probability `prob`, and
    where both are on it is CutMix with `switch_prob`.

    Torch's default CPU generator draws, on every device; nothing is drawn where mixing is off.
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    cutmix_minmax: tuple[float, ...] | None = None
    prob: float = 1.0
    switch_prob: float = 0.5

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
        cuts = self.cutmix > 0 or self.cutmix_minmax is not None
        if not (self.mixup > 0 or cuts) or torch.rand(()) >= self.prob:
            return images, torch.arange(len(images), device=images.device), 1.0
        # at random: reversing a batch whose classes come in turn would pair the same ones always
        order = torch.randperm(len(images)).to(images.device, non_blocking=True)
        if cuts and (self.mixup == 0 or torch.rand(()) < self.switch_prob):
            return self._cut(images, order)
        share = _beta(self.mixup)
        return images * share + images[order] * (1 - share), order, share

    def _cut(self, images, order) -> tuple[torch.Tensor, torch.Tensor, float]:
        """The partner's pixels in a box; the share is that of the pixels outside it."""
        height, width = images.shape[-2:]
        if self.cutmix_minmax is None:
            side, place = math.sqrt(1 - _beta(self.cutmix)), torch.rand(2).tolist()
            top, bottom = _clipped(height, side, place[0])
            left, right = _clipped(width, side, place[1])
        else:
            low, high = self.cutmix_minmax
            tall, wide, *place = torch.rand(4).tolist()
            top, bottom = _inside(height, low + (high - low) * tall, place[0])
            left, right = _inside(width, low + (high - low) * wide, place[1])
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = images[..., top:bottom, left:right][order]
        return mixed, order, 1 - (bottom - top) * (right - left) / (height * width)


def mixed_loss(objective: nn.Module, logits, own, partners, share: float) -> torch.Tensor:
    """share * loss(*own) + (1 - share) * loss(*partners), a scalar.

    `own` and `partners` are (labels, groups, ...) of the rows and of those mixed into them: all
    that the objective takes after the logits, which are the same in both terms. An objective with a
    state, such as a moving recall, sees the rows' own labels first, then those of their partners.
    """
    loss = objective(logits, *own)
    if share == 1:
        return loss
    return share * loss + (1 - share) * objective(logits, *partners)


def _beta(alpha: float) -> float:
    """A draw of Beta(alpha, alpha)."""
    return torch.distributions.Beta(alpha, alpha).sample().item()


def _clipped(length: int, side: float, place: float) -> tuple[int, int]:
    """(start, end) of `side` * `length` pixels about a centre, what is outside cut off."""
    centre, size = int(place * length), int(side * length)
    return max(0, centre - size // 2), min(length, centre + (size + 1) // 2)


def _inside(length: int, side: float, place: float) -> tuple[int, int]:
    """(start, end) of `side` * `length` pixels that are all inside."""
    size = int(side * length)
    start = int(place * (length - size + 1))
    return start, start + size
