"""Masks of lesion, hair and skin: bool [height, width] of RGB uint8 images, found at small size."""

from collections.abc import Callable
from functools import reduce

import cv2
import numpy as np

from .domains import CLINICAL, DERMOSCOPY, domain_of
from .photographs import Photograph, look_at
from .shapes import (
    HAIR_SIDE,
    LESION_SIDE,
    at_side,
    dilate,
    ellipse,
    fill_holes,
    fit_surface,
    heaviest_component,
    otsu_threshold,
    squared_radius,
)

BY_DOMAIN = "by_domain"
_BLUE_AND_GREEN = np.array([0.0, 0.4, 0.6], np.float32)  # where melanin and blood absorb most
_ALL_CHANNELS = np.full(3, 1 / 3, np.float32)
_NEAR_BLACK = 40  # mean of the channels
_FAINTEST = 2.0  # of `_BLUE_AND_GREEN`, that a lesion is darker than skin; noise stays below
# Of Otsu's threshold; experts draw lesions generously, so below it. Chosen on HAM10000 and PH2.
_FIRST_GUESS, _SMALL_LESION = 0.6, 0.95
# The lesion of a photograph: widest, share of the darkest spot that belongs to it, and least.
_WIDEST_SPOT, _SPOT, _FAINTEST_SPOT = 61, 0.4, 8.0
_GLARE = 245  # of the darkest channel


def lesion_mask(image: np.ndarray, method: str = BY_DOMAIN, domain: str = DERMOSCOPY) -> np.ndarray:
    """True on the lesion by the `method` of that name in `LESION_METHODS`.

    `BY_DOMAIN` is that of the image's `domain` (or `AUTO`) in `DEFAULT_METHODS`. These give all
    False where there is nothing to set apart from the skin; Otsu's threshold, which the others
    take, always finds something.
    """
    if method == BY_DOMAIN:
        method = DEFAULT_METHODS[domain_of(image, domain)]
    return at_side(image, LESION_SIDE, LESION_METHODS[method])


def hair_mask(image: np.ndarray) -> np.ndarray:
    """True on dark hair: long thin components of the black-hat transform (DullRazor's idea)."""
    return at_side(image, HAIR_SIDE, _hair)


def skin_mask(
    image: np.ndarray, lesion: np.ndarray | None = None, domain: str = DERMOSCOPY
) -> np.ndarray:
    """True on skin: outside of the lesion with a margin, of hair, dark corners and glare.

    `lesion` [height, width] bool is that of an expert; without it `lesion_mask` finds one. Of a
    `CLINICAL` photograph it is the evenly lit part of the skin (`photographs.look_at`); `domain`
    may be `AUTO`.
    """
    if domain_of(image, domain) == CLINICAL:
        return skin_of_photograph(image, look_at(image), lesion)
    lesion = lesion_mask(image) if lesion is None else lesion
    return _clear(image, lesion) & ~dark_corners(image)


def skin_of_photograph(
    image: np.ndarray, photograph: Photograph, lesion: np.ndarray | None = None
) -> np.ndarray:
    """True on the skin of a photograph that was looked at; a lesion's colour is not skin's."""
    return photograph.lit_skin & _clear(image, ~photograph.skin if lesion is None else lesion)


def _clear(image: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """True outside of the lesion with a margin, of hair and of glare."""
    margin = max(1.0, max(image.shape[:2]) * 4 / LESION_SIDE)
    near_lesion = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, 5) <= margin
    hair = dilate(hair_mask(image), 3)
    darkest_channel = cv2.min(cv2.min(image[..., 0], image[..., 1]), image[..., 2])
    return ~near_lesion & ~hair & (darkest_channel < _GLARE)


def dark_corners(image: np.ndarray) -> np.ndarray:
    """True on the black surround of a round field of view, with a margin."""
    return at_side(image, LESION_SIDE, _dark_corners)


