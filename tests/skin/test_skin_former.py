"""Skin-former: the skin reaches its angle, the lesion stays, nothing wraps around or breaks."""

import cv2
import numpy as np
import pandas as pd
import pytest

from src.preprocess.image import read_image
from src.skin.color import lab_from_rgb, rgb_from_lab
from src.skin.masks import hair_mask, skin_mask
from src.skin.skin_former import darken_skin, inner_lesion
from src.skin.tone import estimate_tone, ita_from_lab, ita_from_rgb, tone_group

SHAPE = (60, 100)
NONE, ALL = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
LEFT = NONE.copy()
LEFT[:, :40] = True
LIGHT = [(236, 200, 180), (250, 222, 200), (240, 195, 160), (225, 180, 150)]
TARGETS = [30.0, 19.0, 5.0, -10.0, -45.0, -60.0]


def flat(rgb, shape=SHAPE):
    return np.full((*shape, 3), rgb, np.uint8)


def textured(rgb, seed=0):
    noise = np.random.default_rng(seed).normal(0, 6, (*SHAPE, 1))
    return np.rint((rgb + noise).clip(0, 255)).astype(np.uint8)


def distant(lesion):
    """Skin of an image of `SHAPE` that is well away from the lesion's right edge."""
    skin = ~lesion
    skin[:, :50] = False
    return skin


@pytest.mark.parametrize("rgb", LIGHT, ids=str)
def test_flat_skin_gets_the_angle(rgb):
    for target in TARGETS:
        before = flat(rgb)
        image = before.copy()
        darker = darken_skin(image, NONE, ALL, target)
        assert (darker.shape, darker.dtype) == (image.shape, np.uint8)
        assert ita_from_rgb(darker[0, 0]) == pytest.approx(target, abs=1)
        tone = estimate_tone(darker, ALL)
        assert (tone.valid, tone.group) == (True, tone_group(ita_from_rgb(darker[0, 0])))
        np.testing.assert_array_equal(darker, flat(darker[0, 0]))
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("target", [25.0, 5.0, -10.0, -30.0, -50.0, -60.0])
def test_every_light_skin_gets_a_plausible_colour_at_any_angle(target):
    """Rounding to 8 bits moves the angle by up to 2 degrees where b* is least."""
    colors = [
        (lightness, a, b) for lightness in (68, 78, 88) for a in (3, 12, 22) for b in (7, 16, 28)
    ]
    kept = 0
    for lab in colors:
        rgb = np.rint(rgb_from_lab(lab))
        if np.abs(lab_from_rgb(rgb) - lab).max() > 1:  # beyond sRGB
            continue
        tone = estimate_tone(darken_skin(flat(rgb), NONE, ALL, target), ALL)
        assert tone.valid, (lab, tone)
        assert tone.ita == pytest.approx(target, abs=2)
        assert lab_from_rgb(tone.color)[1] == pytest.approx(lab[1], abs=1)
        kept += 1
    assert kept > 15


@pytest.mark.parametrize(("b", "wanted"), [(6.0, 10.0), (10.5, 10.5), (16.0, 16.0), (30.0, 25.0)])
def test_yellow_is_kept_as_far_as_it_is_plausible(b, wanted):
    """b* of tanned skin, and its L* by the definition of the angle."""
    darker = darken_skin(flat(np.rint(rgb_from_lab((75.0, 10.0, b)))), NONE, ALL, 10.0)
    lightness, a, after = lab_from_rgb(darker[0, 0])
    assert after == pytest.approx(wanted, abs=0.5)
    assert a == pytest.approx(10, abs=0.5)
    assert lightness == pytest.approx(50 + wanted * np.tan(np.radians(10)), abs=0.5)


