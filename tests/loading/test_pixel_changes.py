"""Fused augmentation against torchvision: fixed parameters, and the statistics of draws."""

import cv2
import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torchvision.transforms import InterpolationMode, v2

from src.loading.augment import Augmentation, AugmentedImage
from src.loading.pixel_changes import (
    affine_matrix,
    blur,
    color_matrix,
    flip,
    fused,
    masked_rectangle,
    perspective,
    sharpen,
    shear,
    warped,
)

functional = v2.functional
Y, X = np.mgrid[0:60, 0:80]
# a brown lesion on light skin, smooth enough for interpolation to be comparable
LESION = np.exp(-((Y - 30) ** 2 + (X - 38) ** 2) / 300)[..., None]
SKIN = (
    LESION * (110, 60, 45) + (1 - LESION) * (222, 182, 158) + 6 * np.sin(X / 9)[..., None]
).astype(np.uint8)
SMOOTH = InterpolationMode.BILINEAR


def by_torch(function, image, *args, **options):
    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)
    return function(tensor, *args, **options).permute(1, 2, 0).numpy()


def largest(one, other):
    return np.abs(one.astype(int) - other.astype(int)).max()


def test_a_warp_is_that_of_torchvision():
    for angle, shift, scale in ((20, (0, 0), 1), (-25, (5, -3), 0.9), (7, (0, 6), 1.1)):
        expected = by_torch(
            functional.affine, SKIN, angle, [*shift], scale, [0.0, 0.0], interpolation=SMOOTH
        )
        found = warped(SKIN, affine_matrix(SKIN.shape[:2], angle, shift, scale))
        inside = warped(np.full_like(SKIN, 255), affine_matrix(SKIN.shape[:2], angle, shift, scale))
        assert largest(found[inside == 255], expected[inside == 255]) <= 3
        assert (found[inside == 0] == 0).all() and (expected[inside == 0] <= 30).all()


def test_shear_is_that_of_torchvision():
    """Of its angle about the centre, either way equally often."""
    leans = []
    for seed in range(200):
        draw = shear(5.0)((60, 80), np.random.default_rng(seed))
        leans.append(np.degrees(np.arctan(draw[0, 1])))
        np.testing.assert_allclose(draw @ (39.5, 29.5, 1), (39.5, 29.5, 1))
        assert np.linalg.det(draw) == pytest.approx(1)
    assert -5 <= min(leans) < -4.5 and 4.5 < max(leans) <= 5 and abs(np.mean(leans)) < 0.7
    expected = by_torch(functional.affine, SKIN, 0, [0, 0], 1, [-leans[-1], 0], SMOOTH)
    found = warped(SKIN, draw)
    assert largest(found[8:-8, 8:-8], expected[8:-8, 8:-8]) <= 3


def test_a_perspective_is_that_of_torchvision():
    corners = [[0, 0], [79, 0], [79, 59], [0, 59]]
    moved = [[4, 2], [74, 5], [77, 55], [1, 58]]
    expected = by_torch(functional.perspective, SKIN, corners, moved, interpolation=SMOOTH)
    found = warped(SKIN, cv2.getPerspectiveTransform(np.float32(corners), np.float32(moved)))
    assert largest(found[8:-8, 8:-8], expected[8:-8, 8:-8]) <= 3


def test_geometry_is_composed_in_its_order():
    image = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    quarter = affine_matrix((40, 40), 90, (0, 0), 1)
    change = fused([flip(1, 0), lambda size, rng: quarter])
    np.testing.assert_array_equal(
        change(image, np.random.default_rng(0)), np.rot90(image[:, ::-1], -1)
    )


COLOUR_CHANGES = (
    functional.adjust_brightness,
    functional.adjust_contrast,
    functional.adjust_saturation,
    functional.adjust_hue,
)


@pytest.mark.parametrize("turns", [0.0, 0.02, -0.02])
def test_colour_changes_are_those_of_torchvision(turns):
    """Within a rounded sample without hue, within 4 with it, on skin; nothing is clipped here."""
    rng, exact = np.random.default_rng(2), SKIN.astype(np.float32) / 255
    for _ in range(12):
        order, values = rng.permutation(4), [*rng.uniform(0.85, 1.1, 3), turns]
        expected = exact
        for kind in order:
            expected = by_torch(COLOUR_CHANGES[kind], expected, values[kind])
        found = cv2.transform(SKIN, color_matrix(cv2.mean(SKIN)[:3], order, values))
        assert np.abs(found - 255 * expected).max() <= (4 if turns else 0.7)


def test_hue_turns_other_colours_the_same_way():
    """Of all colours the matrix is off by 6 x turns x their chroma at most: 31 of 255."""
    colours = np.random.default_rng(3).integers(0, 256, (50, 50, 3), np.uint8)
    found = cv2.transform(colours, color_matrix((0, 0, 0), [3], [1, 1, 1, 0.02]))
    expected = by_torch(functional.adjust_hue, colours, 0.02)
    assert largest(found, expected) <= 0.12 * 255 + 1
    assert np.abs(found.astype(float) - expected).mean() < 6


