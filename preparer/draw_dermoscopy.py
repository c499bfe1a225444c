"""Draws dermoscopic photographs: skin of a known tone, a lesion on it, and what a camera adds.

A function named after an artefact gives its weight, 0..1: float32 of `SHAPE`.
"""

import cv2
import numpy as np

from preparer.draw_lesion import CANVAS
from preparer.draw_strokes import blended, fractal_noise, soft_step

WIDTH, HEIGHT = 200, 150
OVERSAMPLING = 2  # everything is drawn this much larger and averaged down
SHAPE = (HEIGHT * OVERSAMPLING, WIDTH * OVERSAMPLING)

# Shares of the photographs with each artefact: the same whatever is photographed.
DARK_HAIR, LIGHT_HAIR, RULER, DARK_CORNERS, BUBBLES, GLARE = 0.3, 0.10, 0.10, 0.13, 0.12, 0.15


def quantized_skin_color(lab: np.ndarray) -> np.ndarray:
    """The 8-bit sRGB colour nearest to a CIE L*a*b* (D65) colour: [3] uint8, in the order RGB."""
    rgb = cv2.cvtColor(np.float32(lab).reshape(1, 1, 3), cv2.COLOR_Lab2RGB)
    return np.clip(np.rint(rgb[0, 0] * 255.0), 0, 255).astype(np.uint8)


def lab_from_rgb(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of 8-bit sRGB colours: [..., 3] float32, L* in 0..100."""
    flat = np.asarray(rgb, np.float32).reshape(-1, 1, 3) / 255.0
    return cv2.cvtColor(flat, cv2.COLOR_RGB2Lab).reshape(np.shape(rgb))


def photograph(
    pigment: np.ndarray, skin_rgb: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One photograph of a lesion and its mask: [HEIGHT, WIDTH, 3] RGB and [HEIGHT, WIDTH], uint8.

    `pigment`: a map from `draw_lesion`; `skin_rgb`: [3] uint8, the median colour of the skin.
    Each call turns, shifts and scales the lesion, lights it and adds artefacts anew. The mask is
    255 on the lesion and 0 elsewhere.
    """
    placed = _place(pigment, rng)
    lab = _draw_skin(lab_from_rgb(skin_rgb), rng)
    # Dark skin has less room for chroma, so that pigment on it moves a* and b* less.
    chroma = np.sqrt(lab[..., :1].mean() / 68.0)
    lab[..., 0] *= placed[..., 0]
    lab[..., 1:] += placed[..., 1:3] * chroma
    lab[..., 0] = np.clip(lab[..., 0] * _light(rng), 0.0, 100.0)
    image = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    image = _add_artefacts(image, rng)
    image = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.25, 0.7))
    image += rng.normal(0.0, rng.uniform(0.003, 0.010), image.shape).astype(np.float32)
    cover = cv2.resize(placed[..., 3], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    mask = np.where(cover >= 0.5, 255, 0).astype(np.uint8)
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8), mask