@pytest.mark.parametrize("target", [19.0, -10.0])
def test_textured_skin_gets_the_angle_and_keeps_its_texture(target):
    image = textured((236, 200, 180))
    darker = darken_skin(image, NONE, ALL, target)
    assert estimate_tone(darker, ALL).ita == pytest.approx(target, abs=2)
    before, after = (pixels.astype(float).sum(-1).ravel() for pixels in (image, darker))
    assert np.corrcoef(before, after)[0, 1] > 0.98
    assert after.std() > 0.4 * before.std()


def depth_in(lesion):
    """How far inside the lesion each pixel is, as a share of the longer side."""
    return cv2.distanceTransform(lesion.astype(np.uint8), cv2.DIST_L2, 5) / max(lesion.shape)


@pytest.mark.parametrize("rgb", LIGHT, ids=str)
def test_the_lesion_stays_to_the_bit(rgb):
    """Deeper than the rim whatever it shows, and up to its edge where it is dark."""
    image = textured(rgb)
    image[LEFT] = np.random.default_rng(1).integers(0, 256, (LEFT.sum(), 3))
    darker = darken_skin(image, LEFT, distant(LEFT), 0.0)
    deep = inner_lesion(LEFT)
    np.testing.assert_array_equal(deep, depth_in(LEFT) >= 0.04)
    np.testing.assert_array_equal(darker[deep], image[deep])
    assert (darker[~LEFT].astype(int).sum(-1) < image[~LEFT].astype(int).sum(-1)).mean() > 0.95
    image[LEFT] = (90, 50, 40)
    darker = darken_skin(image, LEFT, distant(LEFT), 0.0)
    dark = depth_in(LEFT) > 0.02
    np.testing.assert_array_equal(darker[dark], image[dark])


def test_skin_under_a_generous_mask_is_darkened_too():
    """The mask is 6 pixels wider than the lesion all around; no ring of light skin stays."""
    image = flat((236, 200, 180), (300, 400))
    y, x = np.mgrid[:300, :400]
    radius = np.hypot(y - 140, x - 220)
    image[radius < 54] = (90, 50, 40)
    skin = radius > 100
    darker = darken_skin(image, radius < 60, skin, -10.0).astype(int)
    ring = (radius > 57) & (radius < 100)
    far = darker[0, 0]
    assert np.abs(darker[ring] - far).max() <= 4
    assert (darker.max(axis=(0, 1)) <= far).all(), "nothing is lighter than the darker skin"


def test_on_drawn_images_the_skin_beside_the_lesion_changes_as_that_farther_out(demo):
    """Of the mean angle, 0 to 4 % of the longer side outside the mask against 6 to 10 %."""
    differences, lighter = [], []
    for name in pd.read_csv(demo / "ham10000" / "HAM10000_metadata.csv")["image_id"][::8]:
        image = read_image(demo / "ham10000" / "images" / f"{name}.jpg")
        lesion = read_image(demo / "ham10000" / "masks" / f"{name}_segmentation.png")[..., 0] > 127
        skin = skin_mask(image, lesion)
        darker = darken_skin(image, lesion, skin, 0.0)
        if darker is None:
            continue
        distance, clear = depth_in(~lesion), ~hair_mask(image)
        before, after = lab_from_rgb(image), lab_from_rgb(darker)
        change = ita_from_lab(after) - ita_from_lab(before)
        near = clear & (distance > 0) & (distance <= 0.04)
        far = clear & (distance > 0.06) & (distance <= 0.1)
        differences.append(np.median(change[near]) - np.median(change[far]))
        rim = clear & (depth_in(lesion) <= 0.01) & (distance <= 0.01)
        ring = [np.mean(lab[rim][:, 0]) - np.median(lab[far][:, 0]) for lab in (before, after)]
        lighter.append(ring[1])
    assert len(differences) >= 20
    assert abs(np.mean(differences)) <= 3
    assert np.mean(lighter) < 0, "the edge of the lesion is no lighter than the skin"


