"""A 64-bit perceptual hash of each image, and images whose hashes are near, mirrored or turned."""

from typing import NamedTuple

import cv2
import numpy as np

THUMBNAIL_SIDE = 32
HASH_SIDE = 8
# how an image is to be moved, by the bits of its index: 4 transposes, then 2 reverses rows, then
# 1 reverses columns
ORIENTATIONS = (
    "as it is",
    "mirrored left to right",
    "mirrored top to bottom",
    "turned 180 degrees",
    "transposed",
    "turned 90 degrees clockwise",
    "turned 90 degrees counterclockwise",
    "transposed across the other diagonal",
)
_MOST_DISTANCES = 2**22  # computed at once: 32 MB
_BITS = np.uint64(1) << np.arange(HASH_SIDE**2, dtype=np.uint64)


class NearPairs(NamedTuple):
    """Arrays [pairs]: indices of two images, how the second is to be moved, differing bits."""

    first: np.ndarray
    second: np.ndarray
    orientation: np.ndarray
    distance: np.ndarray


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Grey uint8 [32, 32] of an RGB image, whose sides are squeezed to the same length."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)


def oriented(images: np.ndarray, orientation: int) -> np.ndarray:
    """A view of images [N, height, width, ...], all moved as `ORIENTATIONS` says."""
    if orientation & 4:
        images = images.swapaxes(1, 2)
    if orientation & 2:
        images = images[:, ::-1]
    if orientation & 1:
        images = images[:, :, ::-1]
    return images


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """uint64 [N, 8]: pHash of thumbnails [N, 32, 32] in each of `ORIENTATIONS`.

    A bit tells whether one of the 8 x 8 lowest frequencies of the cosine transform, those without
    change along an axis left out, is above their median (Zauner 2010). Transposing
    an image transposes its coefficients; reversing an axis negates those of odd frequency along
    it: one transform serves all orientations.
    """
    low = slice(1, 1 + HASH_SIDE)
    found = [cv2.dct(np.float32(each))[low, low] for each in thumbnails]
    coefficients = np.reshape(found, (-1, HASH_SIDE, HASH_SIDE))
    sign = (-1.0) ** np.arange(1, 1 + HASH_SIDE)
    hashes = np.empty((len(thumbnails), len(ORIENTATIONS)), np.uint64)
    for orientation in range(len(ORIENTATIONS)):
        moved = coefficients.swapaxes(1, 2) if orientation & 4 else coefficients
        moved = moved * sign[:, None] if orientation & 2 else moved
        moved = moved * sign if orientation & 1 else moved
        moved = moved.reshape(-1, HASH_SIDE**2)
        is_set = moved > np.median(moved, axis=1, keepdims=True)
        hashes[:, orientation] = (is_set * _BITS).sum(axis=1, dtype=np.uint64)
    return hashes


def row_blocks(n_images: int) -> list[range]:
    """All rows, in blocks that `near_pairs` compares with all others in little memory."""
    n_rows = max(1, _MOST_DISTANCES // max(1, len(ORIENTATIONS) * n_images))
    return [range(i, min(i + n_rows, n_images)) for i in range(0, n_images, n_rows)]


def near_pairs(hashes: np.ndarray, rows: range, max_distance: int) -> NearPairs:
    """Pairs of an image in `rows` and a later one that differ in at most `max_distance` bits.

    `hashes` are those of `perceptual_hashes`. A pair is there once for each orientation of its
    second image in which it is near.
    """
    own = hashes[rows.start : rows.stop, 0, None, None]
    distance = np.bitwise_count(own ^ hashes[None, rows.start :])
    near = np.nonzero(distance <= max_distance)
    first, second, orientation = (index[near[1] > near[0]] for index in near)
    found = distance[first, second, orientation]
    return NearPairs(first + rows.start, second + rows.start, orientation, found)