def _place(pigment: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = SHAPE
    center = ((CANVAS - 1) / 2, (CANVAS - 1) / 2)
    turn = cv2.getRotationMatrix2D(center, rng.uniform(0, 360), rng.uniform(0.92, 1.08))
    turn[:, 2] += (width - CANVAS) / 2, (height - CANVAS) / 2
    turn[:, 2] += np.clip(rng.normal(0.0, 1.0, 2), -2, 2) * (16.0, 9.0)
    return cv2.warpAffine(
        pigment, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=(1.0, 0.0, 0.0, 0.0)
    )


def _draw_skin(base_lab: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Textured skin in CIE L*a*b* whose median is `base_lab`: [height, width, 3] float32."""
    texture = fractal_noise(rng, SHAPE, 24, 5) * rng.uniform(0.6, 1.6)
    # Skin furrows: two crossing families of fine streaks.
    grain = rng.standard_normal(SHAPE, dtype=np.float32)
    furrow_way = rng.uniform(0, 180)
    for turn in (0.0, rng.uniform(50, 90)):
        furrows = cv2.filter2D(grain, -1, _streak(furrow_way + turn))
        texture += furrows / furrows.std() * rng.uniform(0.2, 1.0)
    blush = fractal_noise(rng, SHAPE, 130, 3) * rng.uniform(0.4, 1.6)
    freckles = soft_step(fractal_noise(rng, SHAPE, 45, 3) * 1.6 - 3.6) * rng.uniform(0.0, 9.0)
    offsets = [texture - 0.5 * blush - freckles, blush + 0.2 * freckles, 0.3 * freckles]
    # Contrast follows lightness: furrows on dark skin are as faint in relative terms.
    contrast = 0.35 + 0.65 * base_lab[0] / 70.0
    lab = [at + (o - np.median(o)) * contrast for at, o in zip(base_lab, offsets, strict=True)]
    return np.dstack(lab).astype(np.float32)


def _streak(degrees: float) -> np.ndarray:
    kernel = np.zeros((15, 15), np.float32)
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * 6.0
    ends = np.round((7.0 + np.array([-along, along])) * 16).astype(np.int32)
    cv2.polylines(kernel, [ends], False, 1.0, 1, cv2.LINE_8, 4)
    return kernel / kernel.sum()


def _light(rng: np.random.Generator) -> np.ndarray:
    height, width = SHAPE
    # a column and a row, which together make a whole image in two sums of it
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    slope_x, slope_y = rng.normal(0.0, 0.025, 2)
    falloff = rng.uniform(0.0, 0.07)
    gain = 1.0 + slope_x * x + slope_y * y - falloff * (x**2 + y**2)
    return (gain / np.median(gain)).astype(np.float32)


def _add_artefacts(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < GLARE:
        image = blended(image, (0.97, 0.97, 1.0), _glare(rng))
    if rng.random() < DARK_HAIR:
        color = np.float32([0.16, 0.10, 0.08]) * rng.uniform(0.3, 1.6)
        image = blended(image, color, _hairs(int(1 + rng.gamma(1.3, 6.0)), (1.2, 3.4), rng) * 0.85)
    if rng.random() < LIGHT_HAIR:
        hairs = _hairs(int(rng.integers(2, 12)), (1, 2), rng)
        image = blended(image, (0.93, 0.86, 0.76), hairs * 0.5)
    if rng.random() < BUBBLES:
        image = blended(image, (0.98, 0.97, 0.97), _bubbles(rng) * 0.6)
    if rng.random() < RULER:
        image = blended(image, (0.12, 0.11, 0.13), _ruler(rng) * 0.8)
    if rng.random() < DARK_CORNERS:
        image = blended(image, (0.03, 0.025, 0.03), _corners(rng))
    return image


def _hairs(n_hairs: int, width: tuple, rng: np.random.Generator) -> np.ndarray:
    drawn = np.zeros(SHAPE, np.uint8)
    way = rng.uniform(0, np.pi)
    share = np.linspace(0.0, 1.0, 24)[:, None]
    for _ in range(n_hairs):
        middle = rng.uniform((0, 0), (SHAPE[1], SHAPE[0]))
        angle = way + rng.normal(0.0, 0.45)
        along = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(40, 230)
        bend = np.array([-along[1], along[0]]) * rng.normal(0.0, 0.28)
        # a Bezier curve from middle - along over middle + bend to middle + along
        curve = middle + along * (2 * share - 1) + bend * 2 * share * (1 - share)
        line = np.round(curve * 16).astype(np.int32)
        thickness = max(1, round(rng.uniform(*width)))
        cv2.polylines(drawn, [line], False, int(rng.integers(150, 255)), thickness, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(drawn, (0, 0), 0.7).astype(np.float32) / 255.0


def _ruler(rng: np.random.Generator) -> np.ndarray:
    drawn = np.zeros(SHAPE, np.uint8)
    height, width = SHAPE
    radius = rng.uniform(170, 330)
    facing = rng.uniform(0, 2 * np.pi)
    reach = np.array([np.cos(facing) * width, np.sin(facing) * height]) * rng.uniform(0.36, 0.46)
    center = np.array([width / 2, height / 2]) + reach
    center -= radius * np.array([np.cos(facing), np.sin(facing)])
    spacing = rng.uniform(11, 20) / radius
    for tick in range(-12, 13):
        ray = np.array([np.cos(facing + tick * spacing), np.sin(facing + tick * spacing)])
        length = 15.0 if tick % 5 == 0 else 8.0
        ends = np.round(np.array([center + ray * radius, center + ray * (radius + length)]) * 16)
        cv2.polylines(drawn, [ends.astype(np.int32)], False, 255, 2, cv2.LINE_AA, 4)
    return drawn.astype(np.float32) / 255.0


def _bubbles(rng: np.random.Generator) -> np.ndarray:
    drawn = np.zeros(SHAPE, np.uint8)
    for _ in range(int(rng.integers(1, 8))):
        center = rng.uniform((0, 0), (SHAPE[1], SHAPE[0]))
        radius = rng.uniform(3, 15)
        spot = tuple(int(value * 16) for value in center)
        cv2.circle(drawn, spot, int(radius * 16), int(rng.integers(60, 160)), 1, cv2.LINE_AA, 4)
        glint = tuple(int(value * 16) for value in center - radius * 0.55)
        cv2.circle(drawn, glint, int(radius * 0.16 * 16) + 8, 255, -1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(drawn, (0, 0), 0.8).astype(np.float32) / 255.0


def _glare(rng: np.random.Generator) -> np.ndarray:
    near = rng.uniform((0, 0), (SHAPE[1], SHAPE[0]))
    y, x = np.ogrid[0 : SHAPE[0], 0 : SHAPE[1]]
    region = np.exp(-((x - near[0]) ** 2 + (y - near[1]) ** 2) / (2 * rng.uniform(20, 70) ** 2))
    sparks = soft_step(fractal_noise(rng, SHAPE, 9, 2) * 2.0 - 3.2)
    return (region * sparks * rng.uniform(0.4, 0.9)).astype(np.float32)


def _corners(rng: np.random.Generator) -> np.ndarray:
    y, x = np.ogrid[0 : SHAPE[0], 0 : SHAPE[1]]
    center = np.array([SHAPE[1], SHAPE[0]]) / 2 + rng.normal(0.0, 6.0, 2)
    distance = np.sqrt((x - center[0]) ** 2 + (y - center[1]) ** 2)
    return soft_step((distance - rng.uniform(200, 240)) / rng.uniform(4, 18))