def test_a_round_lesion_has_no_hard_edge_anywhere():
    image = flat((236, 200, 180), (300, 400))
    y, x = np.mgrid[:300, :400]
    lesion = np.hypot(y - 140, x - 220) < 60
    darker = darken_skin(image, lesion, ~lesion, -10.0).astype(float)
    step = (236 - darker[0, 0, 0]) / 6
    for axis in (0, 1):
        assert np.abs(np.diff(darker[..., 0], axis=axis)).max() <= 1.5 * step + 1
    assert (darker[~lesion] <= image[~lesion]).all()


@pytest.mark.parametrize(
    ("rgb", "target"),
    [((236, 200, 180), -10.0), ((236, 200, 180), 40.0), ((178, 138, 75), 13.0)],
    ids=str,
)
def test_nothing_wraps_around(rgb, target):
    """Each channel of the result rises with that of the image; the last skin gains blue."""
    image = flat(rgb, (60, 256))
    image[:4] = np.arange(256)[:, None]
    skin = np.ones(image.shape[:2], bool)
    skin[:4] = False
    darker = darken_skin(image, ~skin & False, skin, target).astype(int)
    ramp = darker[0]
    assert (np.diff(ramp, axis=0) >= 0).all()
    assert (ramp[0] == 0).all()
    assert (ramp[255] > 80).all()
    red, green, blue = (darker[-1, 0] > rgb).tolist()
    assert not red
    assert not green
    assert blue == (rgb[2] == 75)
    if blue:
        assert ramp[255, 2] == 255


@pytest.mark.parametrize("rgb", [(236, 200, 180), (150, 105, 80), (60, 40, 30)], ids=str)
def test_skin_that_is_as_dark_already_stays(rgb):
    ita = estimate_tone(flat(rgb), ALL).ita
    assert darken_skin(flat(rgb), NONE, ALL, ita) is None
    assert darken_skin(flat(rgb), NONE, ALL, ita + 0.5) is None
    if ita > -50:
        assert darken_skin(flat(rgb), NONE, ALL, ita - 5) is not None


def test_an_image_without_a_valid_tone_stays():
    for rgb, skin in [
        ((236, 200, 180), NONE),
        ((236, 200, 180), np.eye(*SHAPE, dtype=bool)),
        ((200, 180, 200), ALL),
        ((250, 250, 250), ALL),
        ((60, 200, 60), ALL),
    ]:
        assert darken_skin(flat(rgb), NONE, skin, -10.0) is None


def test_an_image_that_is_all_lesion_stays():
    assert darken_skin(flat((236, 200, 180)), ALL, NONE, -10.0) is None


def test_views_give_what_copies_give():
    image = textured((236, 200, 180))
    for change in (lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a[::2, ::3]):
        view, lesion = change(image), change(LEFT)
        found = darken_skin(view, lesion, ~lesion, 0.0)
        np.testing.assert_array_equal(found, darken_skin(view.copy(), lesion.copy(), ~lesion, 0.0))


@pytest.mark.parametrize("target", [19.0, 0.0, -10.0, -45.0])
def test_the_skin_of_drawn_images_gets_the_angle(demo, target):
    table = pd.read_csv(demo / "ham10000" / "HAM10000_metadata.csv")
    errors = []
    for name in table["image_id"][::8]:
        image = read_image(demo / "ham10000" / "images" / f"{name}.jpg")
        lesion = read_image(demo / "ham10000" / "masks" / f"{name}_segmentation.png")[..., 0] > 127
        skin = skin_mask(image, lesion)
        darker = darken_skin(image, lesion, skin, target)
        if darker is None:
            assert estimate_tone(image, skin).ita <= target
            continue
        deep = inner_lesion(lesion)
        np.testing.assert_array_equal(darker[deep], image[deep])
        tone = estimate_tone(darker, skin_mask(darker, lesion))
        assert tone.valid
        errors.append(abs(tone.ita - target))
    assert len(errors) >= 20
    assert np.median(errors) <= 1
    assert np.max(errors) <= 4
