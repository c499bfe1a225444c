"""The preprocessing steps against closed forms and independent arithmetic."""

import itertools

import cv2
import numpy as np
import pytest

from src.core.errors import UserError
from src.core.registry import Call
from src.preprocess.steps import (
    STATISTICS,
    STEPS,
    TRAITS,
    Kind,
    center_crop,
    check,
    lesion_crop,
    normalize,
    pad_resize,
    remove_hair,
    resize,
    segment_out_skin,
    shades_of_grey,
    to_lab,
)
from src.skin.domains import DERMOSCOPY, DOMAINS, find_domain
from src.skin.masks import hair_mask, lesion_mask
from tests.skin.test_photographs import SKINS, photograph

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (48, 64, 3), np.uint8)
WRITTEN = {"normalize": {"stats": "half"}}  # options of the steps that have no default
GEOMETRIC = [name for name in STEPS.names() if TRAITS[name].kind is Kind.MOVES]
SHAPES = [(48, 64), (64, 48), (32, 32), (33, 31), (1, 1), (1, 100), (100, 1), (31, 70)]


def expand(name, options, input_size):
    return TRAITS[name].expand(options, input_size)


def options_of(name):
    return expand(name, WRITTEN.get(name, {}), 32)


@pytest.mark.parametrize("name", STEPS.names())
def test_every_step_takes_uint8_and_gives_three_channels_without_touching_its_input(name):
    for shape in SHAPES:
        image = RNG.integers(0, 256, (*shape, 3), np.uint8)
        before = image.copy()
        options = options_of(name)
        check(name, options)
        result = STEPS[name](image, **options)
        assert result.ndim == 3
        assert result.shape[2] == 3
        assert result.dtype == (np.float32 if TRAITS[name].kind.gives_float else np.uint8)
        assert np.isfinite(result).all()
        wanted = (options.get("height", shape[0]), options.get("width", shape[1]))
        is_part = TRAITS[name].kind is Kind.CROPS and result.shape[:2] <= shape
        assert result.shape[:2] == wanted or is_part
        np.testing.assert_array_equal(image, before)
        np.testing.assert_array_equal(STEPS[name](image, **options), result)


@pytest.mark.parametrize("name", STEPS.names())
def test_every_step_says_what_it_gives_and_takes_an_image_alone_from_the_program(name):
    assert STEPS[name].__doc__
    assert STEPS.context_names(str(Call(name, options_of(name)))) == ["image"]


@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometric_steps_keep_uint8_and_float32(name):
    options = {"height": 20, "width": 30}
    assert STEPS[name](NOISE, **options).dtype == np.uint8
    assert STEPS[name](NOISE.astype(np.float32), **options).dtype == np.float32


@pytest.mark.parametrize("name", GEOMETRIC)
def test_an_image_that_has_the_size_already_stays_as_it_is(name):
    np.testing.assert_array_equal(STEPS[name](NOISE, height=48, width=64), NOISE)


def test_a_constant_image_stays_constant():
    for size in [(24, 32), (13, 7), (96, 128), (100, 20), (20, 100), (1, 1)]:
        colour = (17, 130, 251)
        image = np.full((48, 64, 3), colour, np.uint8)
        height, width = size
        resized = resize(image, height=height, width=width)
        np.testing.assert_array_equal(resized, np.full((*size, 3), colour, np.uint8))


def test_shrinking_a_checkerboard_gives_its_mean():
    board = np.indices((32, 64)).sum(0) % 2 * 254
    image = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    np.testing.assert_array_equal(resize(image, height=16, width=32), np.full((16, 32, 3), 127))


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_shrinking_by_a_whole_factor_averages_blocks(factor):
    image = RNG.integers(0, 256, (6 * factor, 10 * factor, 3), np.uint8)
    blocks = image.reshape(6, factor, 10, factor, 3).astype(float).mean((1, 3))
    assert np.abs(resize(image, height=6, width=10) - blocks).max() <= 0.5 + 1e-4


