"""Conversions of colours: sRGB, linear light and CIELAB (D65)."""

import numpy as np

_D65_WHITE = np.array([0.95047, 1.0, 1.08883])
_SRGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def linear_from_srgb(rgb):
    """Linear light, 0..1, of sRGB samples, 0..255 (IEC 61966-2-1)."""
    encoded = np.asarray(rgb, np.float64) / 255.0
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear):
    """sRGB samples, 0..255 (not rounded), of linear light; clipped to 0..1."""
    linear = np.clip(linear, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded * 255.0


def lab_from_rgb(rgb):
    """CIE L*a*b* [..., 3] float64 (D65, 2 degrees) of sRGB colours [..., 3], 0..255.

    By the definitions (IEC 61966-2-1, CIE 15): OpenCV's own conversion interpolates in tables and
    is up to 0.3 off.
    """
    ratios = linear_from_srgb(rgb) @ _SRGB_TO_XYZ.T / _D65_WHITE
    f = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def rgb_from_lab(lab):
    """sRGB colours [..., 3] float64, 0..255, of CIE L*a*b* (D65); clipped to what sRGB holds."""
    lab = np.asarray(lab, np.float64)
    y = (lab[..., 0] + 16.0) / 116.0
    f = np.stack([y + lab[..., 1] / 500.0, y, y - lab[..., 2] / 200.0], axis=-1)
    ratios = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2)
    return srgb_from_linear(ratios * _D65_WHITE @ np.linalg.inv(_SRGB_TO_XYZ).T)
