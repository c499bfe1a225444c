"""The preprocessing steps, each a function of an image and its written-out constants.

Before the mark of a spec a step takes and returns RGB uint8; after it, float32 may come out.
"""

import cv2
import numpy as np

from ..core.errors import UserError
from ..core.registry import Registry
from ..skin.masks import hair_mask, lesion_mask

STEPS = Registry("preprocessing step")

# Means and standard deviations that `normalize(stats=...)` stands for, on the scale 0..1.
STATISTICS = {
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "half": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
}
FROM_TRAINING_ROWS = "train"
MOVING = ("resize", "pad_resize", "center_crop")  # steps that a mask of the image goes through too


@STEPS.register
def resize(image: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """The image stretched to `height` x `width`: area-averaged to shrink, bilinear to enlarge."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


@STEPS.register
def pad_resize(image: np.ndarray, *, height: int, width: int, value: int = 0) -> np.ndarray:
    """The image scaled to fit `height` x `width` with its proportions kept, centred on `value`."""
    scale = min(height / image.shape[0], width / image.shape[1])
    inner_height = min(height, max(1, round(image.shape[0] * scale)))
    inner_width = min(width, max(1, round(image.shape[1] * scale)))
    inner = resize(image, height=inner_height, width=inner_width)
    return _centre_on(inner, height, width, value)


@STEPS.register
def center_crop(image: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """The central `height` x `width` pixels; a smaller image is centred on black."""
    top = max(0, (image.shape[0] - height) // 2)
    left = max(0, (image.shape[1] - width) // 2)
    inner = image[top : top + height, left : left + width]
    return _centre_on(inner, height, width, 0)


@STEPS.register
def remove_hair(image: np.ndarray) -> np.ndarray:
    """The image with its dark hair painted over from beside it (Telea 2004)."""
    hair = cv2.dilate(hair_mask(image).astype(np.uint8), np.ones((3, 3), np.uint8))
    return cv2.inpaint(image, hair, 3, cv2.INPAINT_TELEA) if hair.any() else image


@STEPS.register
def segment_out_skin(image: np.ndarray, *, value: int = 0) -> np.ndarray:
    """The lesion on a plain `value`; an image in which no lesion is found stays whole.

    The mask is found in the image itself, so that a model sees in use what it saw in training.
    """
    lesion = lesion_mask(image)
    return np.where(lesion[..., None], image, np.uint8(value)) if lesion.any() else image


@STEPS.register
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


@STEPS.register
def to_lab(image: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) as float32: L* in 0..100, a* and b* signed; from RGB uint8."""
    return cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)


@STEPS.register
def normalize(image: np.ndarray, *, mean: tuple, std: tuple) -> np.ndarray:
    """(image - mean) / std by channel as float32; uint8 is first scaled to 0..1."""
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if image.dtype == np.uint8:
        mean, std = mean * 255.0, std * 255.0
    # one multiplication and one addition per sample, in float32
    return image * (1.0 / std).astype(np.float32) + (-mean / std).astype(np.float32)


def expand(name: str, options: dict, input_size: int) -> dict:
    """The options of a step with its short forms written out.

    `size=N` stands for height and width (default: `input_size`), `stats=NAME` for mean and std.
    """
    options = dict(options)
    if name in ("resize", "pad_resize", "center_crop"):
        size = options.pop("size", input_size)
        options = {"height": size, "width": size, **options}
    if name == "normalize" and "stats" in options:
        stats, known = options.pop("stats"), [*STATISTICS, FROM_TRAINING_ROWS]
        if stats not in known:
            raise UserError(f"normalize(stats={stats!r}): expected one of {', '.join(known)}")
        if options:
            raise UserError("normalize: expected stats=... or mean=... and std=..., not both")
        options = dict(STATISTICS.get(stats, {}))
    return options


def check(name: str, options: dict) -> None:
    """Raise `UserError` for constants that no image could be processed with."""
    for side in ("height", "width"):
        value = options.get(side, 1)
        if type(value) is not int or not 1 <= value <= 8192:
            raise UserError(f"{name}: {side} is {value!r}: expected pixels, 1 to 8192")
    if not 0 <= options.get("value", 0) <= 255:
        raise UserError(f"{name}: value is {options['value']}: expected 0 to 255")
    if not 1 <= options.get("norm", 1) <= 100:
        raise UserError(f"{name}: norm is {options['norm']}: expected 1 to 100")
    for constant, least in (("mean", -1e6), ("std", 1e-6)):
        numbers = options.get(constant, (1.0, 1.0, 1.0))
        if not _three_numbers(numbers, least, 1e6):
            raise UserError(
                f"{name}: {constant} is {numbers!r}: expected a number per channel, "
                f"{least:g} to 1e6"
            )


def _three_numbers(values, least: float, most: float) -> bool:
    fits = isinstance(values, tuple | list) and len(values) == 3
    return fits and all(type(v) in (int, float) and least <= v <= most for v in values)


def _centre_on(inner: np.ndarray, height: int, width: int, value: int) -> np.ndarray:
    if inner.shape[:2] == (height, width):
        return inner
    canvas = np.full((height, width, 3), value, inner.dtype)
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas
