"""Masks of lesion, hair and skin on drawn skin of every tone, drawn data and real images."""

import itertools

import cv2
import numpy as np
import pandas as pd
import pytest

from src.preprocess.image import read_image
from src.skin.masks import (
    LESION_METHODS,
    MASK_KINDS,
    dark_corners,
    hair_mask,
    lesion_mask,
    skin_mask,
)
from src.skin.shapes import enlarged, reduced

TONES = {
    "light": (236, 200, 180),
    "medium": (200, 150, 120),
    "tan": (150, 105, 80),
    "dark": (90, 60, 45),
    "very dark": (60, 40, 30),
}
FINDERS = {"hair": hair_mask, "skin": skin_mask, "corners": dark_corners}
FINDERS |= {name: lambda image, name=name: lesion_mask(image, name) for name in LESION_METHODS}
HEIGHT, WIDTH = 300, 400


def iou(mask, other):
    return (mask & other).sum() / (mask | other).sum()


def skin_image(tone, noise=3.0, slope=0.0, seed=0):
    """float64 skin that is lit `slope` brighter at the right than at the left edge."""
    image = np.full((HEIGHT, WIDTH, 3), TONES[tone], float)
    image *= 1 + slope * (np.arange(WIDTH) / WIDTH - 0.5)[:, None]
    return image + np.random.default_rng(seed).normal(0, noise, image.shape)


def disc(y, x, radii, turn=0):
    """bool: an ellipse at shares of the image's height and width."""
    center, axes = (round(x * WIDTH), round(y * HEIGHT)), tuple(round(r * WIDTH) for r in radii)
    return cv2.ellipse(np.zeros((HEIGHT, WIDTH), np.uint8), center, axes, turn, 0, 360, 1, -1) > 0


def rounded(image):
    return np.rint(image.clip(0, 255)).astype(np.uint8)


def with_lesion(tone, lesion, contrast=0.5, **light):
    image = skin_image(tone, **light)
    image[lesion] *= contrast
    return rounded(image)


def draw_hairs(image, n_hairs, width, seed=0, color=(28, 20, 16)):
    """The mask of straight hairs, drawn into `image` where it is lighter than they are."""
    rng, mask = np.random.default_rng(seed), np.zeros(image.shape[:2], np.uint8)
    for _ in range(n_hairs):
        middle, angle = rng.uniform((0, 0), (WIDTH, HEIGHT)), rng.uniform(0, np.pi)
        reach = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(40, 100)
        ends = [np.rint(middle + way * reach).astype(int).tolist() for way in (-1, 1)]
        cv2.line(mask, *ends, 1, width)
    image[mask > 0] = np.minimum(image[mask > 0], color)
    return mask > 0


@pytest.mark.parametrize("tone", TONES)
def test_a_drawn_lesion_is_found_on_every_tone(tone):
    for slope, contrast in itertools.product([0.0, 0.3, -0.4], [0.4, 0.75]):
        lesion = disc(0.5, 0.5, (0.25, 0.17), turn=20)
        image = with_lesion(tone, lesion, contrast, slope=slope)
        assert iou(lesion_mask(image), lesion) > 0.8
        skin = skin_mask(image)
        assert not (skin & lesion).any()
        assert skin.mean() > 0.9 * (~lesion).mean() - 0.1


@pytest.mark.parametrize("tone", TONES)
def test_a_lesion_off_centre_is_found(tone):
    for place in [(0.4, 0.3), (0.65, 0.62), (0.5, 0.7)]:
        lesion = disc(*place, (0.2, 0.15), turn=70)
        image = with_lesion(tone, lesion)
        assert iou(lesion_mask(image), lesion) > 0.8
        assert not (skin_mask(image) & lesion).any()


@pytest.mark.parametrize("name", ["darker_than_skin", "blue_otsu", "value_otsu"])
def test_every_method_finds_an_easy_lesion(name):
    lesion = disc(0.5, 0.5, (0.25, 0.17))
    assert iou(lesion_mask(with_lesion("medium", lesion), name), lesion) > 0.8


