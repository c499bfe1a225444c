"""The corruptions of MedMNIST-C for DermaMNIST, with their five published severities.

Di Salvo et al. 2024, "MedMNIST-C: comprehensive benchmark and improved classifier robustness by
simulating realistic image corruptions"; the severities are those of its package, for images of
224 x 224. Noise is drawn from a seed.
"""

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from ..preprocess.image import decode_image, jpeg_bytes

SIDE = 224
Rng: TypeAlias = np.random.Generator


def _pixelate(image: np.ndarray, factor: float, rng: Rng) -> np.ndarray:
    side = int(SIDE * factor)
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)


def _jpeg(image: np.ndarray, quality: int, rng: Rng) -> np.ndarray:
    return decode_image(jpeg_bytes(image, quality))


def _gaussian_noise(image: np.ndarray, scale: float, rng: Rng) -> np.ndarray:
    return _unit(image / 255 + rng.normal(0, scale, image.shape))


def _speckle_noise(image: np.ndarray, scale: float, rng: Rng) -> np.ndarray:
    return _unit(image / 255 * (1 + rng.normal(0, scale, image.shape)))


def _impulse_noise(image: np.ndarray, share: float, rng: Rng) -> np.ndarray:
    hit, salt = rng.random(image.shape) < share, rng.random(image.shape) < 0.5
    return np.where(hit, np.where(salt, 255, 0), image).astype(np.uint8)


def _shot_noise(image: np.ndarray, photons: float, rng: Rng) -> np.ndarray:
    return _unit(rng.poisson(image / 255 * photons) / photons)


def _defocus_blur(image: np.ndarray, disk: tuple[int, float], rng: Rng) -> np.ndarray:
    radius, alias = disk
    y, x = np.mgrid[-8:9, -8:9]
    kernel = (x**2 + y**2 <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(kernel / kernel.sum(), (3, 3), alias)
    return _unit(cv2.filter2D(image.astype(np.float32) / 255, -1, kernel))


def _motion_blur(image: np.ndarray, radius_sigma: tuple[int, int], rng: Rng) -> np.ndarray:
    """Half a Gaussian along a line, -45 to 45 degrees, as ImageMagick's motion blur."""
    radius, sigma = radius_sigma
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    angle = np.radians(rng.uniform(-45, 45))
    kernel = np.zeros((4 * radius + 3,) * 2, np.float32)
    middle = 2 * radius + 1
    for distance, weight in enumerate(weights):
        x, y = (round(distance * f(angle)) for f in (np.cos, np.sin))
        kernel[middle + y, middle + x] += weight
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def _zoom_blur(image: np.ndarray, zoom: tuple[float, float], rng: Rng) -> np.ndarray:
    most, step = zoom
    factors = np.arange(1, most, step)
    total = image.astype(np.float32)
    for factor in factors:
        side = int(np.ceil(SIDE / factor))
        start = (SIDE - side) // 2
        part = image[start : start + side, start : start + side]
        total += cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.clip(total / (len(factors) + 1), 0, 255).astype(np.uint8)


def _brightness(image: np.ndarray, factor: float, rng: Rng) -> np.ndarray:
    return np.clip(image * factor, 0, 255).astype(np.uint8)


def _contrast(image: np.ndarray, factor: float, rng: Rng) -> np.ndarray:
    """Away from, or towards, the mean grey of the picture."""
    mean = round(float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean()))
    return np.clip(mean + factor * (image.astype(np.float32) - mean), 0, 255).astype(np.uint8)


def _black_corner(image: np.ndarray, factor: float, rng: Rng) -> np.ndarray:
    circle = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(circle, (SIDE // 2, SIDE // 2), int(SIDE // 2 * factor), 255, -1)
    return np.where(circle[..., None] > 0, image, 0).astype(np.uint8)


def _characters(image: np.ndarray, most: tuple[int, int, float], rng: Rng) -> np.ndarray:
    n_words, n_letters, scale = most
    image = np.ascontiguousarray(image)
    for _ in range(rng.integers(1, n_words + 1)):
        n = int(rng.integers(3, n_letters + 1))
        word = "".join(chr(97 + letter) for letter in rng.integers(0, 26, n))
        place = int(rng.integers(10, SIDE - 8 * n)), int(rng.integers(10, SIDE - 9))
        size, color = float(rng.uniform(0.14, scale)), tuple(map(int, rng.integers(0, 256, 3)))
        cv2.putText(image, word, place, cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)
    return image


def _unit(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


# name -> (function, its five severities)
CORRUPTIONS: dict[str, tuple[Callable, tuple]] = {
    "pixelate": (_pixelate, (0.7, 0.5, 0.4, 0.3, 0.25)),
    "jpeg_compression": (_jpeg, (30, 20, 15, 10, 7)),
    "gaussian_noise": (_gaussian_noise, (0.04, 0.08, 0.12, 0.18, 0.26)),
    "speckle_noise": (_speckle_noise, (0.05, 0.15, 0.2, 0.35, 0.45)),
    "impulse_noise": (_impulse_noise, (0.01, 0.03, 0.06, 0.09, 0.17)),
    "shot_noise": (_shot_noise, (60, 25, 18, 10, 5)),
    "defocus_blur": (_defocus_blur, ((4, 0.1), (5, 0.2), (6, 0.3), (7, 0.4), (8, 0.5))),
    "motion_blur": (_motion_blur, ((10, 5), (15, 5), (15, 8), (15, 12), (20, 15))),
    "zoom_blur": (
        _zoom_blur,
        ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    ),
    "brightness_up": (_brightness, (1.1, 1.2, 1.3, 1.4, 1.5)),
    "brightness_down": (_brightness, (0.9, 0.8, 0.7, 0.6, 0.5)),
    "contrast_up": (_contrast, (1.1, 1.2, 1.3, 1.4, 1.6)),
    "contrast_down": (_contrast, (0.8, 0.7, 0.6, 0.5, 0.4)),
    "black_corner": (_black_corner, (1.10, 1.05, 1.00, 0.90, 0.95)),
    "characters": (
        _characters,
        ((1, 6, 0.14), (2, 7, 0.15), (3, 8, 0.16), (4, 9, 0.17), (6, 10, 0.18)),
    ),
}
N_SEVERITIES = 5


def corrupted(image: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """RGB uint8 [224, 224, 3] of an RGB uint8 image; `severity` 0 (mildest) to 4.

    The published order is kept: of black corners the fifth is milder than the fourth.
    """
    make, severities = CORRUPTIONS[name]
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return make(small, severities[severity], np.random.default_rng(seed))
