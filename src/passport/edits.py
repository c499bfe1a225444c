"""Controlled edits of a lesion's picture: one thing is changed, and all else stays as it is."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ..preprocess.image import decode_image, jpeg_bytes
from ..skin.masks import skin_mask
from ..skin.shapes import dilate, ellipse, fit_surface, squared_radius
from ..skin.skin_former import darken_skin
from ..skin.tone import ToneEstimate, estimate_tone

TAN, BROWN = 20.0, -10.0  # ITA in degrees that skin is recoloured to
MOST_OFF = 1.0  # degrees that recoloured skin may miss it by


@dataclass(frozen=True)
class Picture:
    """RGB uint8 `image` [H, W, 3] with its `lesion` and `skin`, bool [H, W]; `tone` of the skin.

    `seed` makes the edits of a picture the same every time.
    """

    image: np.ndarray
    lesion: np.ndarray
    skin: np.ndarray
    tone: ToneEstimate
    seed: int

    @property
    def side(self) -> int:
        """The longer side in pixels."""
        return max(self.lesion.shape)


def picture_of(image: np.ndarray, lesion: np.ndarray, seed: int) -> Picture:
    """A dermoscopic picture with its skin and tone."""
    skin = skin_mask(image, lesion)
    return Picture(image, lesion, skin, estimate_tone(image, skin), seed)


@dataclass(frozen=True)
class Edit:
    """An edit's row: what it is called, and whether a sound model's answer may depend on it."""

    make: Callable[[Picture], np.ndarray | None]
    label: str
    is_artefact: bool


EDITS: dict[str, Edit] = {}


def edit(label: str, is_artefact: bool = True) -> Callable:
    """Decorator that adds a function to `EDITS` under its own name.

    It gives RGB uint8 [H, W, 3], or None where the picture does not allow the edit.
    """

    def register(make: Callable) -> Callable:
        EDITS[make.__name__] = Edit(make, label, is_artefact)
        return make

    return register


@edit("lesion erased", is_artefact=False)
def lesion_erased(picture: Picture) -> np.ndarray | None:
    """Skin in the place of the lesion: a smooth surface through the skin, with its texture."""
    if not _has_both(picture):
        return None
    image, rng = picture.image.astype(np.float32), np.random.default_rng(picture.seed)
    planes = [fit_surface(np.ascontiguousarray(c), picture.skin) for c in cv2.split(image)]
    surface = np.stack(planes, axis=-1)
    residual = (image - cv2.GaussianBlur(image, (0, 0), 3))[picture.skin]
    texture = residual[rng.integers(len(residual), size=picture.lesion.shape)]
    share = _soft(dilate(picture.lesion, _odd(picture, 0.03)), _odd(picture, 0.02))
    return _blend(picture.image, surface + texture, share)


@edit("background erased", is_artefact=False)
def background_erased(picture: Picture) -> np.ndarray | None:
    """One colour, the skin's median, outside of the lesion."""
    if not _has_both(picture):
        return None
    color = np.median(picture.image[picture.skin], axis=0)
    share = 1 - _soft(dilate(picture.lesion, _odd(picture, 0.03)), _odd(picture, 0.02))
    share[picture.lesion] = 0
    return _blend(picture.image, color.astype(np.float32), share)


@edit("hair")
def hair(picture: Picture) -> np.ndarray:
    """Twelve dark hairs across the picture, the lesion too."""
    rng, (height, width) = np.random.default_rng(picture.seed), picture.lesion.shape
    strokes = np.zeros(picture.lesion.shape, np.uint8)
    for _ in range(12):
        ends = rng.uniform(0, 1, (3, 2)) * (width, height)  # of a quadratic curve
        t = np.linspace(0, 1, 40)[:, None]
        curve = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * ends[1] + t**2 * ends[2]
        width_px = max(1, round(picture.side / 250))
        points = np.rint(curve).astype(np.int32)
        cv2.polylines(strokes, [points], False, 255, width_px, cv2.LINE_AA)
    share = strokes.astype(np.float32) / 255 * 0.85
    return _blend(picture.image, np.array([45, 32, 26], np.float32), share)