def darker_than_skin(image: np.ndarray) -> np.ndarray:
    """The darkest central region, against a background of skin fitted to the image.

    The border gives a first guess of the skin's brightness and with it a first lesion; the second
    is against a quadratic surface fitted to what lies well outside the first (uneven light).
    """
    smooth = cv2.medianBlur(image, 5)
    in_view = ~_dark_corners(smooth)
    brightness = smooth.astype(np.float32) @ _BLUE_AND_GREEN
    radius = squared_radius(image.shape[:2])
    border = in_view & (radius > 0.8)
    border = border if border.any() else in_view
    darkness = fit_surface(brightness, border, n_terms=3) - brightness
    # above the middle: a lesion that fills the view covers much of the border
    darkness -= np.quantile(darkness[border], 0.25)
    score, otsu = _central_darkness(darkness, in_view, radius)
    lesion = _darkest_region(score, _FIRST_GUESS * otsu, in_view, radius)
    outside = in_view & ~dilate(lesion, 15)
    if np.count_nonzero(outside) > 0.05 * outside.size:
        darkness += fit_surface(-darkness, outside)
        score, otsu = _central_darkness(darkness, in_view, radius)
        lesion = _darkest_region(score, _FIRST_GUESS * otsu, in_view, radius)
    # Otsu's threshold cuts into large lesions, whose dark parts are much of what it sees
    factor = max(_SMALL_LESION - lesion.mean(), 0.3)
    return dilate(fill_holes(_darkest_region(score, factor * otsu, in_view, radius)), 3)


def blue_otsu(image: np.ndarray) -> np.ndarray:
    """Otsu's threshold on the smoothed blue channel, then the most central component."""
    blue = cv2.GaussianBlur(image[..., 2], (5, 5), 0)
    dark = blue <= otsu_threshold(blue)
    weight = np.exp(-1.5 * squared_radius(image.shape[:2]))
    return fill_holes(heaviest_component(dark, weight))


def value_otsu(image: np.ndarray) -> np.ndarray:
    """The recipe of earlier work: what is not bright skin, hair included.

    CLAHE on lightness, hair blackened where the black-hat transform finds it, Otsu on HSV's value,
    morphology.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lab[..., 0])
    even = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    kernel = cv2.getStructuringElement(cv2.MORPH_CROSS, (9, 9))
    hat = cv2.morphologyEx(cv2.cvtColor(even, cv2.COLOR_RGB2GRAY), cv2.MORPH_BLACKHAT, kernel)
    hair = cv2.GaussianBlur(hat, (3, 3), 0) > 20
    even[hair] = 0
    value = cv2.GaussianBlur(cv2.cvtColor(even, cv2.COLOR_RGB2HSV)[..., 2], (5, 5), 0)
    dark = (value <= otsu_threshold(value)).astype(np.uint8)
    opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, ellipse(3), iterations=5)
    grown = cv2.dilate(opened, ellipse(3), iterations=5)
    closed = cv2.morphologyEx(grown, cv2.MORPH_CLOSE, ellipse(3), iterations=5)
    return closed.astype(bool) | hair


def spot_on_skin(image: np.ndarray) -> np.ndarray:
    """The lesion of a photograph: the darkest central spot on the skin found.

    What a pen has drawn is no part of it, nor is what lies beside the skin.
    """
    photograph = look_at(image)
    skin = photograph.skin
    if not skin.any():
        return skin
    # a ruler casts a shadow
    on_skin = fill_holes(skin) & ~dilate(photograph.white, 11) & ~photograph.by_pen
    brightness = cv2.medianBlur(image, 5).astype(np.float32) @ _BLUE_AND_GREEN * on_skin
    # dark against all sides within reach: shade is dark against one
    darkness = cv2.morphologyEx(brightness, cv2.MORPH_BLACKHAT, ellipse(_WIDEST_SPOT))
    darkness = cv2.GaussianBlur(darkness, (0, 0), 1.0) * on_skin
    central = darkness * np.exp(-squared_radius(skin.shape))
    threshold = max(_SPOT * float(central.max()), _FAINTEST_SPOT)
    spot = heaviest_component(darkness > threshold, central**3)
    return dilate(fill_holes(spot), 3)


LESION_METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    method.__name__: method for method in (darker_than_skin, blue_otsu, value_otsu, spot_on_skin)
}
DEFAULT_METHODS = {DERMOSCOPY: "darker_than_skin", CLINICAL: "spot_on_skin"}
MASK_KINDS = {"lesion": lesion_mask, "hair": hair_mask, "skin": skin_mask}


def _hair(image: np.ndarray) -> np.ndarray:
    """Components of dark lines, straight piece by piece: hairs that cross, not nets of pigment.

    Hair takes all light, of which skin reflects most of the red; blood takes little of the red, so
    that vessels and the rims of vascular lesions are told by that. A line that is short and lies on
    the lesion is a structure of it: hairs reach beyond.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    hat, red_hat = _black_hat(grey), _black_hat(image[..., 0])
    dark = cv2.morphologyEx((hat > 12).astype(np.uint8), cv2.MORPH_CLOSE, ellipse(3))
    n, labels, stats, _ = cv2.connectedComponentsWithStats(dark, ltype=cv2.CV_16U)
    area = stats[:, cv2.CC_STAT_AREA]
    length = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    is_long = length > 30
    is_long[0] = False  # what is not dark
    # a line up to three pixels wide is too jagged to hold a straight piece
    is_hair = is_long & (area < 4 * length)
    if (is_long & ~is_hair).any():
        opened = (cv2.morphologyEx(dark, cv2.MORPH_OPEN, line) for line in _LINES)
        pieces = reduce(cv2.max, opened)
        straight = np.bincount(labels[pieces > 0], minlength=n)
        is_hair |= is_long & (straight > 0.5 * area)
    hair = is_hair[labels]
    if not hair.any():
        return hair
    # the meshes of a pigment network are narrow: closed, it is a patch, which hairs are not
    closed = cv2.morphologyEx(hair.astype(np.uint8), cv2.MORPH_CLOSE, _MESH)
    patches = cv2.morphologyEx(closed, cv2.MORPH_OPEN, _PATCH)
    is_hair &= np.bincount(labels[patches > 0], minlength=n) < 0.5 * area
    darkness, red_darkness = (
        np.bincount(labels.ravel(), weights=of.ravel(), minlength=n) for of in (hat, red_hat)
    )
    is_hair &= red_darkness > _RED_IN_HAIR * darkness
    is_short = is_hair & (length < _REACHES_BEYOND)
    if is_short.any():
        lesion = lesion_mask(image)
        is_short &= area < lesion.sum() / 3  # or the lesion found is a hair itself
        is_hair &= ~(is_short & (np.bincount(labels[lesion], minlength=n) > 0.5 * area))
    return is_hair[labels]


def _black_hat(plane: np.ndarray, size: int = 13) -> np.ndarray:
    """How much darker each pixel is than what is on both sides of it within `size` pixels.

    What is dark at the image's edge goes on beyond it: the surround of a round field of view.
    """
    framed = cv2.copyMakeBorder(plane, size, size, size, size, cv2.BORDER_REPLICATE)
    return cv2.morphologyEx(framed, cv2.MORPH_BLACKHAT, ellipse(size))[size:-size, size:-size]


def _dark_corners(image: np.ndarray) -> np.ndarray:
    brightness = image.astype(np.float32) @ _ALL_CHANNELS
    ends = np.ix_((0, -1), (0, -1))
    if brightness[ends].min() >= _NEAR_BLACK:
        return np.zeros(brightness.shape, bool)
    # half of what is bright: very dark skin in shade is as near to black as the surround
    dark = (brightness < min(_NEAR_BLACK, np.quantile(brightness, 0.9) / 2)).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark)
    radius = squared_radius(dark.shape)
    corners = set(labels[ends].flat) - {0}
    # dark skin that reaches a corner covers the centre too: it is no surround
    surround = [label for label in corners if radius[labels == label].mean() > 1.0]
    return dilate(np.isin(labels, surround), 11)


def _central_darkness(
    darkness: np.ndarray, in_view: np.ndarray, radius: np.ndarray
) -> tuple[np.ndarray, float]:
    """(smooth darkness, weighted towards the centre; Otsu's threshold of it)"""
    score = np.maximum(darkness, 0) * np.exp(-0.3 * radius)
    score = cv2.GaussianBlur(score, (0, 0), 1.5)
    seen = score[in_view]
    scale = 255 / max(float(np.quantile(seen[::3], 0.995)), 1.0)
    return score, otsu_threshold((seen * scale).clip(0, 255).astype(np.uint8)) / scale


def _darkest_region(
    score: np.ndarray, threshold: float, in_view: np.ndarray, radius: np.ndarray
) -> np.ndarray:
    """The component above the threshold with the most darkness near the centre."""
    apart = ((score > max(threshold, _FAINTEST)) & in_view).astype(np.uint8)
    apart = cv2.morphologyEx(apart, cv2.MORPH_OPEN, ellipse(5))
    return heaviest_component(apart, score * np.exp(-3.0 * radius))


_RED_IN_HAIR = 0.85  # of the darkness in grey; hair of the demo's and HAM10000's has about 1
_REACHES_BEYOND = 100  # pixels, a quarter of the longer side
_MESH, _PATCH = np.ones((9, 9), np.uint8), np.ones((17, 17), np.uint8)


def _line(degrees: float, length: int = 21) -> np.ndarray:
    kernel = np.zeros((length, length), np.uint8)
    reach = length // 2
    x, y = np.rint(reach * np.cos(np.radians((degrees, degrees - 90)))).astype(int).tolist()
    return cv2.line(kernel, (reach - x, reach - y), (reach + x, reach + y), 1)


_LINES = [_line(degrees) for degrees in range(0, 180, 15)]
