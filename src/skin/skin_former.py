"""Skin-former: the skin of an image in a darker tone, its lesion as it was."""

import cv2
import numpy as np

from .color import lab_from_rgb, linear_from_srgb, rgb_from_lab, srgb_from_linear
from .domains import CLINICAL, DERMOSCOPY
from .photographs import look_at
from .shapes import fill_holes
from .tone import estimate_tone

_B_RANGE = (10.0, 25.0)  # b* of skin after the shift; below, the angle would stop meaning anything
_DARKEST = 20.0  # L*; below, sRGB holds no such skin
# Of the longer side, inwards from the edge of a lesion's mask: where the shift fades on the lesion
# itself, and how deep skin is looked for. Masks are drawn generously: the light skin inside them
# would be a halo.
_EDGE, RIM = 0.01, 0.04
_FAINTEST = 0.15  # of a lesion's absorbance above that of skin, natural logarithm
_BLUE_AND_GREEN = np.array([0.0, 0.4, 0.6])  # of linear light, where melanin and blood absorb most


NO_LESION = "no lesion found"
DARK_ALREADY = "skin as dark already"


def inner_lesion(lesion):
    """Bool [H, W]: what of a lesion `darken_skin` leaves as it is whatever its colour."""
    depth = cv2.distanceTransform(lesion.astype(np.uint8), cv2.DIST_L2, 5)
    return depth >= RIM * max(lesion.shape)


def why_not_darkened(image, skin, ita: float, domain: str = DERMOSCOPY) -> str:
    """Why `darken_skin` gives None for these, or no text."""
    tone = estimate_tone(image, skin, domain=domain)
    return tone.reason or (DARK_ALREADY if tone.ita <= ita else "")


def darken_skin(image, lesion, skin, ita: float, domain: str = DERMOSCOPY):
    """RGB uint8 [H, W, 3] whose skin has the angle `ita` (degrees), or None where it cannot.

    `lesion` and `skin` are bool [H, W]; the tone is measured on `skin`. Pixels of `lesion` come
    back as they are, but for those no deeper in it than `RIM` that have the colour of skin. Each
    channel is scaled in linear light, as more melanin scales what skin reflects: the skin's median
    colour gets the angle, b* kept as far as it is plausible, and texture and hair follow. In a
    `CLINICAL` photograph what is no skin comes back as it is. None for skin whose tone is not valid
    or is darker already.
    """
    tone = estimate_tone(image, skin, domain=domain)
    if not tone.valid or tone.ita <= ita:
        return None
    _, a, b = lab_from_rgb(tone.color)
    slope = np.tan(np.radians(ita))
    b = float(np.clip(b, *_B_RANGE))
    b = min(b, (50.0 - _DARKEST) / max(-slope, 1e-9))
    wanted = rgb_from_lab((50.0 + b * slope, a, b))
    gain = linear_from_srgb(wanted) / np.maximum(linear_from_srgb(tone.color), 1e-4)
    table = srgb_from_linear(linear_from_srgb(np.arange(256))[:, None] * gain)
    shifted = cv2.LUT(image, table.astype(np.float32)[None])
    share = 1.0 - _share_of_lesion(image, lesion, tone.color)
    if domain == CLINICAL:
        body = fill_holes(look_at(image).skin)
        share *= cv2.blur(body.astype(np.float32), (3, 3)) * body
    return np.rint(image + share[..., None] * (shifted - image)).astype(np.uint8)


def _share_of_lesion(image: np.ndarray, lesion: np.ndarray, color: tuple) -> np.ndarray:
    """float32 [H, W], 0 on skin of that RGB `color` to 1 on the lesion, also where its mask ends.

    In the rim it is how far the pixel's absorbance is from that of skin, relative to the inner
    lesion's: white structures and padding are no skin either.
    """
    side = max(lesion.shape)
    depth = cv2.distanceTransform(lesion.astype(np.uint8), cv2.DIST_L2, 5) / side
    if not lesion.any():
        return depth
    light = linear_from_srgb(np.arange(256)).astype(np.float32)[cv2.medianBlur(image, 3)]
    of_skin = linear_from_srgb(color) @ _BLUE_AND_GREEN
    absorbance = np.log(of_skin / np.maximum(light @ _BLUE_AND_GREEN, 1e-3))
    inner = depth >= min(RIM, depth.max() / 2)
    scale = max(float(np.median(absorbance[inner])), _FAINTEST)
    beside = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, 5) / side
    within = np.clip((depth - beside) / (2 * _EDGE) + 0.5, 0, 1)
    like_lesion = np.clip(np.abs(absorbance) / scale, 0, 1) * within
    return np.maximum(like_lesion, np.clip(2 * depth / RIM - 1, 0, 1)).astype(np.float32)
