"""Augmentations of training images, by name, alone or in a chain `a | b`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..core.errors import UserError, require
from ..core.registry import Registry
from ..skin.domains import AUTO, DOMAINS, domain_of
from ..skin.masks import lesion_mask, skin_mask
from ..skin.skin_former import NO_LESION, darken_skin, why_not_darkened
from ..skin.tone import GROUP_NAMES, tone_group
from .pixel_changes import (
    Change,
    Fused,
    affine,
    blur,
    flip,
    fused,
    jitter,
    masked_rectangle,
    perspective,
    sharpen,
    shear,
    transposition,
)

AUGMENTATIONS = Registry("augmentation")
MOST_STRENGTH = 3.0


@dataclass(frozen=True)
class AugmentedImage:
    """A training image at the augmentation point.

    `image` is RGB uint8 [H, W, 3], `group` its tone group (-1 unknown), `lesion` [H, W] bool its
    lesion's mask, where an augmentation needs one, and `positive` whether it shows the class to be
    detected.
    """

    image: np.ndarray
    group: int
    lesion: np.ndarray | None = None
    positive: bool = False


@dataclass(frozen=True)
class Step:
    """One augmentation, a function of a sample and a generator, and what it needs beside pixels.

    `groups` are the tone groups whose images it changes, None where any image will do. Of these
    groups it needs the `mask` that comes with an image, where this is set; `why_unchanged` says
    why it can never change an image of them, or no text. Where it changes images of the positive
    class alone, it draws nothing for others.
    """

    apply: Callable[[AugmentedImage, np.random.Generator], AugmentedImage]
    groups: frozenset[int] | None = None
    mask: bool = False
    pixels: Change | Fused | None = None  # where that is all it does
    only_positive: bool = False
    why_unchanged: Callable[[AugmentedImage], str] | None = None


class Augmentation:
    """The chain of augmentations written in `text`, `name(option=value) | name`.

    `groups` are the tone groups whose images it changes by their skin, None where it does so to
    none. Raises `UserError` for an unknown name and for an augmentation of skin anywhere but
    first: a mask does not follow what moves the image.
    """

    def __init__(self, text: str):
        parts = [part.strip() for part in text.split("|") if part.strip()]
        self.steps: list[Step] = [AUGMENTATIONS.build(part) for part in parts]
        for part, step in [*zip(parts, self.steps, strict=True)][1:]:
            if step.groups is not None:
                name = AUGMENTATIONS.resolve(part).name
                raise UserError(f"--augment '{text}': {name} must come first")
        self.groups = self.steps[0].groups if self.steps else None

    def needs_mask(self, group: int) -> bool:
        """Whether images of this tone group are augmented through the mask that comes with them."""
        return self.groups is not None and self.steps[0].mask and group in self.groups

    def why_unchanged(self, image: AugmentedImage) -> str:
        """Why an image of one of the `groups` keeps its skin whatever the seed, or no text."""
        return self.steps[0].why_unchanged(image)

    def __call__(self, image: AugmentedImage, seed: int) -> AugmentedImage:
        """The image augmented: a pure function of the two."""
        rng = np.random.default_rng(seed)
        for step in self.steps:
            image = step.apply(image, rng)
        return image


@AUGMENTATIONS.register
def skin_former(
    *,
    target: tuple = (-10.0, 19.0),
    probability: tuple = (0.5, 0.5, 0.25, 0.0),
    masks: str = "files",
    domain: str = AUTO,
) -> Step:
    """Skin of light tone groups shifted to a darker angle through the lesion's mask.

    `target` is the range of angles in degrees, uniform; `probability` is that of each tone group,
    lightest first. `masks` are the data set's `files`, or `estimated` from each image, and `domain`
    the kind of images. Images get their new group; left as they are: those of unknown group, those
    whose skin is darker already or shows no valid tone (see `skin.tone.estimate_tone`), and those
    whose mask shows no lesion.
    """
    _check_skin_former(target, probability, masks, domain)
    shares = {group: share for group, share in enumerate(probability) if share > 0}
    return Step(
        partial(_darkened, target, shares, domain),
        frozenset(shares),
        mask=masks == "files",
        why_unchanged=partial(_why_unchanged, target, domain),
    )


def _regions(image: AugmentedImage, domain: str) -> tuple[np.ndarray, np.ndarray, str]:
    """(lesion, skin, the image's domain)"""
    domain = domain_of(image.image, domain)
    lesion = image.lesion
    lesion = lesion_mask(image.image, domain=domain) if lesion is None else lesion
    return lesion, skin_mask(image.image, lesion, domain), domain


def _why_unchanged(target: tuple, domain: str, image: AugmentedImage) -> str:
    lesion, skin, domain = _regions(image, domain)
    why = why_not_darkened(image.image, skin, target[0], domain)
    return why if lesion.any() else NO_LESION


def _darkened(
    target: tuple,
    shares: dict[int, float],
    domain: str,
    image: AugmentedImage,
    rng: np.random.Generator,
) -> AugmentedImage:
    chance, place = rng.random(2)
    if chance >= shares.get(image.group, 0):
        return image
    ita = target[0] + place * (target[1] - target[0])
    lesion, skin, domain = _regions(image, domain)
    if not lesion.any():
        return image
    darker = darken_skin(image.image, lesion, skin, ita, domain)
    if darker is None:
        return image
    return replace(image, image=darker, group=int(tone_group(ita)))


def _check_skin_former(target: tuple, probability: tuple, masks: str, domain: str) -> None:
    is_pair = len(target) == 2 and _are_numbers(target)
    fits = is_pair and -60 <= target[0] <= target[1] <= 55
    require(fits, f"skin_former(target={target}): expected (darkest, lightest) angle, -60 to 55")
    shares = _are_numbers(probability) and all(0 <= p <= 1 for p in probability)
    require(
        len(probability) == len(GROUP_NAMES) and shares and any(probability),
        f"skin_former(probability={probability}): expected a probability for each of "
        f"{', '.join(GROUP_NAMES)}, one above 0",
    )
    require(
        masks in ("files", "estimated"),
        f"skin_former(masks='{masks}'): expected 'files' or 'estimated'",
    )
    require(
        domain in (AUTO, *DOMAINS),
        f"skin_former(domain='{domain}'): expected {', '.join((AUTO, *DOMAINS))}",
    )


@AUGMENTATIONS.register
def none() -> Step:
    """No augmentation."""
    return _on_pixels(fused([]))


@AUGMENTATIONS.register
def flips(*, horizontal: float = 0.5, vertical: float = 0.5) -> Step:
    """Random flips with these probabilities."""
    return _on_pixels(fused([flip(horizontal, vertical)]))


@AUGMENTATIONS.register
def dihedral() -> Step:
    """One of the eight flips and quarter turns of a square, each equally likely; no pixel is lost.

    Of an image that is not square, one of the four that keep its shape.
    """
    return _on_pixels(fused([transposition(), flip()]))


@AUGMENTATIONS.register
def dermatoscopy(
    *,
    rotation: float = 25.0,
    color: float = 0.2,
    hue: float = 0.02,
    cutout: float = 0.1,
    strength: float = 1.0,
) -> Step:
    """Flips, rotation with small shifts and scaling, colour jitter, blur and cutout.

    `rotation` is in degrees, `color` the range of brightness, contrast and saturation, `cutout`
    the probability of a masked rectangle. Hue is kept narrow: it carries the diagnosis. `strength`
    scales every range, as the magnitude of RandAugment does (Cubuk et al. 2020): 0 is flips alone.
    """
    by = _checked_strength("dermatoscopy", strength)
    return _on_pixels(
        fused(
            [flip(), affine(by * rotation, by * 0.1, (1 - by * 0.1, 1 + by * 0.1))],
            jitter(by * color, by * color, by * color, by * hue),
            blur((0.1, max(0.1, by * 2.0)), 0.1),
            masked_rectangle(cutout, (by * 0.02, by * 0.1)),
        )
    )


@AUGMENTATIONS.register
def lumen(
    *, rotation: float = 15.0, color: float = 0.2, hue: float = 0.02, strength: float = 1.0
) -> Step:
    """The augmentations of Lumen's documentation, table 1.

    Flips, rotation by up to `rotation` degrees, shifts and shear, perspective, jitter of
    brightness, contrast and saturation by `color` and of hue, and the image sharpened or softened.
    Only the rotation's range is told there; the others are ours. `strength` scales every range: 0
    is flips alone.
    """
    by = _checked_strength("lumen", strength)
    return _on_pixels(
        fused(
            [flip(), affine(by * rotation, by * 0.1), shear(by * 5.0), perspective(by * 0.2)],
            jitter(by * color, by * color, by * color, by * hue),
            sharpen((max(0.0, 1 - by), 1 + by)),
        )
    )


@AUGMENTATIONS.register
def malignant_only(*, policy: str = "dermatoscopy") -> Step:
    """The `policy`, another of these that changes pixels, on images of the positive class alone."""
    step = AUGMENTATIONS.build(policy)
    require(
        step.pixels is not None,
        f"malignant_only(policy='{policy}'): expected an augmentation of pixels, such as flips",
    )
    return replace(step, apply=partial(_where_positive, step.apply), only_positive=True)


def _where_positive(
    apply: Callable, image: AugmentedImage, rng: np.random.Generator
) -> AugmentedImage:
    return apply(image, rng) if image.positive else image


def _checked_strength(name: str, strength: float) -> float:
    require(
        0 <= strength <= MOST_STRENGTH,
        f"{name}(strength={strength}): expected 0 to {MOST_STRENGTH:g}",
    )
    return strength


def _are_numbers(values: tuple) -> bool:
    return all(type(value) in (int, float) for value in values)


def _on_pixels(change: Change | Fused) -> Step:
    """The change of pixels; group and lesion stay as they are."""
    return Step(partial(_changed, change), pixels=change)


def _changed(
    change: Change | Fused, image: AugmentedImage, rng: np.random.Generator
) -> AugmentedImage:
    return replace(image, image=change(image.image, rng))
