"""Skin tone from CIELAB: the individual typology angle (ITA) and the one table of categories."""

from typing import NamedTuple

import cv2
import numpy as np


class ToneCategory(NamedTuple):
    """A range of angles: above `above` degrees, up to the bound of the category before it."""

    name: str
    above: float
    chardon: str
    fitzpatrick: str
    group: int


# Lightest first. The bounds are Chardon's (Chardon et al. 1991), with Kinyanjui's finer ones
# (Kinyanjui et al. 2020) in between. `fitzpatrick` are pairs of types and `group` the four tone
# groups, both as the ISIC 2020 skin-tone table assigns them: tan, brown and dark are one group.
TONE_CATEGORIES = (
    ToneCategory("very light", 55.0, "Very light", "12", 0),
    ToneCategory("light 2", 48.0, "Light", "12", 1),
    ToneCategory("light 1", 41.0, "Light", "12", 1),
    ToneCategory("intermediate 2", 34.5, "Intermediate", "34", 2),
    ToneCategory("intermediate 1", 28.0, "Intermediate", "34", 2),
    ToneCategory("tan 2", 19.0, "Tan", "34", 3),
    ToneCategory("tan 1", 10.0, "Tan", "56", 3),
    ToneCategory("brown", -30.0, "Brown", "56", 3),
    ToneCategory("dark", -np.inf, "Dark", "56", 3),
)
GROUP_NAMES = ("Very light", "Light", "Intermediate", "Tan")
UNKNOWN_GROUP = -1

_D65_WHITE = np.array([0.95047, 1.0, 1.08883])
_SRGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab_from_rgb(rgb):
    """CIE L*a*b* [..., 3] float64 (D65, 2 degrees) of sRGB colours [..., 3] uint8.

    By the definitions (IEC 61966-2-1, CIE 15): OpenCV's own conversion interpolates in tables and
    is up to 0.3 off.
    """
    encoded = np.asarray(rgb, np.float64) / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    ratios = linear @ _SRGB_TO_XYZ.T / _D65_WHITE
    f = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def ita_from_lab(lab):
    """Individual typology angle in degrees, in (-180, 180], of CIE L*a*b* colours.

    `lab`: [..., 3] with L* in 0..100 and signed a*, b* (D65). The angle is
    atan2(L* - 50, b*) (Chardon et al. 1991), so that b* near or below zero stays defined.
    """
    lab = np.asarray(lab, dtype=np.float64)
    return np.degrees(np.arctan2(lab[..., 0] - 50.0, lab[..., 2]))


def ita_from_rgb(rgb):
    """Individual typology angle in degrees of sRGB colours [..., 3] uint8."""
    return ita_from_lab(lab_from_rgb(rgb))


def ita_opencv8(rgb):
    """The angle of earlier work, in degrees, of sRGB colours [..., 3] uint8: to compare with only.

    arctan((L - 50) / b) on OpenCV's 8-bit Lab, where L runs to 255, b is shifted by 128 and L - 50
    wraps around: brown skin, RGB (60, 40, 30), gets +61 degrees where its ITA is -72.
    """
    rgb = np.asarray(rgb, np.uint8)
    lab = cv2.cvtColor(rgb.reshape(1, -1, 3), cv2.COLOR_RGB2Lab)[0]
    lightness, b = lab[:, 0] - np.uint8(50), lab[:, 2].astype(np.float64)
    return np.degrees(np.arctan2(lightness, b)).reshape(rgb.shape[:-1])


ITA_METHODS = {"cielab": ita_from_rgb, "opencv8": ita_opencv8}


def tone_category(ita):
    """Index into `TONE_CATEGORIES` for angles in degrees, -1 for NaN; int64, shape of the input."""
    ita = np.asarray(ita, dtype=np.float64)
    inner_bounds = [category.above for category in TONE_CATEGORIES[:-1]]
    index = np.sum([ita <= bound for bound in inner_bounds], axis=0)
    return np.where(np.isnan(ita), -1, index).astype(np.int64)


def tone_group(ita):
    """Index into `GROUP_NAMES` (0 very light ... 3 tan and darker) for angles in degrees.

    NaN gives `UNKNOWN_GROUP` (-1). Shape follows the input; integers come back as int64.
    """
    groups = [category.group for category in TONE_CATEGORIES]
    return np.array([*groups, UNKNOWN_GROUP], np.int64)[tone_category(ita)]
