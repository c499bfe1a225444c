"""Masks of lesion, hair and skin: bool [height, width] of RGB uint8 images, found at small size."""

from collections.abc import Callable
from functools import lru_cache, reduce

import cv2
import numpy as np

# Sizes of kernels below are in pixels of images whose longer side has been made this long.
LESION_SIDE = 200
HAIR_SIDE = 400

_BLUE_AND_GREEN = np.array([0.0, 0.4, 0.6], np.float32)  # where melanin and blood absorb most
_ALL_CHANNELS = np.full(3, 1 / 3, np.float32)
_NEAR_BLACK = 40  # mean of the channels
_FAINTEST = 2.0  # of `_BLUE_AND_GREEN`, that a lesion is darker than skin; noise stays below
_GLARE = 245  # of the darkest channel


def lesion_mask(image: np.ndarray, method: str = "darker_than_skin") -> np.ndarray:
    """True on the lesion by the `method` of that name in `LESION_METHODS`.

    The default gives all False where there is nothing to set apart from the skin; Otsu's threshold,
    which the others take, always finds something.
    """
    return _at_side(image, LESION_SIDE, LESION_METHODS[method])


def hair_mask(image: np.ndarray) -> np.ndarray:
    """True on dark hair: long thin components of the black-hat transform (DullRazor's idea)."""
    return _at_side(image, HAIR_SIDE, _hair)


def skin_mask(image: np.ndarray, lesion: np.ndarray | None = None) -> np.ndarray:
    """True on skin: outside of the lesion with a margin, of hair, dark corners and glare.

    `lesion` [height, width] bool is that of an expert; without it `lesion_mask` finds one.
    """
    lesion = lesion_mask(image) if lesion is None else lesion
    margin = max(1.0, max(image.shape[:2]) * 4 / LESION_SIDE)
    near_lesion = cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, 5) <= margin
    hair = _dilate(hair_mask(image), 3)
    darkest_channel = cv2.min(cv2.min(image[..., 0], image[..., 1]), image[..., 2])
    return ~near_lesion & ~hair & ~dark_corners(image) & (darkest_channel < _GLARE)


def reduced(image: np.ndarray) -> np.ndarray:
    """The image with a longer side of at most `HAIR_SIDE`: what masks need to see of it."""
    scale = HAIR_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = [max(1, round(n * scale)) for n in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def enlarged(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask of a reduced image in the whole image's (height, width)."""
    if mask.shape == size:
        return mask
    grey = mask.astype(np.uint8) * 255
    return cv2.resize(grey, size[::-1], interpolation=cv2.INTER_LINEAR) > 127


def dark_corners(image: np.ndarray) -> np.ndarray:
    """True on the black surround of a round field of view, with a margin."""
    return _at_side(image, LESION_SIDE, _dark_corners)


def darker_than_skin(image: np.ndarray) -> np.ndarray:
    """The darkest central region, against a background of skin fitted to the image.

    The border gives a first guess of the skin's brightness and with it a first lesion; the second
    is against a quadratic surface fitted to what lies well outside the first (uneven light).
    """
    smooth = cv2.medianBlur(image, 5)
    in_view = ~_dark_corners(smooth)
    brightness = smooth.astype(np.float32) @ _BLUE_AND_GREEN
    radius = _squared_radius(image.shape[:2])
    border = in_view & (radius > 0.8)
    level = np.median(brightness[border if border.any() else in_view])
    lesion = _darkest_region(level - brightness, in_view, radius)
    outside = in_view & ~_dilate(lesion, 15)
    if outside.sum() > 0.05 * outside.size:
        background = level + _fit_surface(brightness - level, outside)
        lesion = _darkest_region(background - brightness, in_view, radius)
    return _dilate(_fill_holes(lesion), 5)


def blue_otsu(image: np.ndarray) -> np.ndarray:
    """Otsu's threshold on the smoothed blue channel, then the most central component."""
    blue = cv2.GaussianBlur(image[..., 2], (5, 5), 0)
    dark = blue <= _otsu(blue)
    weight = np.exp(-1.5 * _squared_radius(image.shape[:2]))
    return _fill_holes(_heaviest_component(dark, weight))


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
    dark = (value <= _otsu(value)).astype(np.uint8)
    opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, _ellipse(3), iterations=5)
    grown = cv2.dilate(opened, _ellipse(3), iterations=5)
    closed = cv2.morphologyEx(grown, cv2.MORPH_CLOSE, _ellipse(3), iterations=5)
    return closed.astype(bool) | hair


LESION_METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    method.__name__: method for method in (darker_than_skin, blue_otsu, value_otsu)
}
MASK_KINDS = {"lesion": lesion_mask, "hair": hair_mask, "skin": skin_mask}


def _at_side(image: np.ndarray, side: int, find: Callable) -> np.ndarray:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale == 1.0:
        return find(image)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return enlarged(find(cv2.resize(image, size, interpolation=method)), (height, width))


def _hair(image: np.ndarray) -> np.ndarray:
    """Components of dark lines, straight piece by piece: hairs that cross, not nets of pigment."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    hat = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, _ellipse(13))
    dark = cv2.morphologyEx((hat > 12).astype(np.uint8), cv2.MORPH_CLOSE, _ellipse(3))
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
    return is_hair[labels]


def _dark_corners(image: np.ndarray) -> np.ndarray:
    brightness = image.astype(np.float32) @ _ALL_CHANNELS
    ends = np.ix_((0, -1), (0, -1))
    if brightness[ends].min() >= _NEAR_BLACK:
        return np.zeros(brightness.shape, bool)
    # half of what is bright: very dark skin in shade is as near to black as the surround
    dark = (brightness < min(_NEAR_BLACK, np.quantile(brightness, 0.9) / 2)).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark)
    radius = _squared_radius(dark.shape)
    corners = set(labels[ends].flat) - {0}
    # dark skin that reaches a corner covers the centre too: it is no surround
    surround = [label for label in corners if radius[labels == label].mean() > 1.0]
    return _dilate(np.isin(labels, surround), 9)


def _darkest_region(darkness: np.ndarray, in_view: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The component with the most darkness near the centre, of what a lowered Otsu sets apart."""
    score = np.maximum(darkness, 0) * np.exp(-0.3 * radius)
    score = cv2.GaussianBlur(score, (0, 0), 1.5)
    scale = 255 / max(float(np.quantile(score[in_view], 0.995)), 1.0)
    # experts draw lesions generously: a threshold below Otsu's
    otsu = _otsu((score[in_view] * scale).clip(0, 255).astype(np.uint8)) / scale
    threshold = max(0.7 * otsu, _FAINTEST)
    apart = ((score > threshold) & in_view).astype(np.uint8)
    apart = cv2.morphologyEx(apart, cv2.MORPH_OPEN, _ellipse(5))
    return _heaviest_component(apart, score * np.exp(-3.0 * radius))


def _fit_surface(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """A quadratic surface [height, width] through `values[where]`, robust against darker spots."""
    terms = _quadratic_terms(values.shape)
    used = np.flatnonzero(where)[::5]
    basis, wanted = terms.reshape(-1, terms.shape[-1])[used], values.ravel()[used]
    # a slight ridge: a lesion that fills the view leaves little to fit to
    ridge = 0.02 * len(wanted) * np.diag([0, 1, 1, 1, 1, 1]).astype(np.float32)
    weights = np.ones(len(wanted), np.float32)
    for _ in range(3):
        weighted = basis * weights[:, None]
        solution = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ wanted)
        residual = wanted - basis @ solution
        spread = 1.5 * np.median(np.abs(residual)) + 1
        weights = np.where(residual < -2 * spread, np.float32(0.1), np.float32(1))
    return terms @ solution


def _heaviest_component(mask: np.ndarray, weight: np.ndarray) -> np.ndarray:
    n, labels = cv2.connectedComponents(mask.astype(np.uint8))
    weights = np.bincount(labels.ravel(), weights=weight.ravel(), minlength=n)
    weights[0] = -1.0  # the background
    return labels == weights.argmax() if n > 1 else np.zeros(mask.shape, bool)


def _fill_holes(mask: np.ndarray) -> np.ndarray:
    outside = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(outside, None, (0, 0), 1)
    return mask | (outside[1:-1, 1:-1] == 0)


def _otsu(values: np.ndarray) -> float:
    """Otsu's threshold (Otsu 1979) of uint8 values of any shape."""
    flat = np.ascontiguousarray(values).reshape(1, -1)
    return cv2.threshold(flat, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]


@lru_cache(maxsize=8)
def _quadratic_terms(shape: tuple[int, int]) -> np.ndarray:
    """float32 [height, width, 6]: 1, x, y, x^2, y^2 and xy of each pixel."""
    y, x = (axis.astype(np.float32) for axis in _coordinates(shape))
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def _coordinates(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(y, x) of each pixel's centre, from -1 to 1 between the edges."""
    y, x = ((np.arange(n) + 0.5) * 2 / n - 1 for n in shape)
    return np.meshgrid(y, x, indexing="ij")


@lru_cache(maxsize=8)
def _squared_radius(shape: tuple[int, int]) -> np.ndarray:
    """0 at the centre, 1 on the ellipse that touches the edges, 2 in the corners."""
    y, x = _coordinates(shape)
    return (x * x + y * y).astype(np.float32)


def _dilate(mask: np.ndarray, size: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), _ellipse(size)).astype(bool)


def _ellipse(size: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def _line(degrees: float, length: int = 21) -> np.ndarray:
    kernel = np.zeros((length, length), np.uint8)
    reach = length // 2
    x, y = np.rint(reach * np.cos(np.radians((degrees, degrees - 90)))).astype(int).tolist()
    return cv2.line(kernel, (reach - x, reach - y), (reach + x, reach + y), 1)


_LINES = [_line(degrees) for degrees in range(0, 180, 15)]