def test_the_default_method_is_the_best():
    image = with_lesion("medium", disc(0.5, 0.5, (0.2, 0.1)), slope=0.2)
    np.testing.assert_array_equal(lesion_mask(image), lesion_mask(image, "darker_than_skin"))


def test_of_two_lesions_the_central_one_is_taken():
    center, rim = disc(0.5, 0.5, (0.1, 0.1)), disc(0.2, 0.16, (0.14, 0.12))
    found = lesion_mask(with_lesion("medium", center | rim))
    assert found[center].all()
    assert not (found & rim).any()


def test_a_clearing_within_a_lesion_belongs_to_it():
    lesion, clearing = disc(0.5, 0.5, (0.25, 0.2)), disc(0.5, 0.48, (0.06, 0.06))
    found = lesion_mask(with_lesion("medium", lesion & ~clearing))
    assert found[clearing].all()
    assert iou(found, lesion) > 0.8


def test_a_lesion_reaches_as_far_as_its_soft_border():
    """Experts draw lesions generously: to about where a third of the darkness is left."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    radius = np.hypot(y - HEIGHT / 2, x - WIDTH / 2)
    image = skin_image("light") * (1 - 0.6 * np.clip((100 - radius) / 60, 0, 1))[..., None]
    found = lesion_mask(rounded(image))
    assert found[radius < 78].all()
    assert not found[radius > 108].any()


def surrounded(tone, radius, slope=0.0):
    lesion = disc(0.5, 0.5, (0.2, 0.15))
    image = with_lesion(tone, lesion, slope=slope)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    outside = np.hypot(y - HEIGHT / 2, x - WIDTH / 2) > radius * WIDTH
    image[outside] = np.random.default_rng(1).integers(2, 14, (outside.sum(), 3))
    return image, lesion, outside


@pytest.mark.parametrize("tone", TONES)
def test_a_black_surround_is_neither_lesion_nor_skin(tone):
    """Very dark skin in shade is nearly as black: it must be told apart all the same."""
    for slope, radius in itertools.product([0.0, 0.3], [0.44, 0.5]):
        image, lesion, outside = surrounded(tone, radius, slope)
        found = lesion_mask(image)
        assert iou(found, lesion) > 0.8
        for mask in (found, skin_mask(image), skin_mask(image, lesion)):
            assert not (mask & outside).any()
        corners = dark_corners(image)
        assert corners[outside].mean() > 0.999
        assert (corners & ~outside).mean() < 0.065
        assert skin_mask(image, lesion).mean() > 0.8 * (~outside & ~lesion).mean() - 0.1


@pytest.mark.parametrize("tone", TONES)
def test_a_black_surround_without_a_lesion_is_none(tone):
    image, lesion, _ = surrounded(tone, 0.47)
    image[lesion] = rounded(skin_image(tone, seed=2))[lesion]
    assert not lesion_mask(image).any()


@pytest.mark.parametrize("tone", TONES)
def test_dark_skin_and_dark_lesions_are_no_surround(tone):
    assert not dark_corners(rounded(skin_image(tone))).any()
    assert not dark_corners(np.full((30, 40, 3), 20, np.uint8)).any()
    dark = with_lesion(tone, disc(0.5, 0.5, (0.45, 0.33)), contrast=0.1)
    assert not dark_corners(dark).any()
    dark = with_lesion(tone, disc(0.5, 0.5, (0.5, 0.37)), contrast=0.1)
    dark[:10, :10] = 0
    corners = dark_corners(dark)
    assert corners[:10, :10].all()
    assert not corners[40:, 40:].any()


COLORS = [*TONES.values(), (244, 244, 244), (30, 30, 30), (0, 0, 255), (1, 1, 1)]


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (60, 80), (500, 400)], ids=str)
def test_a_plain_image_has_no_lesion_and_is_all_skin(size):
    for color in COLORS:
        image = np.full((*size, 3), color, np.uint8)
        for name in LESION_METHODS:
            assert not lesion_mask(image, name).any()
        assert not hair_mask(image).any()
        assert skin_mask(image).all()


@pytest.mark.parametrize("tone", TONES)
def test_noise_is_no_lesion_and_no_hair(tone):
    for noise in [0.5, 1.0, 4.0]:
        image = rounded(skin_image(tone, noise))
        for pixels in (image, np.ascontiguousarray(image[:150, :200])):
            assert not lesion_mask(pixels).any()
            assert skin_mask(pixels).mean() > 0.99


@pytest.mark.parametrize("tone", ["light", "dark"])
def test_drawn_hairs_are_found_and_no_skin(tone):
    """Also those that cross, which form one large component."""
    for width, n_hairs in itertools.product([1, 2, 3, 5], [3, 15]):
        image = rounded(skin_image(tone, noise=1.0))
        hairs = draw_hairs(image, n_hairs, width)
        found = hair_mask(image)
        assert found[hairs].mean() > 0.9
        assert (
            found & ~cv2.dilate(hairs.astype(np.uint8), np.ones((5, 5))).astype(bool)
        ).sum() < 30
        skin = skin_mask(image, np.zeros(hairs.shape, bool))
        assert skin[hairs].mean() < 0.06
        assert skin[~hairs].mean() > 0.6


def test_hairs_across_a_lesion_are_found():
    lesion = disc(0.5, 0.5, (0.25, 0.17))
    image = with_lesion("light", lesion, contrast=0.7, noise=1.0)
    hairs = draw_hairs(image, 12, 3)
    assert hair_mask(image)[hairs & lesion].mean() > 0.9
    assert iou(lesion_mask(image), lesion) > 0.7
    assert skin_mask(image)[hairs].mean() < 0.06


def test_a_net_of_pigment_is_hardly_taken_for_hair():
    """Winding lines, thin and thick: what a model must see of a melanoma."""
    lesion, shares = disc(0.5, 0.5, (0.2, 0.2)), []
    for seed in range(4):
        grain = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH))
        waves = cv2.GaussianBlur(grain, (0, 0), 3) - cv2.GaussianBlur(grain, (0, 0), 6)
        for width in (0.25, 0.5):
            net = rounded(skin_image("medium", noise=1.0))
            net[(np.abs(waves) < width * waves.std()) & lesion] = (110, 70, 50)
            shares.append(hair_mask(net)[lesion].mean())
    assert np.mean(shares) < 0.035


def test_dots_are_no_hair():
    image = rounded(skin_image("medium", noise=1.0))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image[(y % 20 < 6) & (x % 20 < 6)] = (60, 40, 30)
    assert not hair_mask(image).any()


@pytest.mark.parametrize("factor", [0.5, 1, 2, 4])
def test_skin_keeps_a_margin_from_the_lesion_that_scales(factor):
    lesion = disc(0.5, 0.5, (0.15, 0.15)).astype(np.uint8)
    size = (round(WIDTH * factor), round(HEIGHT * factor))
    expert = cv2.resize(lesion, size, interpolation=cv2.INTER_NEAREST) > 0
    skin = skin_mask(np.full((*expert.shape, 3), TONES["tan"], np.uint8), expert)
    distance = cv2.distanceTransform((~expert).astype(np.uint8), cv2.DIST_L2, 5) / size[0]
    assert not skin[distance < 0.0175].any()
    assert skin[distance > 0.0275].all()


def test_skin_follows_the_experts_mask_where_given():
    lesion, other = disc(0.5, 0.5, (0.2, 0.15)), disc(0.2, 0.2, (0.1, 0.1))
    image = with_lesion("medium", lesion)
    by_expert = skin_mask(image, other)
    assert not by_expert[other].any()
    assert by_expert[lesion].mean() > 0.9
    np.testing.assert_array_equal(skin_mask(image), skin_mask(image, lesion_mask(image)))
    assert not skin_mask(image, np.ones(lesion.shape, bool)).any()


def test_glare_is_no_skin():
    image = rounded(skin_image("light"))
    glare = disc(0.3, 0.3, (0.05, 0.05))
    image[glare] = 255
    skin = skin_mask(image)
    assert not skin[glare].any()
    assert skin[~glare].mean() > 0.99


def kinds_of_images(size):
    rng = np.random.default_rng(0)
    yield rng.integers(0, 256, (*size, 3), np.uint8)
    yield rng.integers(0, 2, (*size, 1), np.uint8).repeat(3, 2) * 255
    yield rng.integers(36, 44, (*size, 3), np.uint8)
    for value in (0, 39, 128, 255):
        yield np.full((*size, 3), value, np.uint8)
    cross = np.zeros((*size, 3), np.uint8)
    cross[size[0] // 2] = cross[:, size[1] // 2] = 255
    yield cross
    yield 255 - cross
    corners = np.full((*size, 3), 200, np.uint8)
    corners[[0, -1], [0, -1]] = 0
    yield corners


SIZES = [(8, 8), (1, 1), (2, 2), (3, 1000), (1000, 3), (1, 200), (400, 1), (31, 47)]


@pytest.mark.parametrize("name", FINDERS)
def test_every_image_has_a_mask_of_its_size(name):
    for size in SIZES:
        for image in kinds_of_images(size):
            before = image.copy()
            mask = FINDERS[name](image)
            assert (mask.shape, mask.dtype) == (size, bool)
            np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", FINDERS)
def test_views_give_what_copies_give(name):
    image, _, _ = surrounded("medium", 0.5)
    draw_hairs(image, 4, 2)
    views = [image[::-1], image[:, ::-1], image[..., ::-1], image[::2, ::3], image[7:-9, 11:]]
    views += [image.transpose(1, 0, 2), np.rot90(image), np.broadcast_to(image[:1], image.shape)]
    for view in views:
        np.testing.assert_array_equal(FINDERS[name](view), FINDERS[name](view.copy()))


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("kind", MASK_KINDS)
def test_a_larger_copy_has_nearly_the_same_mask(kind, factor):
    lesion = disc(0.45, 0.55, (0.2, 0.16), turn=30)
    image = with_lesion("medium", lesion, noise=0.0)
    draw_hairs(image, 6, 4)
    image = cv2.resize(image, (200, 150), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    image = rounded(image + noise)
    larger = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    found = MASK_KINDS[kind](image).repeat(factor, 0).repeat(factor, 1)
    assert found.any()
    assert iou(MASK_KINDS[kind](larger), found) > {"hair": 0.8}.get(kind, 0.97)


@pytest.mark.parametrize("size", [(600, 800), (1, 5000), (450, 300), (401, 400)], ids=str)
def test_masks_can_be_found_in_a_reduced_copy(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    small = reduced(image)
    assert max(small.shape[:2]) == 400
    assert min(small.shape[:2]) == max(1, round(min(size) * 400 / max(size)))
    assert small.mean() == pytest.approx(image.mean(), abs=2)
    half = np.zeros(small.shape[:2], bool)
    half[:, : small.shape[1] // 2] = True
    whole = enlarged(half, size)
    assert (whole.shape, whole.dtype) == (size, bool)
    assert whole.mean() == pytest.approx(half.mean(), abs=1 / small.shape[1])
    assert reduced(small) is small
    np.testing.assert_array_equal(enlarged(half, half.shape), half)


def drawn_and_found(root, names, methods):
    """IoU [image, method] of masks with those in HAM10000's folders."""
    rows = []
    for name in names:
        image = read_image(root / "images" / f"{name}.jpg")
        lesion = read_image(root / "masks" / f"{name}_segmentation.png")[..., 0] > 127
        rows.append([iou(lesion_mask(image, method), lesion) for method in methods])
    return pd.DataFrame(rows, columns=methods)


def test_lesions_of_the_drawn_data_are_found(demo):
    names = sorted(path.stem for path in (demo / "ham10000" / "images").iterdir())[::2]
    found = drawn_and_found(demo / "ham10000", names, ["darker_than_skin"])
    assert found["darker_than_skin"].mean() >= 0.75
    assert found["darker_than_skin"].quantile(0.1) >= 0.6


def test_lesions_of_real_images_are_found_best_by_the_default(real_data):
    names = sorted(path.stem for path in (real_data / "ham10000" / "images").glob("*.jpg"))
    names = names[:: max(1, len(names) // 300)]
    means = drawn_and_found(real_data / "ham10000", names, list(LESION_METHODS)).mean()
    assert len(names) >= 300
    assert means["darker_than_skin"] >= 0.72
    assert means["darker_than_skin"] > means["blue_otsu"] > means["value_otsu"]
