"""Augmentations of training images, by name, alone or in a chain `a | b`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torchvision.transforms import InterpolationMode, v2

from ..core.errors import UserError
from ..core.registry import Registry
from ..skin.masks import lesion_mask, skin_mask
from ..skin.skin_former import darken_skin
from ..skin.tone import GROUP_NAMES, tone_group

AUGMENTATIONS = Registry("augmentation")
_SMOOTH = InterpolationMode.BILINEAR


@dataclass(frozen=True)
class Sample:
    """A training image at the augmentation point.

    `image` is RGB uint8 [H, W, 3], `group` its tone group (-1 unknown) and `lesion` [H, W] bool
    the mask that comes with it, where an augmentation wants one.
    """

    image: np.ndarray
    group: int
    lesion: np.ndarray | None = None


class Augmentation:
    """The chain of augmentations written in `text`, `name(option=value) | name`.

    Raises `UserError` for an unknown name and for skin-former anywhere but first: a mask does not
    follow what moves the image.
    """

    def __init__(self, text: str):
        parts = [part for part in text.split("|") if part.strip()]
        self._steps = [AUGMENTATIONS.build(part) for part in parts]
        if any(isinstance(step, SkinFormer) for step in self._steps[1:]):
            raise UserError(f"--augment '{text}': skin_former stands first")
        first = self._steps[0] if self._steps else None
        self.skin_former = first if isinstance(first, SkinFormer) else None

    def wants_mask(self, group: int) -> bool:
        """Whether images of this tone group are augmented through the mask that comes with them."""
        former = self.skin_former
        return former is not None and former.reads_masks and former.shifts(group)

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """The sample augmented: a pure function of the two."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs too
            for step in self._steps:
                sample = step(sample) if isinstance(step, SkinFormer) else _on_pixels(step, sample)
        return sample


class SkinFormer:
    """Darkens the skin of light tone groups and gives the sample its new group.

    A sample is drawn with its group's `probability`; the angle to reach, in degrees, is uniform
    in `target`. Left as they are: samples of unknown group, and those whose skin is darker
    already or shows no valid tone (see `skin_tone.estimate_tone`).
    """

    def __init__(self, target: tuple, probability: tuple, reads_masks: bool):
        self._target, self._probability, self.reads_masks = target, probability, reads_masks

    def shifts(self, group: int) -> bool:
        """Whether samples of this group are drawn at all."""
        return group >= 0 and self._probability[group] > 0

    def __call__(self, sample: Sample) -> Sample:
        chance, place = torch.rand(2).tolist()
        if not self.shifts(sample.group) or chance >= self._probability[sample.group]:
            return sample
        darkest, lightest = self._target
        ita = darkest + place * (lightest - darkest)
        lesion = lesion_mask(sample.image) if sample.lesion is None else sample.lesion
        darker = darken_skin(sample.image, lesion, skin_mask(sample.image, lesion), ita)
        if darker is None:
            return sample
        return replace(sample, image=darker, group=int(tone_group(ita)))


@AUGMENTATIONS.register
def skin_former(
    *,
    target: tuple = (-10.0, 19.0),
    probability: tuple = (0.5, 0.5, 0.25, 0.0),
    masks: str = "files",
) -> SkinFormer:
    """Skin of light tone groups shifted to a darker angle through the lesion's mask.

    `target` is the range of angles in degrees, `probability` that of each tone group, lightest
    first. `masks` are the data set's `files`, or `estimated` from each image.
    """
    angles = len(target) == 2 and _are_numbers(target)
    if not angles or not -60 <= target[0] <= target[1] <= 55:
        raise UserError(
            f"skin_former(target={target}): expected (darkest, lightest) angle, -60 to 55"
        )
    shares = _are_numbers(probability) and all(0 <= p <= 1 for p in probability)
    if len(probability) != len(GROUP_NAMES) or not shares or not any(probability):
        raise UserError(
            f"skin_former(probability={probability}): expected a probability for each of "
            f"{', '.join(GROUP_NAMES)}, one above 0"
        )
    if masks not in ("files", "estimated"):
        raise UserError(f"skin_former(masks='{masks}'): expected 'files' or 'estimated'")
    return SkinFormer(target, probability, reads_masks=masks == "files")


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


def _are_numbers(values: tuple) -> bool:
    return all(type(value) in (int, float) for value in values)


def _on_pixels(transform: Callable, sample: Sample) -> Sample:
    changed = transform(torch.from_numpy(sample.image).permute(2, 0, 1))
    image = np.ascontiguousarray(changed.permute(1, 2, 0).numpy())
    return replace(sample, image=image)
