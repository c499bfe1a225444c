"""Tools for masks: sizes of images, components, thresholds and surfaces, positions in a frame."""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

# Sizes of kernels are in pixels of images whose longer side has been made this long.
LESION_SIDE = 200
HAIR_SIDE = 400


def reduced(image: np.ndarray) -> np.ndarray:
    """The image with a longer side of at most `HAIR_SIDE`: what masks need to see of it."""
    scale = HAIR_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = [max(1, round(n * scale)) for n in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def at_longer_side(image: np.ndarray, side: int) -> np.ndarray:
    """The image with a longer side of `side`, and at least 8 pixels on the other."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale == 1.0:
        return image
    size = max(8, round(width * scale)), max(8, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=method)


def enlarged(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask of a reduced image in the whole image's (height, width)."""
    if mask.shape == size:
        return mask
    grey = mask.astype(np.uint8) * 255
    return cv2.resize(grey, size[::-1], interpolation=cv2.INTER_LINEAR) > 127


def at_side(image: np.ndarray, side: int, find: Callable) -> np.ndarray:
    """The mask that `find` gives for a copy with a longer side of `side`, in the image's size."""
    return enlarged(find(at_longer_side(image, side)), image.shape[:2])


def heaviest_component(mask: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The connected component of `mask` with the largest sum of `weight`, if there is any."""
    n, labels = cv2.connectedComponents(mask.astype(np.uint8))
    weights = np.bincount(labels.ravel(), weights=weight.ravel(), minlength=n)
    weights[0] = -1.0  # the background
    return labels == weights.argmax() if n > 1 else np.zeros(mask.shape, bool)


def fill_holes(mask: np.ndarray) -> np.ndarray:
    outside = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(outside, None, (0, 0), 1)
    return mask | (outside[1:-1, 1:-1] == 0)


def otsu_threshold(values: np.ndarray) -> float:
    """Otsu's threshold (Otsu 1979) of uint8 values of any shape."""
    flat = np.ascontiguousarray(values).reshape(1, -1)
    return cv2.threshold(flat, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]


def dilate(mask: np.ndarray, size: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), ellipse(size)).astype(bool)


def ellipse(size: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def fit_surface(values: np.ndarray, where: np.ndarray, n_terms: int = 6) -> np.ndarray:
    """A surface [height, width] through `values[where]`, robust against darker spots.

    A quadratic one, or with three terms a plane.
    """
    terms = _quadratic_terms(values.shape)[..., :n_terms]
    used = np.flatnonzero(where)[::5]
    basis, wanted = terms.reshape(-1, terms.shape[-1])[used], values.ravel()[used]
    # a slight ridge: a lesion that fills the view leaves little to fit to
    ridge = 0.02 * len(wanted) * np.diag([0, 1, 1, 1, 1, 1][:n_terms]).astype(np.float32)
    weights = np.ones(len(wanted), np.float32)
    for _ in range(3):
        weighted = basis * weights[:, None]
        solution = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ wanted)
        residual = wanted - basis @ solution
        spread = 1.5 * np.median(np.abs(residual)) + 1
        weights = np.where(residual < -2 * spread, np.float32(0.1), np.float32(1))
    return terms @ solution


@lru_cache(maxsize=8)
def _quadratic_terms(shape: tuple[int, int]) -> np.ndarray:
    """float32 [height, width, 6]: 1, x, y, x^2, y^2 and xy of each pixel."""
    y, x = (axis.astype(np.float32) for axis in _coordinates(shape))
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


@lru_cache(maxsize=8)
def squared_radius(shape: tuple[int, int]) -> np.ndarray:
    """0 at the centre, 1 on the ellipse that touches the edges, 2 in the corners."""
    y, x = _coordinates(shape)
    return (x * x + y * y).astype(np.float32)


def _coordinates(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(y, x) of each pixel's centre, from -1 to 1 between the edges."""
    y, x = ((np.arange(n) + 0.5) * 2 / n - 1 for n in shape)
    return np.meshgrid(y, x, indexing="ij")
