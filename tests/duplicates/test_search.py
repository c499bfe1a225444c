"""Details and their similarity: what changes them, what does not, and which pairs are found."""

import cv2
import numpy as np
import pytest

from src.duplicates.search import (
    Duplicates,
    details,
    duplicates_of,
    oriented,
    perceptual_hashes,
    similarity,
    thumbnail,
)
from src.preprocess.image import read_image

USUAL = {"max_distance": 14, "min_similarity": 0.9}


@pytest.fixture(scope="module")
def images(demo):
    paths = sorted((demo / "ham10000" / "images").glob("*.jpg"))[:40]
    return [read_image(path) for path in paths]


def search(images, **limits):
    thumbnails = np.stack([thumbnail(np.ascontiguousarray(image)) for image in images])
    hashes, found = perceptual_hashes(thumbnails), details(thumbnails)
    return duplicates_of(range(len(images)), hashes, found, **{**USUAL, **limits})


def compressed(image):
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


COPIES = {
    "compressed": compressed,
    "half as large": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5),
    "twice as large": lambda image: cv2.resize(image, None, fx=2, fy=2),
    "brighter": lambda image: cv2.add(image, np.full_like(image, 20)),
    "less contrast": lambda image: np.uint8(0.9 * image + 12),
    "cropped": lambda image: image[2:-2, 3:-3],
    "mirrored": lambda image: image[:, ::-1],
    "turned": lambda image: np.rot90(image, 3),
    "turned, compressed and cropped": lambda image: compressed(np.rot90(image)[3:-3, 2:-2]),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_nothing_else(images, name):
    found = search([*images, *map(COPIES[name], images)])
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == {
        (i, i + len(images)) for i in range(len(images))
    }


def test_the_orientation_undoes_the_copys(images):
    for orientation in range(8):
        moved = [oriented(image[None], orientation)[0] for image in images]
        found = search([*moved, *images], max_distance=0)
        assert found.orientation.tolist() == [orientation] * len(images)
        np.testing.assert_allclose(found.similarity, 1, atol=1e-3)


def test_similarity_is_the_multiple_correlation_of_a_plain_least_squares_fit(images):
    first, second = details(np.stack([thumbnail(image) for image in images])).reshape(2, -1, 32, 32)
    place = np.linspace(-1, 1, 32)
    for a, b, found in zip(first, second, similarity(first, second), strict=True):
        down, right = np.gradient(b.astype(float))
        parts = [b, down, right, down * place[:, None], right * place, np.ones((32, 32))]
        matrix = np.stack([part[1:-1, 1:-1].ravel() for part in parts], axis=1)
        target = a[1:-1, 1:-1].ravel()
        weights = np.linalg.lstsq(matrix, target)[0]
        rest = np.sum((target - matrix @ weights) ** 2) / np.sum((target - target.mean()) ** 2)
        assert found == pytest.approx(np.sqrt(1 - rest) * (weights[0] > 0), abs=1e-3)


def test_no_similarity_of_a_negative_nor_of_one_colour(images):
    (image,) = details(thumbnail(images[0])[None])
    (blank,) = details(np.full((1, 32, 32), 120, np.uint8))
    assert not blank.any()
    first, second = np.stack([image, image, blank, blank]), np.stack([image, -image, image, blank])
    np.testing.assert_allclose(similarity(first, second), [1, 0, 0, 0], atol=1e-3)


def test_details_do_not_depend_on_brightness_and_little_on_the_lesion(images):
    plain = np.stack([thumbnail(image) // 2 for image in images])
    np.testing.assert_allclose(details(plain + 40), details(plain), atol=1e-4)


def test_centred_discs_alike_to_the_hash_are_told_apart():
    """Skin of different texture under the same dark disc."""
    disc = np.hypot(*np.mgrid[-75:75, -100:100]) < 30
    rng = np.random.default_rng(2)
    texture = [cv2.GaussianBlur(rng.normal(0, 60, (150, 200)), (0, 0), 3) for _ in range(12)]
    images = [np.clip(np.where(disc, 60, 180) + t, 0, 255).astype(np.uint8) for t in texture]
    images = [np.repeat(image[..., None], 3, axis=2) for image in images]
    near = search(images, max_distance=20, min_similarity=0.01)
    assert len(near.first) > 20
    assert len(search(images, max_distance=20).first) == 0


@pytest.mark.parametrize("n_images", [1, 2])
def test_few_images_have_no_duplicates(images, n_images):
    found = search(images[:n_images])
    assert isinstance(found, Duplicates)
    assert [len(column) for column in found] == [0] * 5


def test_real_copies_are_found_and_other_lesions_are_not(real_data):
    paths = sorted((real_data / "ham10000" / "images").glob("*.jpg"))[:300:3]
    images = [read_image(path) for path in paths]
    found = search([*images, *map(COPIES["turned, compressed and cropped"], images)])
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) >= {
        (i, i + len(images)) for i in range(len(images))
    }
    assert len(found.first) <= 1.05 * len(images)
