"""Augmentations: RGB uint8 in and out, a pure function of image and seed."""

import numpy as np
import pytest
import torch

from src.datasets.augment import AUGMENTATIONS, augment

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
CHANGING = [name for name in AUGMENTATIONS.names() if name != "none"]


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_rgb_uint8_in_and_out_with_the_input_unchanged(name):
    transform, image = AUGMENTATIONS.build(name), IMAGE.copy()
    for seed in range(12):
        found = augment(transform, image, seed)
        assert (found.dtype, found.shape) == (np.uint8, image.shape)
        assert found.flags["C_CONTIGUOUS"]
        np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize("name", CHANGING)
def test_same_seed_same_image_and_others_differ(name):
    transform = AUGMENTATIONS.build(name)
    found = {augment(transform, IMAGE, seed).tobytes() for seed in range(12)}
    assert len(found) >= 4  # flips alone have four outcomes
    for seed in (0, 2**32 - 1):
        again = [augment(transform, IMAGE, seed) for _ in range(2)]
        np.testing.assert_array_equal(*again)


def test_none_changes_nothing():
    np.testing.assert_array_equal(augment(AUGMENTATIONS.build("none"), IMAGE, 3), IMAGE)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flips(horizontal=1.0, vertical=0.0)", IMAGE[:, ::-1]),
        ("flips(horizontal=0.0, vertical=1.0)", IMAGE[::-1]),
        ("flips(horizontal=1.0, vertical=1.0)", IMAGE[::-1, ::-1]),
    ],
)
def test_flips_mirror_pixels(name, expected):
    np.testing.assert_array_equal(augment(AUGMENTATIONS.build(name), IMAGE, 0), expected)


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_no_global_random_state_is_touched(name, monkeypatch):
    def forbidden(seed):
        raise AssertionError("seeding every GPU would repeat dropout's draws")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", forbidden)
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    augment(AUGMENTATIONS.build(name), IMAGE, 7)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_colour_options_of_zero_leave_only_geometry():
    """Without rotation, jitter and cutout a uniform image stays uniform but for the border."""
    plain = np.full((32, 32, 3), (200, 150, 120), np.uint8)
    transform = AUGMENTATIONS.build("dermatoscopy(rotation=0.0, color=0.0, hue=0.0, cutout=0.0)")
    for seed in range(6):
        found = augment(transform, plain, seed)[8:-8, 8:-8]
        assert np.abs(found.astype(int) - plain[8:-8, 8:-8]).max() <= 1
