"""Pairs of images that are one photograph: near by their hash, then alike in their details."""

from typing import NamedTuple

import cv2
import numpy as np

from .perceptual_hash import (
    ORIENTATIONS,
    THUMBNAIL_SIDE,
    near_pairs,
    oriented,
)

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
    near = near_pairs(hashes, rows, max_distance)
    found = np.zeros(len(near.first), np.float32)
    for orientation in range(len(ORIENTATIONS)):
        members = np.flatnonzero(near.orientation == orientation)
        for start in range(0, len(members), _PAIRS_AT_ONCE):
            part = members[start : start + _PAIRS_AT_ONCE]
            moved = oriented(all_details[near.second[part]], orientation)
            found[part] = similarity(all_details[near.first[part]], moved)
    order = np.lexsort((-found, near.second, near.first))
    order = order[found[order] >= min_similarity]
    _, best = np.unique(near.first[order] * len(hashes) + near.second[order], return_index=True)
    chosen = order[best]
    return Duplicates(*(column[chosen] for column in near), found[chosen])
