"""What of an image is skin, in the light in which its colour is measured."""

from typing import NamedTuple

import numpy as np

from .domains import CLINICAL, domain_of
from .masks import skin_mask, skin_of_photograph
from .photographs import look_at, relit, white_gain

BY_WHITE = "brightness"
WHITE_REFERENCES = (BY_WHITE, "none")


class SkinInView(NamedTuple):
    """An image's `domain`, its `skin` as bool [H, W], and the `image`, RGB uint8, to measure it in.

    `white_gain` is what the image's linear light was multiplied by, None where it was left alone.
    """

    domain: str
    skin: np.ndarray
    image: np.ndarray
    white_gain: float | None


def skin_in_view(
    image: np.ndarray,
    domain: str = "auto",
    lesion: np.ndarray | None = None,
    white_reference: str = BY_WHITE,
) -> SkinInView:
    """The skin of an RGB uint8 image, around a given `lesion` (bool [H, W]) or the one found.

    Something white in a clinical photograph sets the brightness where `white_reference` says so.
    """
    domain = domain_of(image, domain)
    if domain != CLINICAL:
        return SkinInView(domain, skin_mask(image, lesion), image, None)
    photograph = look_at(image)
    skin = skin_of_photograph(image, photograph, lesion)
    if white_reference != BY_WHITE or not photograph.white.any():
        return SkinInView(domain, skin, image, None)
    gain = white_gain(image, photograph.white)
    return SkinInView(domain, skin, relit(image, gain), gain)
