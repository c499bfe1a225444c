"""Steps that look into the image: hair on the demo's images, lightness, the lesion's box."""

import cv2
import numpy as np
import pytest

import preparer.draw_dermoscopy as drawing
from preparer.demo_cases import plan_cases
from preparer.draw_lesion import draw_lesion
from src.core.errors import UserError
from src.preprocess.spec import parse_preprocessing
from src.preprocess.steps import check, clahe, lesion_crop, pad_resize, remove_hair, to_lab
from src.skin.masks import lesion_mask

DEMO_SEED, N_IMAGES = 0, 50


def photographs(monkeypatch):
    """(image, its twin without dark hair, weight of the hair or None) of the demo's first images.

    All else, noise included, is the same in both.
    """
    hairs, blended = [], drawing.blended
    is_dark = np.float32([0.16, 0.10, 0.08]) / 0.16

    def without_hair(image, color, weight):
        color = np.float32(color)
        if not np.allclose(color / color[0], is_dark, atol=1e-3):
            return blended(image, color, weight)
        seen = cv2.resize(weight, (drawing.WIDTH, drawing.HEIGHT), interpolation=cv2.INTER_AREA)
        hairs.append(cv2.GaussianBlur(seen, (0, 0), 0.7))  # as the photograph is
        return image

    for case in plan_cases(DEMO_SEED, N_IMAGES).itertuples():
        pigment = draw_lesion(case.dx, np.random.default_rng([DEMO_SEED, 1, case.lesion]))
        skin = np.uint8([case.color_r, case.color_g, case.color_b])
        seed = [DEMO_SEED, 2, case.Index]
        image, _ = drawing.photograph(pigment, skin, np.random.default_rng(seed))
        hairs.clear()
        with monkeypatch.context() as patch:
            patch.setattr(drawing, "blended", without_hair)
            twin, _ = drawing.photograph(pigment, skin, np.random.default_rng(seed))
        yield image, twin, hairs[0] if hairs else None


def difference(one, other):
    return np.abs(one.astype(int) - other).mean(-1)


@pytest.mark.slow
def test_hair_of_the_demo_goes_and_the_rest_stays(monkeypatch):
    """Its error falls by 60 % in each image and 85 % over all; what is no hair moves by < 1/255.

    Of images without hair at most one in twenty is touched at all, and those by < 1/255.
    """
    before, after, outside, hairless = [], [], [], []
    for image, twin, hair in photographs(monkeypatch):
        shaved = remove_hair(image)
        if hair is None:
            hairless.append(difference(shaved, image).mean())
            continue
        on_hair = hair > 0.1
        before.append(difference(image, twin)[on_hair].mean())
        after.append(difference(shaved, twin)[on_hair].mean())
        outside.append(difference(shaved, image)[~on_hair].mean())
    assert len(before) >= 10 and min(before) > 10
    assert (np.array(after) < 0.4 * np.array(before)).all()
    assert np.mean(after) < 0.15 * np.mean(before)
    assert np.mean(outside) < 0.5 and max(outside) < 1
    assert len(hairless) >= 25 and max(hairless) < 1
    assert np.count_nonzero(hairless) <= 0.05 * len(hairless)


def test_a_pigment_network_is_no_hair():
    y, x = np.mgrid[:300, :400]
    mesh = np.minimum((x + y) % 12, (x - y) % 12) < 3
    mesh &= np.hypot(y - 150, x - 200) < 70
    image = np.full((300, 400, 3), (210, 170, 150), np.uint8)
    image[mesh] = (120, 80, 60)
    np.testing.assert_array_equal(remove_hair(image), image)


def with_line(color, start, end, image=None):
    """Skin with a round brown lesion, in whose middle (200, 150) is, and a line over it."""
    if image is None:
        image = np.full((300, 400, 3), (215, 165, 145), np.uint8)
        cv2.circle(image, (200, 150), 70, (150, 100, 75), -1)
        image = cv2.GaussianBlur(image, (0, 0), 6)
    return image, cv2.line(image.copy(), start, end, color, 3, cv2.LINE_AA)


def test_hair_is_black_and_reaches_beyond_the_lesion_vessels_and_furrows_do_not():
    black, red = (50, 35, 30), (185, 60, 60)
    ends = {
        "beside the lesion": ((20, 40), (60, 200)),
        "across it": ((60, 60), (330, 230)),
        "within it": ((170, 130), (225, 175)),
    }
    for place, (start, end) in ends.items():
        for color in (black, red):
            image, drawn = with_line(color, start, end)
            is_hair = color is black and place != "within it"
            assert (remove_hair(drawn) != drawn).any() == is_hair, (place, color)
            if is_hair:
                on_line = difference(image, drawn) > 10
                left = difference(remove_hair(drawn), image)[on_line].mean()
                assert left < 0.2 * difference(drawn, image)[on_line].mean(), place


def test_a_dark_surround_that_touches_the_edge_is_no_hair():
    """The black around a round view may be a sliver there, as thin as a hair."""
    y, x = np.mgrid[:300, :400]
    for radius in range(185, 215, 3):
        view = np.hypot(x - 200, y - 150) < radius
        image = np.where(view[..., None], (215, 165, 145), (8, 6, 8)).astype(np.uint8)
        image = cv2.GaussianBlur(image, (0, 0), 2)
        np.testing.assert_array_equal(remove_hair(image), image)


def lightness(image):
    return np.rint(to_lab(image)[..., 0] * 2.55).astype(np.uint8)


