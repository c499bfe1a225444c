"""Pairs of images that are one photograph: near by their 64-bit hash, then alike in details."""

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
_FINE, _COARSE = 0.7, 2.0  # pixels: standard deviations between which a detail's size lies
_NOISE = 2.0  # grey levels: fainter details than this count for less
_RIDGE = 1e-3  # makes the fit to an image without details solvable
_PAIRS_AT_ONCE = 500


class Duplicates(NamedTuple):
    """Arrays [pairs]: indices of two images, how the second is to be moved to look like the first,
    differing bits of their hashes, similarity 0..1 of their details.
    """

    first: np.ndarray
    second: np.ndarray
    orientation: np.ndarray
    distance: np.ndarray
    similarity: np.ndarray


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


def near_pairs(hashes: np.ndarray, rows: range, max_distance: int) -> list[np.ndarray]:
    """[first, second, orientation, distance] of later images within `max_distance` bits of `rows`.

    Arrays [pairs] as in `Duplicates`; `hashes` are those of `perceptual_hashes`. A pair is there
    once for each orientation of its second image in which it is near.
    """
    own = hashes[rows.start : rows.stop, 0, None, None]
    distance = np.bitwise_count(own ^ hashes[None, rows.start :])
    near = np.nonzero(distance <= max_distance)
    first, second, orientation = (index[near[1] > near[0]] for index in near)
    found = distance[first, second, orientation]
    return [first + rows.start, second + rows.start, orientation, found]


def details(thumbnails: np.ndarray) -> np.ndarray:
    """float32 [N, 32, 32]: what is finer than a lesion, equally strong everywhere.

    The difference of two blurs over its local standard deviation (local contrast normalization,
    Jarrett et al. 2009): else any two dark lesions in the middle of pale skin would be alike.
    Zero for an image of one colour.
    """
    normalized = [_normalized(np.float32(each)) for each in thumbnails]
    return np.reshape(normalized, (-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE))


def _normalized(image: np.ndarray) -> np.ndarray:
    fine, coarse = (cv2.GaussianBlur(image, (0, 0), sigma) for sigma in (_FINE, _COARSE))
    band = fine - coarse
    variance = cv2.GaussianBlur(band * band, (0, 0), _COARSE)
    return band / np.sqrt(variance + _NOISE**2)


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 [pairs], 0..1: how well each of `first` is explained by its `second`, slightly moved.

    Both are `details` [pairs, 32, 32]. It is the multiple correlation of the first with the second
    and its derivatives by shift and zoom along either axis: to first order (Lucas & Kanade 1981)
    that allows for a crop of a few per cent. Details in negative, or none at all, have 0.
    """
    place = np.linspace(-1, 1, THUMBNAIL_SIDE, dtype=np.float32)
    down, right = np.gradient(second, axis=(1, 2))
    parts = np.stack([second, down, right, down * place[:, None], right * place], axis=1)
    inner = slice(1, -1)  # at the edge a derivative is one-sided
    parts = parts[:, :, inner, inner].reshape(len(first), 5, -1)
    target = first[:, inner, inner].reshape(len(first), 1, -1)
    parts = parts - parts.mean(axis=2, keepdims=True)
    target = target - target.mean(axis=2, keepdims=True)
    products = parts @ target.swapaxes(1, 2)
    squares = parts @ parts.swapaxes(1, 2) + _RIDGE * np.eye(5, dtype=np.float32)
    weights = np.linalg.solve(squares, products)
    explained = (weights * products).sum(axis=(1, 2))
    total = (target**2).sum(axis=(1, 2)) + _RIDGE
    return np.sqrt(np.clip(explained / total, 0, 1)) * (weights[:, 0, 0] > 0)


def duplicates_of(
    rows: range,
    hashes: np.ndarray,
    all_details: np.ndarray,
    max_distance: int,
    min_similarity: float,
) -> Duplicates:
    """The duplicates of the images in `rows` among later ones, each pair once, by their indices.

    `hashes` are those of `perceptual_hashes`, `all_details` those of `details`. Of the orientations
    in which a pair is near, the one with the greatest similarity counts.
    """
    first, second, orientations, distance = near_pairs(hashes, rows, max_distance)
    found = np.zeros(len(first), np.float32)
    for orientation in range(len(ORIENTATIONS)):
        members = np.flatnonzero(orientations == orientation)
        for start in range(0, len(members), _PAIRS_AT_ONCE):
            part = members[start : start + _PAIRS_AT_ONCE]
            moved = oriented(all_details[second[part]], orientation)
            found[part] = similarity(all_details[first[part]], moved)
    order = np.lexsort((-found, second, first))
    order = order[found[order] >= min_similarity]
    _, best = np.unique(first[order] * len(hashes) + second[order], return_index=True)
    columns = (first, second, orientations, distance, found)
    return Duplicates(*(column[order[best]] for column in columns))
