"""The typology angle against its definition, the table of tone groups, an image's tone."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from skimage.color import rgb2lab
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info, threadpool_limits

from src.preprocess.image import read_image
from src.preprocess.steps import to_lab
from src.skin.color import lab_from_rgb, linear_from_srgb, rgb_from_lab, srgb_from_linear
from src.skin.domains import DOMAINS
from src.skin.masks import skin_mask
from src.skin.tone import (
    COLOR_CAST,
    GROUP_NAMES,
    IMPLAUSIBLE_COLOR,
    ITA_METHODS,
    RED_SKIN,
    SKIN_COLORS,
    TONE_CATEGORIES,
    TOO_LITTLE_SKIN,
    UNEVEN,
    UNKNOWN_GROUP,
    VIGNETTE,
    dominant_color,
    estimate_tone,
    ita_from_lab,
    ita_from_rgb,
    ita_opencv8,
    tone_category,
    tone_group,
)

SKINS = [(236, 200, 180), (200, 150, 120), (150, 105, 80), (90, 60, 45), (60, 40, 30)]
ALL = np.ones((60, 80), bool)


def test_the_angle_is_defined_for_every_colour():
    for lab, angle in [
        ((60.0, 5.0, 10.0), 45.0),
        ((40.0, 5.0, 10.0), -45.0),
        ((50.0, 5.0, 10.0), 0.0),
        ((60.0, 5.0, 10.0 * math.sqrt(3)), 30.0),
        ((60.0, 5.0, 0.0), 90.0),
        ((40.0, 5.0, 0.0), -90.0),
        ((60.0, 5.0, 1e-300), 90.0),
        ((60.0, 5.0, -10.0), 135.0),
        ((40.0, 5.0, -10.0), -135.0),
        ((50.0, 5.0, -10.0), 180.0),
        ((50.0, 5.0, 0.0), 0.0),
    ]:
        assert ita_from_lab(lab) == pytest.approx(angle, abs=1e-12)


def test_the_angle_is_chardons_formula_where_that_is_defined():
    rng = np.random.default_rng(0)
    lab = np.stack(
        [rng.uniform(0, 100, 500), rng.uniform(-50, 50, 500), rng.uniform(1, 60, 500)], 1
    )
    formula = np.arctan((lab[:, 0] - 50) / lab[:, 2]) * 180 / np.pi
    np.testing.assert_allclose(ita_from_lab(lab), formula, atol=1e-10)


def test_the_angle_ignores_a_and_keeps_the_shape():
    lab = np.random.default_rng(0).uniform(1, 99, (4, 5, 3))
    other = lab.copy()
    other[..., 1] *= -3
    assert ita_from_lab(lab).shape == (4, 5)
    np.testing.assert_array_equal(ita_from_lab(lab), ita_from_lab(other))
    assert np.isnan(ita_from_lab((math.nan, 0, 10)))


def test_angles_of_skin_colours_have_the_sign_of_their_lightness():
    """Brown (60, 40, 30) has L* 18: unsigned 8-bit arithmetic would make its angle positive."""
    for rgb, low, high, group in [
        ((60, 40, 30), -75, -65, "Tan and darker"),
        ((90, 60, 45), -70, -30, "Tan and darker"),
        ((255, 224, 210), 55, 90, "Very light"),
        ((224, 172, 140), 41, 55, "Light"),
    ]:
        ita = ita_from_lab(to_lab(np.array([[rgb]], np.uint8)))[0, 0]
        assert low < ita < high
        assert GROUP_NAMES[tone_group(ita)] == group


def test_a_bound_belongs_to_the_darker_group():
    for ita, group in [
        (180.0, 0),
        (90.0, 0),
        (np.nextafter(55.0, 90), 0),
        (55.0, 1),
        (np.nextafter(41.0, 90), 1),
        (41.0, 2),
        (np.nextafter(28.0, 90), 2),
        (28.0, 3),
        (10.0, 3),
        (0.0, 3),
        (-30.0, 3),
        (-180.0, 3),
        (math.inf, 0),
        (-math.inf, 3),
        (math.nan, -1),
    ]:
        assert tone_group(ita) == group


def test_groups_of_an_array_keep_its_shape_and_are_int64():
    ita = np.array([[60, 50, 30], [0, math.nan, 55]])
    groups = tone_group(ita)
    np.testing.assert_array_equal(groups, [[0, 1, 2], [3, UNKNOWN_GROUP, 1]])
    assert groups.dtype == np.int64
    assert tone_group([]).shape == (0,)


def test_the_table_goes_from_light_to_dark_and_covers_all_angles():
    bounds = [category.above for category in TONE_CATEGORIES]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == -math.inf
    assert [c.group for c in TONE_CATEGORIES] == sorted(c.group for c in TONE_CATEGORIES)
    assert {c.group for c in TONE_CATEGORIES} == {*range(len(GROUP_NAMES))}
    assert GROUP_NAMES == ("Very light", "Light", "Intermediate", "Tan and darker")
    assert UNKNOWN_GROUP not in range(len(GROUP_NAMES))


def test_chardons_categories_are_as_published():
    lower = {category.chardon: category.above for category in TONE_CATEGORIES}
    assert lower == {
        "Very light": 55,
        "Light": 41,
        "Intermediate": 28,
        "Tan": 10,
        "Brown": -30,
        "Dark": -math.inf,
    }


def test_lab_is_that_of_the_textbook():
    """Published CIE L*a*b* (D65) of sRGB primaries and greys."""
    known = {
        (255, 255, 255): (100.0, 0.0, 0.0),
        (0, 0, 0): (0.0, 0.0, 0.0),
        (255, 0, 0): (53.2408, 80.0925, 67.2032),
        (0, 255, 0): (87.7347, -86.1827, 83.1793),
        (0, 0, 255): (32.2970, 79.1875, -107.8602),
        (119, 119, 119): (50.0344, 0.0, 0.0),
    }
    found = lab_from_rgb(np.array(list(known), np.uint8))
    np.testing.assert_allclose(found, list(known.values()), atol=0.02)


def scalar_ita(rgb) -> float:
    """The angle of one colour, written out from the definitions with exact CIE constants."""
    linear = []
    for value in rgb:
        c = int(value) / 255
        linear.append(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
    r, g, b = linear
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883

    def f(t):
        return t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116

    return math.degrees(math.atan2(116 * f(y) - 16 - 50, 200 * (f(y) - f(z))))


def test_angles_of_10000_colours_are_those_of_the_definition():
    colors = np.random.default_rng(0).integers(0, 256, (10_000, 3), dtype=np.uint8)
    error = ita_from_rgb(colors) - [scalar_ita(color) for color in colors]
    error = (error + 180) % 360 - 180
    assert np.abs(error).max() < 1e-6


def test_brown_skin_is_dark_and_was_light_to_earlier_work():
    brown = np.array([60, 40, 30], np.uint8)
    assert ita_from_rgb(brown) == pytest.approx(-72, abs=1)
    assert ita_opencv8(brown) == pytest.approx(61, abs=1)


@pytest.mark.parametrize("method", ITA_METHODS)
def test_methods_keep_the_shape(method):
    colors = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    angles = ITA_METHODS[method](colors)
    assert angles.shape == (4, 5)
    assert angles[1, 2] == pytest.approx(float(ITA_METHODS[method](colors[1, 2])))


def test_published_angles_are_those_of_opencv8_and_most_categories_move(real_data):
    table = pd.read_csv(real_data / "isic2020" / "ISIC_2020_full.csv", sep=";", decimal=",")
    colors = table[["color_r", "color_g", "color_b"]].to_numpy(np.uint8)
    assert len(table) == 32_701
    assert np.abs(ita_opencv8(colors) - table["ita"]).max() < 1e-6
    np.testing.assert_array_equal(tone_group(table["ita"]), table["group"])
    fitzpatrick = [TONE_CATEGORIES[i].fitzpatrick for i in tone_category(table["ita"])]
    assert fitzpatrick == table["fitzpatrick"].astype(str).tolist()
    chardon = [TONE_CATEGORIES[i].chardon for i in tone_category(ita_from_rgb(colors))]
    assert (chardon != table["group_str_org"]).mean() == pytest.approx(0.84, abs=0.005)


def test_angles_of_10000_colours_are_those_of_an_independent_library():
    """scikit-image writes the sRGB matrix with six digits, which moves L*a*b* by up to 0.005.

    Within 1 of the point (L* 50, b* 0), where no angle is defined, that is a fraction of a degree.
    """
    colors = np.random.default_rng(0).integers(0, 256, (10_000, 3), dtype=np.uint8)
    other = rgb2lab(colors)
    np.testing.assert_allclose(lab_from_rgb(colors), other, atol=0.01)
    error = ita_from_rgb(colors) - np.degrees(np.arctan2(other[:, 0] - 50, other[:, 2]))
    error = np.abs((error + 180) % 360 - 180)
    defined = np.hypot(other[:, 0] - 50, other[:, 2]) > 1
    assert defined.mean() > 0.999
    assert error[defined].max() <= 0.1
    assert error.max() <= 1


def test_angles_are_continuous_across_180_degrees():
    """Bluish colours just above and below L* 50 are a few degrees apart, not 360."""
    above, below = ita_from_lab([(50.5, 0, -20), (49.5, 0, -20)])
    assert above == pytest.approx(180 - math.degrees(math.atan(0.5 / 20)))
    assert below == -above


def test_linear_light_follows_iec_61966():
    assert linear_from_srgb(0) == 0
    assert linear_from_srgb(255) == pytest.approx(1)
    assert linear_from_srgb(10) == pytest.approx(10 / 255 / 12.92)
    assert linear_from_srgb(188) == pytest.approx(0.5029, abs=1e-4)
    samples = np.linspace(0, 255, 2001)
    np.testing.assert_allclose(srgb_from_linear(linear_from_srgb(samples)), samples, atol=1e-9)
    np.testing.assert_allclose(srgb_from_linear([-0.5, 0.0, 1.0, 7.0]), [0, 0, 255, 255])


def test_lab_inverts():
    greys = np.repeat(np.arange(256)[:, None], 3, 1)
    colors = np.random.default_rng(1).uniform(0, 255, (20, 500, 3))
    for rgb in (greys, colors):
        np.testing.assert_allclose(rgb_from_lab(lab_from_rgb(rgb)), rgb, atol=1e-6)


@pytest.mark.parametrize(
    ("lab", "rgb"),
    [
        ((150, 0, 0), (255, 255, 255)),
        ((-10, 0, 0), (0, 0, 0)),
        ((53, 150, 130), (255, 0, 0)),
        ((40, 70, 90), (200, 0, 0)),
    ],
)
def test_colours_beyond_srgb_are_clipped(lab, rgb):
    found = rgb_from_lab(lab)
    assert 0 <= found.min() <= found.max() <= 255
    np.testing.assert_allclose(found, rgb, atol=1)


def flat(rgb, shape=(60, 80)):
    return np.full((*shape, 3), rgb, np.uint8)


def textured(lab, spread, seed=0, shape=(60, 80)):
    """Skin of a median colour whose L* is normal with a standard deviation of `spread`."""
    rng = np.random.default_rng(seed)
    pixels = np.tile(np.asarray(lab, float), (*shape, 1))
    pixels[..., 0] += rng.normal(0, spread, shape)
    return np.rint(rgb_from_lab(pixels)).astype(np.uint8)


@pytest.mark.parametrize("color", SKIN_COLORS)
@pytest.mark.parametrize("method", ITA_METHODS)
def test_flat_skin_gives_its_own_colour_and_angle(method, color):
    for rgb in SKINS:
        tone = estimate_tone(flat(rgb), ALL, method, color)
        angle = float(ITA_METHODS[method](np.array(rgb, np.uint8)))
        assert tone.color == rgb
        assert tone.ita == pytest.approx(angle, abs=1e-6)
        assert tone.ita_spread == pytest.approx(0, abs=1e-6)
        assert (tone.valid, tone.reason, tone.group) == (True, "", tone_group(angle))
        assert all(type(value) is int for value in (*tone.color, tone.group))
        assert (type(tone.ita), type(tone.valid)) == (float, bool)


def test_dark_skin_is_valid_and_dark():
    for rgb, ita in (((60, 40, 30), -72), ((90, 60, 45), -56), ((96, 66, 50), -50)):
        tone = estimate_tone(flat(rgb), ALL)
        assert tone.ita == pytest.approx(ita, abs=3)
        assert (tone.valid, tone.group) == (True, 3)
    assert estimate_tone(flat((60, 40, 30)), ALL, "opencv8").group == 0


def test_only_skin_counts():
    image = flat((10, 200, 10))
    image[10:40, 20:50] = (200, 150, 120)
    skin = (image == (200, 150, 120)).all(-1)
    assert estimate_tone(image, skin) == estimate_tone(flat((200, 150, 120)), ALL)


@pytest.mark.parametrize("color", SKIN_COLORS)
def test_three_outliers_in_ten_hardly_move_the_estimate(color):
    for outlier in [(35, 22, 18), (110, 60, 50), (245, 240, 235)]:
        image = textured((68, 12, 16), 1.0)
        clean = estimate_tone(image, ALL, color=color)
        image[np.random.default_rng(1).random(ALL.shape) < 0.3] = outlier
        tone = estimate_tone(image, ALL, color=color)
        assert clean.ita == pytest.approx(math.degrees(math.atan2(18, 16)), abs=0.5)
        assert tone.ita == pytest.approx(clean.ita, abs=2)
        assert tone.valid
        mean = ita_from_rgb(image.reshape(-1, 3).mean(0))
        assert abs(mean - clean.ita) > 4


def test_the_spread_is_a_robust_standard_deviation():
    """That of the angles of a normal L*, by its quantiles; rounding to 8 bits adds a little."""
    for lightness, spread in itertools.product([38.0, 65.0], [3.0, 5.0]):
        tone = estimate_tone(
            textured((lightness, 10, 18.0), spread, shape=(120, 160)), np.ones((120, 160), bool)
        )
        quantiles = lightness + spread * norm.ppf((np.arange(2000) + 0.5) / 2000)
        angles = np.degrees(np.arctan((quantiles - 50) / 18.0))
        expected = np.median(np.abs(angles - np.median(angles))) / norm.ppf(0.75)
        assert tone.ita_spread == pytest.approx(expected, rel=0.06)
        by_derivative = np.degrees(18.0 / (18.0**2 + (lightness - 50) ** 2)) * spread
        assert expected == pytest.approx(by_derivative, rel=0.05)


def test_the_spread_across_180_degrees_is_small():
    image = flat(np.rint(rgb_from_lab((52.0, 10, -20))))
    image[::2] = np.rint(rgb_from_lab((48.0, 10, -20)))
    angles = ita_from_rgb(image[:2, 0])
    assert angles.min() < -170
    assert angles.max() > 170
    tone = estimate_tone(image, ALL)
    assert 5 < tone.ita_spread < 12
    assert (tone.valid, tone.group) == (False, UNKNOWN_GROUP)


@pytest.mark.parametrize("color", SKIN_COLORS)
@pytest.mark.parametrize("method", ITA_METHODS)
def test_an_image_without_skin_has_no_angle(method, color):
    tone = estimate_tone(flat((200, 150, 120)), ~ALL, method, color)
    assert math.isnan(tone.ita)
    assert math.isnan(tone.ita_spread)
    assert tone[2:] == (False, TOO_LITTLE_SKIN, None, UNKNOWN_GROUP, False)


def test_a_twentieth_of_the_image_is_enough_skin():
    image, skin = flat((200, 150, 120)), ~ALL
    skin[:3] = True
    assert estimate_tone(image, skin).valid
    skin[0, 0] = False
    tone = estimate_tone(image, skin)
    assert (tone.valid, tone.reason, tone.group) == (False, TOO_LITTLE_SKIN, UNKNOWN_GROUP)
    assert tone.ita == pytest.approx(float(ita_from_rgb((200, 150, 120))))
    assert tone.color == (200, 150, 120)


@pytest.mark.parametrize("method", ITA_METHODS)
def test_colours_that_are_no_skin_are_invalid_for_their_reason(method):
    """Evaluated in CIELAB whatever the method; 8 bits hold each colour within 0.4."""
    for lab, reason in [
        ((16, 10, 12), ""),
        ((9, 8, 10), IMPLAUSIBLE_COLOR),
        ((91, 2, 8), ""),
        ((93, 2, 6), IMPLAUSIBLE_COLOR),
        ((65, -1, 20), ""),
        ((65, -3, 20), IMPLAUSIBLE_COLOR),
        ((60, 39, 20), ""),
        ((60, 41, 20), IMPLAUSIBLE_COLOR),
        ((65, 15, 39), ""),
        ((65, 15, 41), IMPLAUSIBLE_COLOR),
        ((65, 12, 5.5), ""),
        ((65, 12, 4.5), COLOR_CAST),
        ((65, 12, -20), COLOR_CAST),
        ((30, 60, -80), IMPLAUSIBLE_COLOR),
    ]:
        rgb = np.rint(rgb_from_lab(lab))
        np.testing.assert_allclose(lab_from_rgb(rgb), lab, atol=0.5)
        tone = estimate_tone(flat(rgb), ALL, method)
        assert (tone.valid, tone.reason) == (not reason, reason)
        assert (tone.group == UNKNOWN_GROUP) == bool(reason)


def lit(fall_off, shape=(60, 80)):
    """Skin whose L* falls by about `fall_off` between the medians of its inner and outer half."""
    y, x = (2 * (np.arange(n) + 0.5) / n - 1 for n in shape)
    radius = np.add.outer(y * y, x * x)
    halves = [np.median(radius[radius < np.median(radius)]), np.median(radius)]
    halves[1] = np.median(radius[radius >= halves[1]])
    pixels = np.tile(np.array((65.0, 12.0, 18.0)), (*shape, 1))
    pixels[..., 0] -= fall_off * radius / np.subtract(*halves[::-1])
    return np.rint(rgb_from_lab(pixels)).astype(np.uint8)


def test_a_vignette_is_invalid():
    """Also around a lesion, and where the skin is much larger than the sample that is taken."""
    for around, fall_off in itertools.product([False, True], [0, 5.3, 6.7, 12, -5.3, -6.7]):
        image = lit(fall_off, (240, 320))
        skin = np.ones(image.shape[:2], bool)
        if around:
            skin[90:150, 120:200] = False
            image[~skin] = (60, 30, 20)
        tone = estimate_tone(image, skin)
        assert tone.reason == (VIGNETTE if abs(fall_off) > 6 else "")


def test_light_from_one_side_is_no_vignette():
    pixels = np.tile(np.array((65.0, 12.0, 18.0)), (60, 80, 1))
    pixels[..., 0] += np.linspace(-8, 8, 80)
    assert estimate_tone(np.rint(rgb_from_lab(pixels)).astype(np.uint8), ALL).valid


def test_the_dominant_colour_is_that_of_the_largest_cluster():
    """The median of each channel would fall into the gap between the two colours."""
    rng = np.random.default_rng(0)
    small, large = np.array((40.0, 14.0, 14.0)), np.array((70.0, 10.0, 17.0))
    centers = np.where(rng.random((3000, 1)) < 0.35, small, large)
    found = dominant_color(centers + rng.normal(0, 0.8, centers.shape))
    np.testing.assert_allclose(found, large, atol=0.6)
    assert np.abs(centers.mean(0) - large)[0] > 8


def test_kmeans_and_median_part_where_much_skin_lies_in_shade():
    image = textured((70, 12, 17), 1.0)
    clean = estimate_tone(image, ALL).ita
    shade = np.random.default_rng(1).random(ALL.shape) < 0.42
    image[shade] = textured((55, 12, 17), 1.0, seed=2)[shade]
    assert estimate_tone(image, ALL, color="kmeans").ita == pytest.approx(clean, abs=0.5)
    assert estimate_tone(image, ALL, color="median").ita < clean - 1


def test_the_dominant_colour_of_few_colours_is_among_them():
    for n_colors in [1, 2, 3, 4, 7, 8, 20]:
        rng = np.random.default_rng(n_colors)
        colors = np.column_stack([rng.uniform(*bounds, n_colors) for bounds in ((20, 90), (5, 20))])
        colors = np.column_stack([colors, np.full(n_colors, 15.0)])
        found = dominant_color(colors[rng.integers(0, n_colors, 500)])
        assert np.isfinite(found).all()
        assert (colors.min(0) - 1e-6 <= found).all()
        assert (found <= colors.max(0) + 1e-6).all()


def test_kmeans_works_on_a_few_pixels():
    image, skin = flat((200, 150, 120), (4, 5)), np.zeros((4, 5), bool)
    for n_pixels, place in enumerate([(0, 0), (1, 1), (2, 2)], 1):
        skin[place] = True
        image[place] = (200 + n_pixels, 150, 120)
        tone = estimate_tone(image, skin, color="kmeans")
        assert tone.valid == (n_pixels / 20 >= 0.05)
        assert 200 <= tone.color[0] <= 204


def test_kmeans_gives_the_same_on_any_number_of_threads():
    image = textured((60, 12, 16), 4.0)
    image[:20] = textured((40, 15, 12), 3.0, seed=1)[:20]
    found = []
    for n_threads in (1, 2, 4, None):
        with threadpool_limits(n_threads):
            found.append(estimate_tone(image, ALL, color="kmeans"))
    assert found == [found[0]] * 4


def test_kmeans_keeps_to_one_thread(monkeypatch):
    """On a thousand pixels more threads only wait for each other: fifty times slower."""
    n_threads = set()

    class Watched(KMeans):
        def fit(self, *arguments):
            n_threads.update(pool["num_threads"] for pool in threadpool_info())
            return super().fit(*arguments)

    monkeypatch.setattr("sklearn.cluster.KMeans", Watched)
    with threadpool_limits(3):
        dominant_color(lab_from_rgb(textured((60, 12, 16), 4.0)).reshape(-1, 3))
    assert n_threads == {1}


@pytest.mark.parametrize("color", SKIN_COLORS)
@pytest.mark.parametrize("method", ITA_METHODS)
def test_any_image_gives_numbers_and_one_verdict(method, color):
    rng = np.random.default_rng(0)
    for seed in range(12):
        shape = tuple(rng.integers(1, 40, 2))
        base = rng.integers(0, 256, 3)
        image = (base + rng.normal(0, rng.uniform(0, 40), (*shape, 3))).clip(0, 255)
        skin = rng.random(shape) < rng.random() ** 2
        skin.flat[seed % skin.size] = True
        tone = estimate_tone(image.astype(np.uint8), skin, method, color)
        assert -180 < tone.ita <= 180
        assert 0 <= tone.ita_spread <= 1.4826 * 180
        assert tone.valid == (tone.reason == "")
        assert tone.group == (tone_group(tone.ita) if tone.valid else UNKNOWN_GROUP)
        assert all(0 <= value <= 255 for value in tone.color)


def test_the_drawn_skin_is_found_again(demo):
    table = pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";", decimal=",")[::2]
    images = [read_image(demo / "ham10000" / "images" / name) for name in table["image_name"]]
    found = pd.DataFrame([estimate_tone(image, skin_mask(image)) for image in images])
    assert found["valid"].mean() >= 0.9
    assert np.median(np.abs(found["ita"] - table["ita"].to_numpy())) <= 2
    right = (found["group"].to_numpy() == table["group"])[found["valid"].to_numpy()]
    assert right.mean() >= 0.95
    dark = table["group"].to_numpy() == 3
    assert found["valid"][dark].mean() >= 0.9


def test_a_spread_that_crosses_a_bound_is_uncertain_and_a_wide_one_is_invalid():
    image = flat(rgb_from_lab((50 + 20 * math.tan(math.radians(48)), 12, 20)))
    certain = estimate_tone(image, ALL)
    assert (certain.valid, certain.uncertain) == (True, False)
    for noise, valid, uncertain in ((16, True, True), (90, False, False)):
        change = np.random.default_rng(0).normal(0, noise, image.shape[:2])[..., None]
        tone = estimate_tone(np.clip(image + change, 0, 255).astype(np.uint8), ALL)
        assert (tone.valid, tone.uncertain) == (valid, uncertain), tone
    assert tone.reason == UNEVEN


def test_what_is_plausible_depends_on_the_domain():
    cases = {RED_SKIN: rgb_from_lab((60, 30, 15)), "": rgb_from_lab((60, 20, 45))}
    for reason, color in cases.items():
        tones = [estimate_tone(flat(color), ALL, domain=domain) for domain in DOMAINS]
        assert tones[1].reason == reason
        assert tones[0].reason == ("" if reason else IMPLAUSIBLE_COLOR)
