"""The typology angle against its definition, and the one table of tone groups."""

import math

import numpy as np
import pytest

from src.preprocess.steps import to_lab
from src.skin_tone import GROUP_NAMES, TONE_GROUPS, UNKNOWN_GROUP, ita_from_lab, tone_group


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


def test_the_table_of_groups_goes_from_light_to_dark_and_covers_all_angles():
    bounds = [bound for _, bound in TONE_GROUPS]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == -math.inf
    assert GROUP_NAMES == ("Very light", "Light", "Intermediate", "Tan")
    assert UNKNOWN_GROUP not in range(len(GROUP_NAMES))