def test_sharpness_and_blur_are_those_of_torchvision():
    rng = np.random.default_rng(0)
    for factor in (0.0, 0.4, 2.0):
        expected = by_torch(functional.adjust_sharpness, SKIN, factor)
        assert largest(sharpen((factor, factor), 1.0)(SKIN, rng), expected) <= 2
    expected = by_torch(functional.gaussian_blur, SKIN, [3, 3], [1.3, 1.3])
    assert largest(blur((1.3, 1.3), 1.0)(SKIN, rng), expected) <= 1


def test_a_masked_rectangle_has_the_area_and_sides_of_torchvision():
    white, erase = np.full((100, 100, 3), 255, np.uint8), v2.RandomErasing(1.0, scale=(0.02, 0.1))
    rng, areas, ratios = np.random.default_rng(5), ([], []), ([], [])
    torch.manual_seed(5)
    for _ in range(300):
        images = masked_rectangle(1.0, (0.02, 0.1))(white, rng), by_torch(erase, white)
        for image, area, ratio in zip(images, areas, ratios, strict=True):
            black = image[..., 0] == 0
            area.append(black.sum())
            ratio.append(black.any(1).sum() / black.any(0).sum())
    assert ks_2samp(*areas).pvalue > 0.01 and ks_2samp(*ratios).pvalue > 0.01
    assert (white == 255).all()


class SharpenedOrSoftened(torch.nn.Module):
    def forward(self, image):
        return functional.adjust_sharpness(image, 2 * torch.rand(1).item())


POLICIES = {
    "flips": v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]),
    "dermatoscopy": v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(25, translate=(0.1, 0.1), scale=(0.9, 1.1), interpolation=SMOOTH),
            v2.ColorJitter(0.2, 0.2, 0.2, 0.02),
            v2.RandomApply([v2.GaussianBlur(3)], p=0.1),
            v2.RandomErasing(0.1, scale=(0.02, 0.1)),
        ]
    ),
    "lumen": v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(15, translate=(0.1, 0.1), shear=(-5, 5), interpolation=SMOOTH),
            v2.RandomPerspective(0.2),  # the black around it dims the grey that contrast is about
            v2.ColorJitter(0.2, 0.2, 0.2, 0.02),
            v2.RandomApply([SharpenedOrSoftened()]),
        ]
    ),
}


def statistics(image):
    """Means of channels, spread, blackness, the lesion's place, detail: away from black edges."""
    black = (image < 30).all(-1).astype(np.uint8)
    inside = cv2.dilate(black, np.ones((5, 5))) == 0
    values = image.astype(float)
    dark = np.clip(160 - values[..., 0], 0, None) * inside + 1e-9
    detail = np.abs(np.diff(values[..., 1], axis=1))[inside[:, 1:]].mean()
    return [
        *values[inside].mean(0),
        values[inside].std(),
        black.mean(),
        (dark * X).sum() / dark.sum(),
        (dark * Y).sum() / dark.sum(),
        detail,
    ]


@pytest.mark.simulation
@pytest.mark.parametrize("name", POLICIES)
def test_draws_have_the_distribution_of_torchvisions(name, at_size):
    """Means within 3 of 255 (or 0.3 of a standard deviation), deviations within a quarter.

    torchvision rounds down after each change of colour. Warped once, an image keeps what a first
    warp would have cut off and a second one brought back: there is less black, never more.
    """
    n, chain = at_size(400, 4000), Augmentation(name)
    torch.manual_seed(11)
    expected = np.array([statistics(by_torch(POLICIES[name], SKIN)) for _ in range(n)])
    found = np.array([statistics(chain(AugmentedImage(SKIN, -1), seed).image) for seed in range(n)])
    spread, black = expected.std(0), 4
    difference = np.abs(found.mean(0) - expected.mean(0))
    bounds = np.maximum(0.3 * spread, [3, 3, 3, 3, 0, 0.5, 0.5, 0.2])
    assert (difference <= bounds)[np.arange(8) != black].all(), (difference, bounds)
    assert (np.abs(found.std(0) - spread) <= 0.25 * spread + 0.05).all()
    assert found[:, black].mean() <= expected[:, black].mean() + 0.01


def test_a_corner_moves_inwards_by_up_to_half_the_distortion():
    draw, most = perspective(0.2, 1.0), np.zeros(2)
    for seed in range(200):
        matrix = draw((60, 80), np.random.default_rng(seed))
        corner = matrix @ (0, 0, 1)
        corner = corner[:2] / corner[2]
        assert (corner >= -1e-4).all() and (corner <= (8.001, 6.001)).all()
        most = np.maximum(most, corner)
    assert (most.round() == (8, 6)).all()
