"""Whether a picture can be assessed: blur, glare, darkness, skin, documents, several lesions."""

from dataclasses import dataclass

import cv2
import numpy as np

from ..skin.shapes import at_longer_side

_SIDE = 256
_LEAST_SIDE = 64  # pixels of a picture that shows a lesion
# Limits of `signs`, set on 600 dermoscopic images of HAM10000: 2.3 % of them seem to show several
# lesions, 1.5 % no skin, and none is beyond another limit.
_LEAST_SHARPNESS = 0.5
_MOST_GLARE = 0.05
_LEAST_LIGHTNESS = 18.0
_LEAST_SKIN = 0.1
_MOST_FLAT = 0.65
_WHITE = 250
_DARKER, _LEAST_SPOT, _LEAST_OF_LARGEST = 14.0, 0.008, 0.6

REASONS = {
    "small": "the picture is too small",
    "blur": "the picture is blurred",
    "glare": "parts of the picture are overexposed (glare)",
    "dark": "the picture is too dark",
    "no_skin": "no skin is in view",
    "document": "this is a document, a drawing or a screenshot",
    "several_lesions": "several lesions are in view: photograph one at a time",
}


@dataclass(frozen=True)
class Signs:
    """What the quality of a picture is assessed by.

    `sharpness` is the standard deviation of the Laplacian of L* (units of L*), `glare` the share of
    white pixels, `lightness` the median L* of the middle, `skin` the share of pixels with a colour
    that skin can have, `flat` the share that is exactly as its neighbour, `spots` the number of
    dark spots of like size.
    """

    sharpness: float
    glare: float
    lightness: float
    skin: float
    flat: float
    spots: int


def signs(image: np.ndarray) -> Signs:
    """The signs of an RGB uint8 image, on a copy of 256 pixels."""
    small = at_longer_side(image, _SIDE)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    lightness, a, b = cv2.split(lab)
    height, width = lightness.shape
    middle = np.s_[height // 6 : -(height // 6), width // 6 : -(width // 6)]
    sampled = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)[middle]
    same = (sampled[:, 1:] == sampled[:, :-1]).all(axis=2)
    skin = (a > 2) & (b > -8) & (a < 55) & (b < 60) & (lightness > 5) & (a + b > 8)
    return Signs(
        sharpness=float(cv2.Laplacian(lightness, cv2.CV_32F)[middle].std()),
        glare=float((small.min(axis=2) >= _WHITE)[middle].mean()),
        lightness=float(np.median(lightness[middle])),
        skin=float(skin[middle].mean()),
        flat=float(same.mean()),
        spots=_spots(lightness),
    )


def _spots(lightness: np.ndarray) -> int:
    """How many dark spots of like size lie within the picture."""
    smooth = cv2.medianBlur(lightness.clip(0, 100).astype(np.uint8), 9).astype(np.float32)
    height, width = smooth.shape
    dark = (smooth < np.percentile(smooth, 70) - _DARKER).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, kernel)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(dark)
    x, y, w, h, area = boxes[1:].T
    inside = (x > 1) & (y > 1) & (x + w < width - 1) & (y + h < height - 1)
    area = area[inside & (area >= _LEAST_SPOT * dark.size)]
    return int((area >= _LEAST_OF_LARGEST * area.max(initial=0)).sum())


def problems(image: np.ndarray) -> list[str]:
    """The keys of `REASONS` that an RGB uint8 image gives; empty for one that can be assessed."""
    if min(image.shape[:2]) < _LEAST_SIDE:
        return ["small"]
    found = signs(image)
    is_problem = {
        "document": found.flat > _MOST_FLAT,
        "dark": found.lightness < _LEAST_LIGHTNESS,
        "no_skin": found.skin < _LEAST_SKIN,
        "glare": found.glare > _MOST_GLARE,
        "blur": found.sharpness < _LEAST_SHARPNESS,
        "several_lesions": found.spots > 1,
    }
    return [name for name, holds in is_problem.items() if holds]