@edit("ruler")
def ruler(picture: Picture) -> np.ndarray:
    """A white ruler with black ticks along the lower edge, behind the lesion."""
    height, width = picture.lesion.shape
    drawn = picture.image.copy()
    top = height - max(4, round(0.12 * height))
    drawn[top:] = 235
    step = max(2.0, width / 40)
    for number, x in enumerate(np.arange(step / 2, width, step)):
        length = (height - top) * (0.8 if number % 5 == 0 else 0.45)
        left = int(x)
        drawn[top : top + max(1, round(length)), left : left + max(1, width // 200)] = 25
    return _beside_lesion(picture, drawn)


@edit("ink")
def ink(picture: Picture) -> np.ndarray:
    """Strokes of a surgical pen at four places around the lesion."""
    rng, (height, width) = np.random.default_rng(picture.seed), picture.lesion.shape
    strokes = np.zeros(picture.lesion.shape, np.uint8)
    for corner in ((0.18, 0.2), (0.82, 0.2), (0.18, 0.8), (0.82, 0.8)):
        start = (np.array(corner) + rng.uniform(-0.05, 0.05, 2)) * (width, height)
        end = start + rng.uniform(-0.14, 0.14, 2) * (width, height)
        ends = [tuple(int(v) for v in point) for point in (start, end)]
        cv2.line(strokes, *ends, 255, max(2, picture.side // 50), cv2.LINE_AA)
    share = cv2.GaussianBlur(strokes, (0, 0), max(1.0, picture.side / 300)) / 255 * 0.75
    inked = _blend(picture.image, np.array([70, 45, 140], np.float32), share.astype(np.float32))
    return _beside_lesion(picture, inked)


@edit("dark corners")
def dark_corners(picture: Picture) -> np.ndarray:
    """The black surround of a round field of view, behind the lesion."""
    radius = np.sqrt(squared_radius(picture.lesion.shape))
    share = np.clip((radius - 0.98) / 0.04, 0, 1)
    return _beside_lesion(picture, _blend(picture.image, np.float32(0), share))


@edit("skin recoloured to tan")
def skin_tan(picture: Picture) -> np.ndarray | None:
    """The surrounding skin with an ITA of 20 degrees."""
    return recoloured(picture, TAN)


@edit("skin recoloured to brown")
def skin_brown(picture: Picture) -> np.ndarray | None:
    """The surrounding skin with an ITA of -10 degrees."""
    return recoloured(picture, BROWN)


def recoloured(picture: Picture, ita: float) -> np.ndarray | None:
    """The picture with skin of the angle `ita` within `MOST_OFF` degrees, its lesion untouched.

    None for skin whose tone cannot be measured, or is as dark already. What rounding and texture
    move is asked for again in the other direction, up to three times.
    """
    asked = ita
    for _ in range(4):
        shifted = darken_skin(picture.image, picture.lesion, picture.skin, asked)
        if shifted is None:
            return None
        shifted = _beside_lesion(picture, shifted)
        reached = estimate_tone(shifted, picture.skin).ita
        if abs(reached - ita) <= MOST_OFF / 2:
            return shifted
        asked += ita - reached
    return shifted if abs(reached - ita) <= MOST_OFF else None


@edit("JPEG quality 30")
def jpeg(picture: Picture) -> np.ndarray:
    """Compressed as JPEG with a quality of 30."""
    return decode_image(jpeg_bytes(picture.image, 30))


@edit("blur")
def blur(picture: Picture) -> np.ndarray:
    """Out of focus: a Gaussian with a standard deviation of 0.8 % of the longer side."""
    return cv2.GaussianBlur(picture.image, (0, 0), max(0.5, 0.008 * picture.side))


@edit("white balance, warm")
def warm(picture: Picture) -> np.ndarray:
    """Red 12 % up and blue 12 % down."""
    return _scaled(picture.image, (1.12, 1.0, 0.88))


@edit("white balance, cool")
def cool(picture: Picture) -> np.ndarray:
    """Red 12 % down and blue 12 % up."""
    return _scaled(picture.image, (0.88, 1.0, 1.12))


def _has_both(picture: Picture) -> bool:
    return bool(picture.lesion.any()) and np.count_nonzero(picture.skin) > 0.02 * picture.skin.size


def _scaled(image: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    return np.clip(np.rint(image * np.array(gains, np.float32)), 0, 255).astype(np.uint8)


def _odd(picture: Picture, share: float) -> int:
    """An odd number of pixels, about this share of the longer side."""
    return 2 * round(share * picture.side / 2) + 1


def _soft(mask: np.ndarray, size: int) -> np.ndarray:
    """float32 [H, W], 1 inside of the mask, fading outwards over about `size` pixels."""
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.clip(1 - outside / size, 0, 1)


def _blend(image: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    mixed = image + share[..., None] * (other - image.astype(np.float32))
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _beside_lesion(picture: Picture, edited: np.ndarray) -> np.ndarray:
    """The edited picture with the lesion as it was."""
    return np.where(picture.lesion[..., None], picture.image, edited)


def lesion_ellipse(shape: tuple[int, int]) -> np.ndarray:
    """A centred ellipse for pictures in which no lesion is found, bool [H, W]."""
    side = min(shape) // 2 | 1
    mask = np.zeros(shape, bool)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    mask[top : top + side, left : left + side] = ellipse(side) > 0
    return mask
