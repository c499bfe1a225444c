"""Skin-former: the skin of an image in a darker tone, its lesion as it was."""

import cv2
import numpy as np

from .color import lab_from_rgb, linear_from_srgb, rgb_from_lab, srgb_from_linear
from .tone import estimate_tone

_B_RANGE = (10.0, 25.0)  # b* of skin after the shift; below, the angle would stop meaning anything
_DARKEST = 20.0  # L*; below, sRGB holds no such skin
_EDGE = 0.015  # width of the transition beside the lesion, of the image's longer side


def darken_skin(image: np.ndarray, lesion: np.ndarray, skin: np.ndarray, ita: float):
    """RGB uint8 [H, W, 3] whose skin has the angle `ita` (degrees), or None where it cannot.

    `lesion` and `skin` are bool [H, W]: pixels of `lesion` come back as they are; the tone is
    measured on `skin`. Each channel is scaled in linear light, as more melanin scales what skin
    reflects: the skin's median colour gets the angle, b* kept as far as it is plausible, and
    texture and hair follow. None for skin whose tone is not valid or is darker already.
    """
    tone = estimate_tone(image, skin)
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
    # none of it on the lesion, rising to all of it beside the lesion, so that no edge is drawn
    distance = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, 3)
    share = np.minimum(distance / max(1.0, _EDGE * max(lesion.shape)), 1.0)[..., None]
    return np.rint(image + share * (shifted - image)).astype(np.uint8)
