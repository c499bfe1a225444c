"""The perceptual hash: orientations, distances against plain loops, pairs block by block."""

import cv2
import numpy as np
import pytest

from src.duplicates import search as module
from src.duplicates.search import (
    ORIENTATIONS,
    near_pairs,
    oriented,
    perceptual_hashes,
    row_blocks,
    thumbnail,
)
from src.preprocess.image import read_image

RNG = np.random.default_rng(5)
BLOBS = np.stack(
    [
        cv2.GaussianBlur(RNG.integers(0, 256, (32, 32), np.uint8), (0, 0), sigma)
        for sigma in (1, 2, 3)
        for _ in range(4)
    ]
)


def differing_bits(a, b):
    return bin(int(a) ^ int(b)).count("1")


def plain_hash(image):
    """pHash written out: the transform as a sum of cosines, a bit for each coefficient."""
    steps = (2 * np.arange(32) + 1) * np.pi / 64
    bits, values = 0, []
    for down in range(1, 9):
        for right in range(1, 9):
            values.append(np.cos(down * steps) @ image.astype(float) @ np.cos(right * steps))
    for place, value in enumerate(values):
        bits |= int(value > np.median(values)) << place
    return bits


def test_the_hash_is_that_of_the_definition():
    # a coefficient at the median itself may be rounded to either side
    for image, found in zip(BLOBS, perceptual_hashes(BLOBS)[:, 0], strict=True):
        assert differing_bits(found, plain_hash(image)) <= 2
        assert bin(int(found)).count("1") == 32


@pytest.mark.parametrize("orientation", range(len(ORIENTATIONS)), ids=ORIENTATIONS)
def test_the_hash_of_an_orientation_is_that_of_the_moved_image(orientation):
    moved = np.ascontiguousarray(oriented(BLOBS, orientation))
    for there, here in zip(
        perceptual_hashes(BLOBS)[:, orientation], perceptual_hashes(moved)[:, 0], strict=True
    ):
        assert differing_bits(there, here) <= 2


def test_orientations_are_what_their_names_say():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    expected = {
        "as it is": image,
        "mirrored left to right": np.fliplr(image),
        "mirrored top to bottom": np.flipud(image),
        "turned 180 degrees": np.rot90(image, 2),
        "transposed": image.T,
        "turned 90 degrees clockwise": np.rot90(image, -1),
        "turned 90 degrees counterclockwise": np.rot90(image),
        "transposed across the other diagonal": np.rot90(image, 2).T,
    }
    assert tuple(expected) == ORIENTATIONS
    for orientation, moved in enumerate(expected.values()):
        np.testing.assert_array_equal(oriented(image[None], orientation)[0], moved)


def all_pairs(hashes, max_distance):
    """(first, second, orientation, distance) by a loop over everything."""
    return {
        (first, second, orientation, distance)
        for first in range(len(hashes))
        for second in range(first + 1, len(hashes))
        for orientation in range(8)
        if (distance := differing_bits(hashes[first, 0], hashes[second, orientation]))
        <= max_distance
    }


@pytest.mark.parametrize("n_at_once", [1, 8 * 30 * 7, 2**22])
@pytest.mark.parametrize("max_distance", [0, 20, 64])
def test_pairs_found_in_blocks_are_those_of_a_plain_loop(monkeypatch, n_at_once, max_distance):
    monkeypatch.setattr(module, "_MOST_DISTANCES", n_at_once)
    hashes = np.random.default_rng(1).integers(0, 2**64, (30, 8), np.uint64, endpoint=False)
    hashes[20:] = hashes[:10] ^ np.uint64(5)
    hashes[7] = hashes[3]
    blocks = [near_pairs(hashes, rows, max_distance) for rows in row_blocks(len(hashes))]
    columns = map(np.concatenate, zip(*blocks, strict=True))
    found = list(zip(*(column.tolist() for column in columns), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == all_pairs(hashes, max_distance)
    assert (3, 7, 0, 0) in found


@pytest.mark.parametrize("n_images", [0, 1, 1000, 33_126])
def test_blocks_cover_every_row_once_in_little_memory(n_images):
    blocks = row_blocks(n_images)
    assert [row for rows in blocks for row in rows] == list(range(n_images))
    assert all(len(rows) * n_images * 8 <= 2**22 for rows in blocks)


def test_a_thumbnail_is_small_grey_and_the_same_of_a_larger_image(demo):
    image = read_image(next((demo / "ham10000" / "images").glob("*.jpg")))
    small = thumbnail(image)
    assert (small.shape, small.dtype) == ((32, 32), np.uint8)
    larger = thumbnail(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR))
    assert np.abs(small.astype(int) - larger).max() <= 3
