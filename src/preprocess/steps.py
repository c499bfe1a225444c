"""The preprocessing steps: adding one is one function, registered with its kind and its limits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from ..core.errors import UserError, require
from ..core.registry import Registry
from ..skin.domains import AUTO, DERMOSCOPY, DOMAINS
from ..skin.masks import hair_mask, lesion_mask

STEPS = Registry("preprocessing step")
TRAITS: dict[str, "Traits"] = {}  # of each step by its name

# Means and standard deviations that `normalize(stats=...)` stands for, on the scale 0..1.
STATISTICS = {
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "half": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
}
# names that stand for numbers found later: of the backbone, and of the training rows
FOUND_LATER = ("pretrained", "train")


class Kind(Enum):
    """What a step takes and gives."""

    PAINTS = "RGB uint8 to RGB uint8, pixels stay where they are"
    MOVES = "any image to one of a fixed size and the same type; a mask goes through it too"
    CROPS = "RGB uint8 to the part of it that its content decides on"
    CONVERTS = "RGB uint8 to float32"
    SCALES = "any image to float32"

    @property
    def gives_float(self) -> bool:
        return self in (Kind.CONVERTS, Kind.SCALES)

    @property
    def takes_float(self) -> bool:
        return self in (Kind.MOVES, Kind.SCALES)


@dataclass(frozen=True)
class Limit:
    """The least and the largest value of a constant; of three, one per channel, by `count`."""

    least: float
    most: float
    type: type = float
    count: int = 1

    def __contains__(self, value: object) -> bool:
        values = value if self.count > 1 else [value]
        if not isinstance(values, tuple | list) or len(values) != self.count:
            return False
        known = (int,) if self.type is int else (int, float)
        return all(type(v) in known and self.least <= v <= self.most for v in values)

    def __str__(self) -> str:
        what = "a whole number" if self.type is int else "a number"
        each = f" for each of {self.count} channels" if self.count > 1 else ""
        return f"{what}{each}, {self.least:g} to {self.most:g}"


class OneOf(tuple):
    """The names that a constant may be."""

    def __str__(self) -> str:
        return " or ".join(map(repr, self))


@dataclass(frozen=True)
class Traits:
    """The kind of a step, the limits of its constants, and what its short forms stand for.

    `expand(options, input_size)` are the options with short forms written out.
    """

    kind: Kind
    limits: Mapping[str, Limit | OneOf]
    expand: Callable[[dict, int], dict]


def _size(options: dict, input_size: int) -> dict:
    """`size=N` stands for height and width (default: `input_size`)."""
    size = options.get("size", input_size)
    return {"height": size, "width": size} | {k: v for k, v in options.items() if k != "size"}


def _statistics(options: dict, input_size: int) -> dict:
    """`stats=NAME` stands for mean and std, and is left where these are found later."""
    stats, known = options.get("stats"), [*STATISTICS, *FOUND_LATER]
    if not options or ("stats" in options and len(options) > 1):
        both = ", not both" if options else ""
        raise UserError(f"normalize: expected stats=... or mean=... and std=...{both}")
    if "stats" not in options:
        return options
    require(stats in known, f"normalize(stats={stats!r}): expected one of {', '.join(known)}")
    return dict(STATISTICS.get(stats, options))


def step(
    kind: Kind,
    limits: Mapping[str, Limit | OneOf] | None = None,
    expand: Callable[[dict, int], dict] = lambda options, input_size: options,
) -> Callable[[Callable], Callable]:
    """Decorator that registers a function of an image and its constants as a step."""

    def register(function: Callable) -> Callable:
        TRAITS[function.__name__] = Traits(kind, limits or {}, expand)
        return STEPS.register(function)

    return register


def check(name: str, options: dict) -> None:
    """Raise `UserError` for constants that no image could be processed with."""
    for option, limit in TRAITS[name].limits.items():
        if option in options and options[option] not in limit:
            raise UserError(f"{name}: {option} is {options[option]!r:.60}: expected {limit}")


SIDE = Limit(1, 8192, int)
SIDES = {"height": SIDE, "width": SIDE}
SAMPLE = Limit(0, 255, int)
DOMAIN = OneOf((AUTO, *DOMAINS))  # of the image, in which a lesion is looked for


@step(Kind.MOVES, SIDES, _size)
def resize(image: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """The image stretched to `height` x `width`: area-averaged to shrink, bilinear to enlarge."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


@step(Kind.MOVES, {**SIDES, "value": SAMPLE}, _size)
def pad_resize(image: np.ndarray, *, height: int, width: int, value: int = 0) -> np.ndarray:
    """The image scaled to fit `height` x `width` with its proportions kept, centred on `value`."""
    scale = min(height / image.shape[0], width / image.shape[1])
    inner_height = min(height, max(1, round(image.shape[0] * scale)))
    inner_width = min(width, max(1, round(image.shape[1] * scale)))
    inner = resize(image, height=inner_height, width=inner_width)
    return _centre_on(inner, height, width, value)