def test_shrinking_by_a_broken_factor_weighs_pixels_by_their_area():
    row = np.array([0, 60, 240], np.float32)
    image = np.repeat(np.repeat(row[None, :, None], 3, 0), 3, 2)
    shrunk = resize(image, height=3, width=2)
    np.testing.assert_allclose(shrunk[0, :, 0], [(0 + 30) / 1.5, (30 + 240) / 1.5], rtol=1e-5)


def test_enlarging_is_bilinear_between_pixel_centres():
    image = RNG.uniform(0, 1, (5, 7, 3)).astype(np.float32)
    height, width = 15, 14
    y = np.clip((np.arange(height) + 0.5) * 5 / height - 0.5, 0, 4)
    x = np.clip((np.arange(width) + 0.5) * 7 / width - 0.5, 0, 6)
    y0, x0 = np.minimum(y.astype(int), 3), np.minimum(x.astype(int), 5)
    wy, wx = (y - y0)[:, None, None], (x - x0)[None, :, None]
    rows = image[y0] * (1 - wy) + image[y0 + 1] * wy
    expected = rows[:, x0] * (1 - wx) + rows[:, x0 + 1] * wx
    np.testing.assert_allclose(resize(image, height=height, width=width), expected, atol=1e-5)


def test_pad_resize_keeps_proportions_and_centres():
    for shape, size, inner in [
        ((100, 50), (64, 64), (64, 32)),
        ((50, 100), (64, 64), (32, 64)),
        ((10, 20), (64, 64), (32, 64)),
        ((64, 64), (64, 64), (64, 64)),
        ((60, 60), (32, 80), (32, 32)),
        ((100, 33), (64, 64), (64, 21)),
        ((1, 1000), (64, 64), (1, 64)),
        ((1000, 1), (64, 32), (64, 1)),
        ((450, 600), (224, 224), (168, 224)),
    ]:
        image = np.full((*shape, 3), 200, np.uint8)
        padded = pad_resize(image, height=size[0], width=size[1], value=7)
        content = (padded == 200).all(-1)
        assert ((padded == 200) | (padded == 7)).all()
        rows, columns = np.flatnonzero(content.any(1)), np.flatnonzero(content.any(0))
        assert (len(rows), len(columns)) == inner
        assert content.sum() == inner[0] * inner[1]
        above, below = rows[0], size[0] - 1 - rows[-1]
        left, right = columns[0], size[1] - 1 - columns[-1]
        assert 0 <= below - above <= 1
        assert 0 <= right - left <= 1


def test_pad_resize_scales_as_resize_does_and_pads_with_black():
    padded = pad_resize(NOISE, height=32, width=32)
    np.testing.assert_array_equal(padded[4:28], resize(NOISE, height=24, width=32))
    assert (padded[:4] == 0).all()
    assert (padded[28:] == 0).all()


def test_center_crop_of_a_larger_image_is_its_centre():
    np.testing.assert_array_equal(center_crop(NOISE, height=20, width=30), NOISE[14:34, 17:47])
    np.testing.assert_array_equal(center_crop(NOISE, height=21, width=64), NOISE[13:34])


def test_center_crop_of_a_smaller_image_is_centred_on_black():
    framed = center_crop(NOISE, height=60, width=80)
    np.testing.assert_array_equal(framed[6:54, 8:72], NOISE)
    framed[6:54, 8:72] = 0
    assert (framed == 0).all()


def test_center_crop_crops_one_side_and_frames_the_other():
    mixed = center_crop(NOISE, height=20, width=80)
    np.testing.assert_array_equal(mixed[:, 8:72], NOISE[14:34])
    assert (mixed[:, :8] == 0).all()
    assert (mixed[:, 72:] == 0).all()


def test_lab_of_known_colours():
    for rgb, lab in [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0.0, 0.0)),
    ]:
        found = to_lab(np.array([[rgb]], np.uint8))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[0, 0], lab, atol=0.2)


def lab_in_float64(rgb):
    """CIE 1976 L*a*b* (D65, 2 degrees) of sRGB in 0..255, from the definitions."""
    c = rgb / 255.0
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750]]
    matrix.append([0.0193339, 0.1191920, 0.9503041])
    t = linear @ np.transpose(matrix) / [0.95047, 1.0, 1.08883]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def test_lab_of_any_colour_follows_the_definition():
    """OpenCV interpolates in tables: its error stays well below what an eye can tell (1)."""
    np.testing.assert_allclose(to_lab(NOISE), lab_in_float64(NOISE), atol=0.5)


@pytest.mark.parametrize("stats", STATISTICS)
def test_normalize_follows_its_formula(stats):
    mean, std = (np.array(STATISTICS[stats][name]) for name in ("mean", "std"))
    from_uint8 = normalize(NOISE, **STATISTICS[stats])
    np.testing.assert_allclose(from_uint8, (NOISE / 255.0 - mean) / std, atol=2e-6)
    floats = RNG.uniform(-100, 100, (9, 8, 3)).astype(np.float32)
    from_float = normalize(floats, **STATISTICS[stats])
    np.testing.assert_allclose(
        from_float, (floats.astype(float) - mean) / std, rtol=1e-5, atol=1e-4
    )
    assert from_uint8.dtype == from_float.dtype == np.float32


def test_normalize_treats_each_channel_by_its_own_constants():
    image = np.full((2, 2, 3), 51, np.uint8)
    result = normalize(image, mean=(0.2, 0.0, 1.0), std=(1.0, 0.5, 2.0))
    np.testing.assert_allclose(result[0, 0], [0.0, 0.4, -0.4], atol=1e-6)


def skin_with_lesion(contrast=0.5, shape=(150, 200)):
    """Skin, and on it, where the second array is true, a round lesion."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    lesion = np.hypot(y - shape[0] / 2, x - shape[1] / 2) < 0.25 * shape[0]
    image = np.full((*shape, 3), (220.0, 175.0, 150.0))
    image[lesion] *= contrast
    return np.rint(image + RNG.normal(0, 2, image.shape)).astype(np.uint8), lesion


def test_an_image_without_hair_stays_to_the_bit():
    image, _ = skin_with_lesion()
    np.testing.assert_array_equal(remove_hair(image), image)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_hair_is_painted_over_from_beside_it_and_nothing_else(factor):
    image, _ = skin_with_lesion(shape=(150 * factor, 200 * factor))
    hairs = np.zeros(image.shape[:2], np.uint8)
    for ends in (((10, 8), (120, 24)), ((150, 5), (170, 130)), ((20, 140), (90, 80))):
        start, end = (tuple(factor * value for value in point) for point in ends)
        cv2.line(hairs, start, end, 1, 2 * factor)
    bare, image = image.copy(), np.where(hairs[..., None] > 0, np.uint8(25), image)
    shaved = remove_hair(image)
    assert shaved.dtype == np.uint8
    error = np.abs(shaved.astype(int) - bare)[hairs > 0]
    assert (error < 20).mean() > 0.97
    far = cv2.dilate(hairs, np.ones((6 * factor + 1, 6 * factor + 1))) == 0
    np.testing.assert_array_equal(shaved[far], image[far])
    assert hair_mask(image).any()
    assert not hair_mask(shaved).any()


@pytest.mark.parametrize("value", [0, 7, 255])
def test_segmenting_out_skin_leaves_the_lesion_on_a_plain_value(value):
    image, lesion = skin_with_lesion()
    alone = segment_out_skin(image, value=value)
    found = lesion_mask(image)
    assert alone.dtype == np.uint8
    assert found[lesion].all()
    np.testing.assert_array_equal(alone[found], image[found])
    assert (alone[~found] == value).all()
    assert (found & ~lesion).sum() < 0.3 * lesion.sum()


def test_lesions_are_found_as_in_the_images_domain():
    """A drawn photograph: its mole is small, and beside it are a ruler, cloth and ink."""
    image, _ = photograph(SKINS["light"])
    found = {name: lesion_mask(image, domain=name) for name in DOMAINS}
    assert (found["clinical"] != found["dermoscopy"]).any()
    for name, lesion in found.items():
        alone = segment_out_skin(image, domain=name)
        np.testing.assert_array_equal((alone != 0).any(axis=2), lesion & (image != 0).any(axis=2))
        box = cv2.boundingRect(lesion.astype(np.uint8))[:1:-1]
        assert lesion_crop(image, margin=0.0, domain=name).shape[:2] == box
    of_its_kind = segment_out_skin(image, domain=find_domain(image))
    np.testing.assert_array_equal(segment_out_skin(image, domain="auto"), of_its_kind)
    np.testing.assert_array_equal(
        segment_out_skin(image), segment_out_skin(image, domain=DERMOSCOPY)
    )
    with pytest.raises(UserError, match=r"domain is 'xray'.*'auto' or 'dermoscopy' or 'clinical'"):
        check("segment_out_skin", {"value": 0, "domain": "xray"})


def test_without_a_lesion_nothing_is_segmented_out():
    image, _ = skin_with_lesion(contrast=1.0)
    assert not lesion_mask(image).any()
    np.testing.assert_array_equal(segment_out_skin(image, value=9), image)


def minkowski(image, norm):
    return ((image / 255.0) ** norm).mean((0, 1)) ** (1 / norm)


@pytest.mark.parametrize("norm", [1.0, 2.0, 6.0, 20.0])
def test_shades_of_grey_makes_the_minkowski_means_equal(norm):
    image = (RNG.uniform(20, 110, (40, 50, 3)) * (1.4, 1.0, 0.6)).astype(np.uint8)
    before, after = minkowski(image, norm), minkowski(shades_of_grey(image, norm=norm), norm)
    assert np.ptp(before) > 0.1
    assert np.ptp(after) < 0.004
    assert np.linalg.norm(after) == pytest.approx(np.linalg.norm(before), abs=0.004)


def test_the_grey_world_is_one_gain_per_channel():
    """norm 1: each channel times the quadratic mean of the channels' means over its own mean."""
    image = np.stack([np.full((4, 6), v) for v in (40, 80, 160)], -1).astype(np.uint8)
    image[:2] //= 2
    means = image.mean((0, 1))
    expected = np.rint(image * np.sqrt((means**2).mean()) / means)
    np.testing.assert_array_equal(shades_of_grey(image, norm=1.0), expected)
    # 30, 60, 120 have the quadratic mean 30 * sqrt(7), which each channel gets
    assert shades_of_grey(image, norm=1.0)[3, 0].tolist() == [106, 106, 106]


@pytest.mark.parametrize("norm", [1.0, 6.0])
def test_shades_of_grey_by_its_formula_with_clipping(norm):
    tinted = (NOISE * (1.0, 0.5, 0.2)).astype(np.uint8)
    tinted[0, :4] = 255
    light = minkowski(tinted, norm)
    wanted = np.rint(tinted * (np.linalg.norm(light) / np.sqrt(3) / light))
    assert (wanted > 300).any()
    np.testing.assert_array_equal(shades_of_grey(tinted, norm=norm), wanted.clip(0, 255))
    if norm == 6:
        np.testing.assert_array_equal(shades_of_grey(tinted), wanted.clip(0, 255))


@pytest.mark.parametrize("norm", [1.0, 6.0, 100.0])
def test_shades_of_grey_leaves_grey_and_black_images(norm):
    grey = RNG.integers(0, 256, (20, 30, 1), np.uint8).repeat(3, 2)
    for image in (grey, np.zeros_like(grey), np.full_like(grey, 255), np.full_like(grey, 1)):
        np.testing.assert_array_equal(shades_of_grey(image, norm=norm), image)
    red = np.zeros_like(grey)
    red[..., 0] = 90
    balanced = shades_of_grey(red, norm=norm)
    assert (balanced[..., 0] == round(90 / np.sqrt(3))).all()
    assert (balanced[..., 1:] == 0).all()


def test_impossible_norms_are_refused():
    for norm in [0, 0.99, -1, 100.5, 10**400, float("nan"), float("inf")]:
        check("shades_of_grey", {"norm": 1})
        check("shades_of_grey", {"norm": 100.0})
        with pytest.raises(UserError, match="shades_of_grey: norm"):
            check("shades_of_grey", {"norm": norm})


def test_the_moving_and_cropping_steps_are_those_that_change_where_a_pixel_lies():
    image, _ = skin_with_lesion()
    for name in STEPS.names():
        moves = STEPS[name](image, **options_of(name)).shape != image.shape
        assert moves == (TRAITS[name].kind in (Kind.MOVES, Kind.CROPS)), name


@pytest.mark.parametrize("name", GEOMETRIC)
def test_short_forms_of_a_size_are_written_out(name):
    assert expand(name, {}, 99) == {"height": 99, "width": 99}
    assert expand(name, {"size": 64}, 99) == {"height": 64, "width": 64}
    assert expand(name, {"height": 48}, 99) == {"height": 48, "width": 99}
    given = {"size": 64, "width": 32}
    assert expand(name, given, 99) == {"height": 64, "width": 32}
    assert given == {"size": 64, "width": 32}


def test_short_forms_of_statistics_are_written_out():
    for name, constants in STATISTICS.items():
        assert expand("normalize", {"stats": name}, 99) == constants
    assert expand("normalize", {"stats": "train"}, 99) == {"stats": "train"}
    assert expand("to_lab", {}, 99) == {}


def test_unknown_statistics_are_refused():
    for stats in ["imagnet", 1, None, [1], ("half",), True]:
        with pytest.raises(UserError, match="expected one of imagenet, half, pretrained, train"):
            expand("normalize", {"stats": stats}, 99)


@pytest.mark.parametrize("stats", ["train", "half"])
def test_statistics_beside_constants_are_refused(stats):
    with pytest.raises(UserError, match="not both"):
        expand("normalize", {"stats": stats, "mean": (0.0, 0.0, 0.0)}, 99)


def test_impossible_sizes_are_refused():
    for side, value in itertools.product(
        ["height", "width"], [0, -1, 8193, 10**30, 1.0, True, None, "32", (1,)]
    ):
        with pytest.raises(UserError, match=f"resize: {side}"):
            check("resize", {"height": 8192, "width": 1, side: value})


@pytest.mark.parametrize("name", ["pad_resize", "segment_out_skin"])
def test_impossible_padding_is_refused(name):
    for value in [-1, 256, 10**30]:
        check(name, {"value": 0})
        check(name, {"value": 255})
        with pytest.raises(UserError, match=f"{name}: value"):
            check(name, {"value": value})


NOT_THREE_NUMBERS = [(1, 1), (1, 1, 1, 1), 1.0, "111", (1, 1, True), (1, 1, "1"), (1, 1, None)]


def test_constants_that_are_not_a_number_per_channel_are_refused():
    for constant, value in itertools.product(
        ["mean", "std"], [*NOT_THREE_NUMBERS, (1, 1, float("inf")), (1, 1, 10**400), (1, 1, 1e7)]
    ):
        with pytest.raises(UserError, match=f"normalize: {constant}"):
            check("normalize", {constant: value})


def test_a_deviation_near_zero_is_refused():
    for std in [0, -1.0, 1e-7, 1e-320]:
        check("normalize", {"mean": (0, -1.0, 1e-320), "std": (1, 2.5, 1e-6)})
        with pytest.raises(UserError, match="normalize: std"):
            check("normalize", {"std": (1.0, std, 1.0)})


def test_nan_is_refused():
    for constant, place in itertools.product(["mean", "std"], [0, 1, 2]):
        values = [1.0, 1.0, 1.0]
        values[place] = float("nan")
        with pytest.raises(UserError):
            check("normalize", {constant: tuple(values)})
