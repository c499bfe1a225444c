"""Clinical photographs, drawn: what is skin there, what its lesion, and what light it is in."""

import cv2
import numpy as np
import pytest

from src.skin.domains import CLINICAL, DERMOSCOPY, domain_of, find_domain, signs
from src.skin.masks import lesion_mask, skin_mask
from src.skin.photographs import look_at, relit, white_gain
from src.skin.tone import estimate_tone, ita_from_rgb

SKINS = {"light": (222, 186, 160), "tan": (176, 128, 96), "dark": (104, 70, 52)}
CLOTH = (80, 120, 170)


def photograph(skin, ruler=True, pen=True, brightness=1.0):
    """An arm before cloth, with a mole in a circle of ink, and a ruler: (image, masks)."""
    image = np.full((300, 400, 3), CLOTH, np.uint8)
    parts = {name: np.zeros((300, 400), np.uint8) for name in ("arm", "mole", "ink", "ruler")}
    cv2.rectangle(parts["arm"], (0, 70), (399, 299), 1, -1)
    cv2.circle(parts["mole"], (190, 140), 14, 1, -1)
    cv2.circle(parts["ink"], (190, 140), 32, 1, 4 if pen else -1)
    cv2.rectangle(parts["ruler"], (180, 210), (390, 245), 1, -1)
    parts = {name: part.astype(bool) for name, part in parts.items()}
    parts["ink"] &= pen
    parts["ruler"] &= ruler
    for name, color in (
        *(("arm", skin), ("mole", np.multiply(skin, 0.4)), ("ink", (90, 60, 140))),
        ("ruler", (231, 231, 231)),  # relative luminance 0.8
    ):
        image[parts[name]] = color
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return relit(image, brightness), parts


@pytest.mark.parametrize("tone", SKINS)
def test_cloth_ruler_ink_and_mole_are_no_skin(tone):
    image, parts = photograph(SKINS[tone])
    skin = skin_mask(image, domain=CLINICAL)
    for name in ("mole", "ink", "ruler"):
        assert not (skin & parts[name]).any(), name
    assert not (skin & ~parts["arm"]).any()
    whole = parts["arm"] & ~parts["mole"] & ~parts["ink"] & ~parts["ruler"]
    assert look_at(image).skin.sum() > 0.85 * whole.sum()


@pytest.mark.parametrize("tone", SKINS)
def test_the_mole_is_the_lesion(tone):
    image, parts = photograph(SKINS[tone])
    found = lesion_mask(image, "spot_on_skin")
    assert (found & parts["mole"]).sum() > 0.6 * (found | parts["mole"]).sum()


@pytest.mark.parametrize("tone", SKINS)
def test_a_ruler_sets_the_brightness(tone):
    expected = ita_from_rgb(SKINS[tone])
    for brightness in (0.4, 0.8, 1.1):
        image, parts = photograph(SKINS[tone], brightness=brightness)
        seen = look_at(image)
        assert (seen.white & parts["ruler"]).sum() > 0.8 * (seen.white | parts["ruler"]).sum()
        gain = white_gain(image, seen.white)
        assert gain == pytest.approx(1 / brightness, rel=0.05)
        skin = skin_mask(image, domain=CLINICAL)
        tone_of = [estimate_tone(i, skin, domain=CLINICAL).ita for i in (image, relit(image, gain))]
        assert tone_of[1] == pytest.approx(expected, abs=3)
        assert abs(tone_of[0] - expected) > 3 or brightness > 0.7


def test_without_anything_white_the_light_is_left_alone():
    image, _ = photograph(SKINS["tan"], ruler=False)
    assert not look_at(image).white.any()


def test_shade_on_one_side_is_left_out():
    image, _ = photograph(SKINS["light"], ruler=False)
    shade = np.where(np.arange(400) > 330, 0.45, 1.0)[None, :, None]
    image = np.rint(image * shade).astype(np.uint8)
    tone = estimate_tone(image, skin_mask(image, domain=CLINICAL), domain=CLINICAL)
    assert tone.valid
    assert tone.ita == pytest.approx(ita_from_rgb(SKINS["light"]), abs=3)


def test_kinds_are_told_apart_at_any_size_and_when_turned(demo):
    drawn, _ = photograph(SKINS["light"])
    paths = sorted((demo / "ham10000").rglob("*.jpg"))[:20]
    dermoscopic = [cv2.imread(str(path))[..., ::-1].copy() for path in paths]
    for image, domain in ((drawn, CLINICAL), *((image, DERMOSCOPY) for image in dermoscopic)):
        assert find_domain(image) == domain
        assert find_domain(cv2.resize(image, (800, 600))) == domain
        assert find_domain(np.rot90(image)) == domain
        assert domain_of(image, "auto") == domain
    assert domain_of(drawn, DERMOSCOPY) == DERMOSCOPY


@pytest.mark.parametrize("value", [0, 128, 255])
def test_plain_images_have_finite_signs_and_masks(value):
    for shape in ((8, 8), (1, 9), (60, 400)):
        image = np.full((*shape, 3), value, np.uint8)
        assert np.isfinite(list(signs(image).values())).all()
        assert find_domain(image) in (CLINICAL, DERMOSCOPY)
        assert all(mask.shape == shape for mask in look_at(image))
        assert lesion_mask(image, "spot_on_skin").shape == shape