def textured(shape=(90, 120)):
    """Skin and a lesion with faint texture."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    disc = np.hypot(y - shape[0] / 2, x - shape[1] / 2) < 0.3 * shape[0]
    base = np.where(disc[..., None], (150, 105, 85), (205, 165, 145))
    noise = np.random.default_rng(0).integers(-6, 7, (*shape, 1))
    return (base + noise + 10 * np.sin(x / 25)[..., None]).astype(np.uint8)


def test_clahe_changes_lightness_and_leaves_a_and_b():
    """Rounding to 8 bits moves a* and b* by 1.5 at most, and by 0.4 on average.

    Where sRGB has no such colour, too: on the lightest skin much would become white.
    """
    image = textured()
    for options in ({}, {"clip": 4.0}, {"tiles": 3}):
        equalized = clahe(image, **options)
        moved = np.abs(to_lab(equalized) - to_lab(image)).reshape(-1, 3)
        assert moved[:, 0].mean() > 2
        assert moved[:, 1:].max() <= 1.5 and moved[:, 1:].mean() <= 0.4
    dark = textured() // 4 + 60
    detail = [np.abs(np.diff(to_lab(clahe(dark, clip=clip))[..., 0])).mean() for clip in (1, 3, 9)]
    assert np.abs(np.diff(to_lab(dark)[..., 0])).mean() <= detail[0] < detail[1] < detail[2]


def test_clahe_in_one_tile_is_the_clipped_histogram_equalization():
    """Bins cut at clip x their mean, what was cut spread over all, then the cumulated shares."""
    grey = np.repeat(textured((64, 64))[..., :1], 3, axis=2)
    values, clip = lightness(grey), 3.0
    counts = np.bincount(values.ravel(), minlength=256)
    limit = int(clip * values.size / 256)
    excess = np.maximum(counts - limit, 0).sum()
    counts = np.minimum(counts, limit) + excess // 256
    rest = excess % 256
    if rest:
        step = max(256 // rest, 1)
        counts[: step * rest : step][:rest] += 1
    wanted = np.rint(counts.cumsum() * 255 / values.size)[values]
    found = to_lab(clahe(grey, clip=clip, tiles=1))[..., 0] * 2.55
    assert np.abs(found - wanted).max() <= 1.6  # of 255: both are rounded to 8 bits on the way


def test_impossible_options_of_clahe_and_lesion_crop_are_refused():
    wrong = {
        "clahe": {"clip": [0, -1, 101, "2"], "tiles": [0, 65, 2.0, True]},
        "lesion_crop": {"margin": [-0.1, 11, None]},
    }
    for name, options in wrong.items():
        for option, values in options.items():
            for value in values:
                with pytest.raises(UserError, match=f"{name}: {option}"):
                    check(name, {option: value})


def with_lesion(shape=(240, 320), centre=(100, 180), radii=(30, 45)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    lesion = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
    image = np.full((*shape, 3), (215.0, 175.0, 150.0))
    image[lesion] = (110, 70, 60)
    noise = np.random.default_rng(1).normal(0, 2, image.shape)
    return np.rint(image + noise).astype(np.uint8), lesion


def test_lesion_crop_is_the_box_of_the_lesion_and_its_margin():
    image, lesion = with_lesion()
    tight = lesion_crop(image, margin=0.0)
    top, left = np.argwhere(lesion_mask(image)).min(0)
    height, width = tight.shape[:2]
    np.testing.assert_array_equal(tight, image[top : top + height, left : left + width])
    assert 60 <= height <= 75 and 90 <= width <= 105  # the lesion has 60 x 90 pixels
    assert lesion[top : top + height, left : left + width].sum() == lesion.sum()
    reach = round(0.5 * width)
    wide = lesion_crop(image, margin=0.5)
    np.testing.assert_array_equal(
        wide, image[top - reach : top + height + reach, left - reach : left + width + reach]
    )
    np.testing.assert_array_equal(lesion_crop(image, margin=10.0), image)


def test_without_a_lesion_lesion_crop_keeps_the_whole():
    plain = with_lesion(radii=(1e-3, 1e-3))[0]
    assert not lesion_mask(plain).any()
    assert lesion_crop(plain) is plain


def test_a_crop_wants_a_size_after_it_and_none_is_known_before():
    for text in ("lesion_crop", "resize | lesion_crop", "resize || lesion_crop"):
        with pytest.raises(UserError, match="size after lesion_crop, such as resize"):
            parse_preprocessing(text, 32)
    spec = parse_preprocessing(
        "resize(size=64) | lesion_crop || resize | normalize(stats='half')", 32
    )
    assert spec.prepared_size is None
    assert spec.output_size == (32, 32)
    spec = parse_preprocessing(
        "lesion_crop(margin=0.1) | pad_resize || normalize(stats='half')", 32
    )
    assert spec.prepared_size == (32, 32)
    assert spec(with_lesion()[0]).shape == (3, 32, 32)


def test_padding_keeps_the_ratio_of_the_sides_exactly_where_whole_pixels_can():
    rng = np.random.default_rng(0)
    for _ in range(200):
        short, long, size = rng.integers(1, 40), rng.integers(40, 60), 60 * int(rng.integers(1, 4))
        height, width = (short, long) if rng.random() < 0.5 else (long, short)
        image = np.full((height * 2, width * 2, 3), 200, np.uint8)
        content = pad_resize(image, height=size, width=size)[..., 0] == 200
        rows, columns = content.any(1).sum(), content.any(0).sum()
        assert max(rows, columns) == size
        exact = size * short / long
        assert abs(min(rows, columns) - exact) <= 0.5
        if exact == round(exact):
            assert rows * width == columns * height