@step(Kind.MOVES, SIDES, _size)
def center_crop(image: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """The central `height` x `width` pixels; a smaller image is centred on black."""
    top = max(0, (image.shape[0] - height) // 2)
    left = max(0, (image.shape[1] - width) // 2)
    inner = image[top : top + height, left : left + width]
    return _centre_on(inner, height, width, 0)


@step(Kind.CROPS, {"margin": Limit(0, 10), "domain": DOMAIN})
def lesion_crop(image: np.ndarray, *, margin: float = 0.25, domain: str = DERMOSCOPY) -> np.ndarray:
    """The lesion's bounding box, widened on each side by `margin` times its longer side.

    It ends at the image's edges; an image in which no lesion is found stays whole.
    """
    lesion = lesion_mask(image, domain=domain)
    if not lesion.any():
        return image
    left, top, width, height = cv2.boundingRect(lesion.astype(np.uint8))
    reach = round(margin * max(width, height))
    rows = slice(max(0, top - reach), top + height + reach)
    return np.ascontiguousarray(image[rows, max(0, left - reach) : left + width + reach])


@step(Kind.PAINTS)
def scaled_jpeg(image: np.ndarray) -> np.ndarray:
    """The image as it is: the first step of all, this changes how a JPEG is decoded.

    That is at a half, quarter or eighth of its size where this leaves the resizing right after it
    twice the pixels along both sides. After another step, which wants the whole image, it changes
    nothing.
    """
    return image


@step(Kind.PAINTS)
def remove_hair(image: np.ndarray) -> np.ndarray:
    """The image with its dark hair painted over from beside it (Telea 2004)."""
    hair = cv2.dilate(hair_mask(image).astype(np.uint8), np.ones((3, 3), np.uint8))
    return cv2.inpaint(image, hair, 3, cv2.INPAINT_TELEA) if hair.any() else image


@step(Kind.PAINTS, {"value": SAMPLE, "domain": DOMAIN})
def segment_out_skin(image: np.ndarray, *, value: int = 0, domain: str = DERMOSCOPY) -> np.ndarray:
    """The lesion on a plain `value`; an image in which no lesion is found stays whole.

    The mask is found in the image itself, so that a model sees in use what it saw in training.
    """
    lesion = lesion_mask(image, domain=domain)
    return np.where(lesion[..., None], image, np.uint8(value)) if lesion.any() else image


@step(Kind.PAINTS, {"norm": Limit(1, 100)})
def shades_of_grey(image: np.ndarray, *, norm: float = 6.0) -> np.ndarray:
    """The image under white light: its channels' Minkowski means made equal.

    `norm` 1 is the grey-world assumption (Finlayson & Trezzi 2004 recommend 6).
    """
    samples = np.arange(256.0)
    counts = np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)])
    light = (counts @ (samples / 255.0) ** norm / counts.sum(axis=1)) ** (1.0 / norm)
    gain = np.linalg.norm(light) / np.sqrt(3.0) / np.maximum(light, 1e-6)
    table = np.rint(samples[:, None] * gain).clip(0, 255).astype(np.uint8)
    return cv2.LUT(image, table[None])


@step(Kind.PAINTS, {"clip": Limit(0.1, 100), "tiles": Limit(1, 64, int)})
def clahe(image: np.ndarray, *, clip: float = 2.0, tiles: int = 8) -> np.ndarray:
    """The image with its lightness L* equalized locally; a* and b* stay.

    Contrast-limited adaptive histogram equalization (Zuiderveld 1994) of `tiles` x `tiles`
    histograms of 256 bins, each bin cut at `clip` times their mean. a* and b* change by what
    rounding to 8 bits does: where sRGB has no such colour, L* goes as far as it has one.
    """
    lab = to_lab(image)
    lightness = np.rint(lab[..., 0] * 2.55).astype(np.uint8)
    grid = min(tiles, image.shape[1]), min(tiles, image.shape[0])
    equalized = cv2.createCLAHE(clip, grid).apply(lightness)
    change = (equalized.astype(np.float32) - lightness) / 2.55
    rgb = _lighter(lab, change)
    beyond = ~_is_inside(rgb)
    if beyond.any():
        rgb[beyond] = _within_srgb(lab[beyond][None], change[beyond][None])[0]
    return np.rint(rgb * 255).astype(np.uint8)


@step(Kind.CONVERTS)
def to_lab(image: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) as float32: L* in 0..100, a* and b* signed; from RGB uint8."""
    return cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)


@step(
    Kind.SCALES, {"mean": Limit(-1e6, 1e6, count=3), "std": Limit(1e-6, 1e6, count=3)}, _statistics
)
def normalize(image: np.ndarray, *, mean: tuple, std: tuple) -> np.ndarray:
    """(image - mean) / std by channel as float32; uint8 is first scaled to 0..1."""
    factor, addend = scaling(mean, std, 255.0 if image.dtype == np.uint8 else 1.0)
    return image * factor + addend  # in float32


def scaling(mean: tuple, std: tuple, white: float = 255.0) -> tuple[np.ndarray, np.ndarray]:
    """(factors, addends) float32 [3] that normalize samples of which the largest is `white`."""
    centre, spread = np.asarray(mean, np.float64) * white, np.asarray(std, np.float64) * white
    return (1.0 / spread).astype(np.float32), (-centre / spread).astype(np.float32)


def _lighter(lab: np.ndarray, change: np.ndarray) -> np.ndarray:
    """RGB in 0..1, float32, of CIE L*a*b* with L* changed; OpenCV clips what sRGB lacks."""
    lab = lab.copy()
    lab[..., 0] = (lab[..., 0] + change).clip(0, 100)
    return cv2.cvtColor(lab, cv2.COLOR_Lab2RGB).clip(0, 1)


def _is_inside(rgb: np.ndarray) -> np.ndarray:
    return ((rgb > 0) & (rgb < 1)).all(axis=-1)


def _within_srgb(lab: np.ndarray, change: np.ndarray) -> np.ndarray:
    """As `_lighter` with the largest share of each change, to 1/64, that stays within sRGB."""
    share = np.zeros_like(change)
    for part in 0.5 ** np.arange(1, 7, dtype=np.float32):
        share += part * _is_inside(_lighter(lab, (share + part) * change))
    return _lighter(lab, share * change)


def _centre_on(inner: np.ndarray, height: int, width: int, value: int) -> np.ndarray:
    if inner.shape[:2] == (height, width):
        return inner
    canvas = np.full((height, width, 3), value, inner.dtype)
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas
