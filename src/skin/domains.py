"""Kinds of images: dermoscopic ones and clinical photographs, told apart by pixels."""

import cv2
import numpy as np

from .shapes import squared_radius

DERMOSCOPY, CLINICAL = "dermoscopy", "clinical"
DOMAINS = (DERMOSCOPY, CLINICAL)
AUTO = "auto"

_LONG, _SHORT = 64, 48  # pixels of the copy that is looked at
_N_SECTORS = 8
# Of each sign its mean, standard deviation and weight: a logistic regression on 130 photographs
# against 1,608 dermoscopic images and 150 drawn ones (docs/SKIN_TONE.md). The drawn ones are of all
# tones: the real ones are of light skin, and dark skin is no sign of a photograph. Above zero is
# one.
_SIGNS = {
    "uneven_ring": (3.82, 3.64, 0.40),
    "one_sided": (11.29, 9.06, 0.61),
    "uneven_corners": (10.69, 10.75, 1.19),
    "dark_centre": (16.91, 13.06, -0.74),
    "dark_corners": (0.36, 8.29, -2.61),
    "median_a": (19.85, 10.33, -3.35),
    "median_b": (7.41, 9.71, 1.37),
    "bright_radius": (0.70, 0.19, -1.81),
    "least_a": (-6.46, 4.80, -1.00),
    "most_b": (13.62, 6.66, -0.88),
}
_INTERCEPT = -7.15
_MOST_DEVIATIONS = 4.0  # so that no single sign decides


def find_domain(image: np.ndarray) -> str:
    """The kind of an RGB uint8 image, `DERMOSCOPY` or `CLINICAL`, whatever its size."""
    values = signs(image)
    standard = {name: (values[name] - mean) / sd for name, (mean, sd, _) in _SIGNS.items()}
    score = _INTERCEPT + sum(
        weight * float(np.clip(standard[name], -_MOST_DEVIATIONS, _MOST_DEVIATIONS))
        for name, (_, _, weight) in _SIGNS.items()
    )
    return CLINICAL if score > 0 else DERMOSCOPY


def domain_of(image: np.ndarray, domain: str) -> str:
    """`domain`, or what `find_domain` decides where that is `AUTO`."""
    return find_domain(image) if domain == AUTO else domain


def signs(image: np.ndarray) -> dict[str, float]:
    """What tells the kinds apart, in units of CIELAB; on a copy of 64 by 48 pixels.

    A dermoscope's light is even or falls off to all corners alike, its lesion lies in the middle,
    and nothing but skin is in view. `median_a`, `median_b` are of all pixels.
    """
    size = (_LONG, _SHORT) if image.shape[1] >= image.shape[0] else (_SHORT, _LONG)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    lightness, a, b = cv2.split(lab)
    radius, angle = squared_radius(lightness.shape), _angle(lightness.shape)
    middle = np.median(lab.reshape(-1, 3), axis=0)
    ring = (radius > 0.5) & (radius < 1.1)
    sector = np.floor((angle / (2 * np.pi) + 0.5) * _N_SECTORS).astype(int) % _N_SECTORS
    around = np.array([np.median(lab[ring & (sector == i)], axis=0) for i in range(_N_SECTORS)])
    opposite = around - np.roll(around, _N_SECTORS // 2, axis=0)
    between = np.median(lightness[(radius > 0.3) & (radius < 0.8)])
    corners = [lightness[y, x].mean() for y in _ENDS for x in _ENDS]
    brighter = np.maximum(lightness - middle[0], 0)
    return {
        "uneven_ring": float(np.std(around[:, 0])),
        "one_sided": float(np.abs(opposite).mean(axis=0).sum()),
        "uneven_corners": float(max(corners) - min(corners)),
        "dark_centre": float(between - lightness[radius < 0.12].mean()),
        "dark_corners": float(np.clip(between - max(corners), -15, 15)),
        "median_a": float(middle[1]),
        "median_b": float(middle[2]),
        "bright_radius": float((brighter * radius).sum() / max(brighter.sum(), 1.0)),
        "least_a": float(np.percentile(a, 2) - middle[1]),
        "most_b": float(np.percentile(b, 98) - middle[2]),
    }


_ENDS = (slice(0, 6), slice(-6, None))


def _angle(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return np.arctan2(y, x)
