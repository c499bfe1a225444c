"""Kinds of images: dermoscopic ones and clinical photographs, told apart by pixels."""

from functools import lru_cache
from typing import NamedTuple

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
    "uneven_ring": (3.86, 3.31, 0.97),
    "one_sided": (11.29, 8.43, 0.44),
    "uneven_corners": (10.69, 10.75, 0.99),
    "dark_centre": (15.84, 12.45, -0.86),
    "dark_corners": (-0.62, 8.65, -2.48),
    "median_a": (19.85, 10.33, -3.07),
    "median_b": (7.41, 9.71, 1.47),
    "bright_radius": (0.70, 0.19, -1.73),
    "least_a": (-6.47, 4.81, -1.10),
    "most_b": (13.63, 6.67, -1.19),
}
_INTERCEPT = -7.32
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
    lightness, a, b = channels = [channel.ravel() for channel in cv2.split(lab)]
    places = _places(lab.shape[:2])
    middle = [float(np.median(channel)) for channel in channels]
    around = np.array([channel[places.ring].mean(axis=1) for channel in channels])
    opposite = around - np.roll(around, _N_SECTORS // 2, axis=1)
    between = lightness[places.between].mean()
    corners = lightness[places.corners].mean(axis=1)
    brighter = np.maximum(lightness - middle[0], 0)
    return {
        "uneven_ring": float(np.std(around[0])),
        "one_sided": float(np.abs(opposite).mean(axis=1).sum()),
        "uneven_corners": float(np.ptp(corners)),
        "dark_centre": float(between - lightness[places.centre].mean()),
        "dark_corners": float(np.clip(between - corners.max(), -15, 15)),
        "median_a": middle[1],
        "median_b": middle[2],
        "bright_radius": float((brighter @ places.radius) / max(brighter.sum(), 1.0)),
        "least_a": float(np.partition(a, a.size // 50)[a.size // 50] - middle[1]),
        "most_b": float(-np.partition(-b, b.size // 50)[b.size // 50] - middle[2]),
    }


class _Places(NamedTuple):
    """Indices of pixels: a ring by sectors [8, n], a ring nearer in, the centre, corners [4, n]."""

    radius: np.ndarray
    ring: np.ndarray
    between: np.ndarray
    centre: np.ndarray
    corners: np.ndarray


@lru_cache(maxsize=2)
def _places(shape: tuple[int, int]) -> _Places:
    radius = squared_radius(shape).ravel()
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    turn = np.arctan2(y, x).ravel() / (2 * np.pi) + 0.5
    sector = np.floor(turn * _N_SECTORS).astype(int) % _N_SECTORS
    in_ring = (radius > 0.5) & (radius < 1.1)
    sectors = [np.flatnonzero(in_ring & (sector == i)) for i in range(_N_SECTORS)]
    n_least = min(map(len, sectors))  # for one array, without the last few pixels of some
    index = np.arange(radius.size).reshape(shape)
    corners = [index[rows, columns].ravel() for rows in _ENDS for columns in _ENDS]
    return _Places(
        radius,
        np.array([places[:n_least] for places in sectors]),
        np.flatnonzero((radius > 0.3) & (radius < 0.8)),
        np.flatnonzero(radius < 0.12),
        np.array(corners),
    )


_ENDS = (slice(0, 6), slice(-6, None))
