"""Augmentations of training images at the mark: RGB uint8 to RGB uint8, by name."""

from collections.abc import Callable

import numpy as np
import torch
from torchvision.transforms import InterpolationMode, v2

from src.core.registry import Registry

AUGMENTATIONS = Registry("augmentation")
_SMOOTH = InterpolationMode.BILINEAR


@AUGMENTATIONS.register
def none() -> Callable:
    """No augmentation."""
    return v2.Identity()


@AUGMENTATIONS.register
def flips(*, horizontal: float = 0.5, vertical: float = 0.5) -> Callable:
    """Random flips with these probabilities."""
    return v2.Compose([v2.RandomHorizontalFlip(horizontal), v2.RandomVerticalFlip(vertical)])


@AUGMENTATIONS.register
def dermatoscopy(
    *, rotation: float = 25.0, color: float = 0.2, hue: float = 0.02, cutout: float = 0.1
) -> Callable:
    """Flips, rotation with small shifts and scaling, colour jitter, blur and cutout.

    `rotation` is in degrees, `color` the range of brightness, contrast and saturation, `cutout`
    the probability of a masked rectangle. Hue is kept narrow: it carries the diagnosis.
    """
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(
                rotation, translate=(0.1, 0.1), scale=(0.9, 1.1), interpolation=_SMOOTH
            ),
            v2.ColorJitter(color, color, color, hue),
            v2.RandomApply([v2.GaussianBlur(3)], p=0.1),
            v2.RandomErasing(cutout, scale=(0.02, 0.1)),
        ]
    )


@AUGMENTATIONS.register
def photographic(*, rotation: float = 15.0, color: float = 0.2, hue: float = 0.02) -> Callable:
    """Flips, rotation and shifts, colour jitter, sharpness and perspective."""
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(rotation, translate=(0.1, 0.1), interpolation=_SMOOTH),
            v2.ColorJitter(color, color, color, hue),
            v2.RandomAdjustSharpness(2.0),
            v2.RandomPerspective(0.2),
        ]
    )


def augment(transform: Callable, image: np.ndarray, seed: int) -> np.ndarray:
    """RGB uint8 [H, W, 3]: `transform` of `image`, a pure function of the two and of `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs too
        changed = transform(torch.from_numpy(image).permute(2, 0, 1))
    return np.ascontiguousarray(changed.permute(1, 2, 0).numpy())
