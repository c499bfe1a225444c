"""The typology angle against its definition, and the one table of tone groups."""

import math

import numpy as np
import pandas as pd
import pytest

from src.preprocess.steps import to_lab
from src.skin_tone import (
    GROUP_NAMES,
    ITA_METHODS,
    TONE_CATEGORIES,
    UNKNOWN_GROUP,
    ita_from_lab,
    ita_from_rgb,
    ita_opencv8,
    lab_from_rgb,
    tone_category,
    tone_group,
)


@pytest.mark.parametrize(
    ("lab", "angle"),
    [
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
    ],
)
def test_the_angle_is_defined_for_every_colour(lab, angle):
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


@pytest.mark.parametrize(
    ("rgb", "low", "high", "group"),
    [
        ((60, 40, 30), -75, -65, "Tan"),
        ((90, 60, 45), -70, -30, "Tan"),
        ((255, 224, 210), 55, 90, "Very light"),
        ((224, 172, 140), 41, 55, "Light"),
    ],
)
def test_angles_of_skin_colours_have_the_sign_of_their_lightness(rgb, low, high, group):
    """Brown (60, 40, 30) has L* 18: unsigned 8-bit arithmetic would make its angle positive."""
    ita = ita_from_lab(to_lab(np.array([[rgb]], np.uint8)))[0, 0]
    assert low < ita < high
    assert GROUP_NAMES[tone_group(ita)] == group


@pytest.mark.parametrize(
    ("ita", "group"),
    [
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
    ],
)
def test_a_bound_belongs_to_the_darker_group(ita, group):
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
    assert GROUP_NAMES == ("Very light", "Light", "Intermediate", "Tan")
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
