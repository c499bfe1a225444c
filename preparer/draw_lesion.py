"""Draws skin lesions: one pigment map per lesion, after the ABCD rule of dermoscopy.

A pigment map says how a lesion changes the skin below it, so one lesion shows on every skin tone:
CIE L* is multiplied, a* and b* are shifted, and a cover in 0..1 says where the lesion is.
Asymmetry, irregular border and number of colours (Nachbar et al. 1994) follow an atypia drawn per
lesion. Its distributions overlap between diagnoses: some nevi look worse than some melanomas.
"""

from typing import NamedTuple

import cv2
import numpy as np

from preparer.draw_strokes import (
    blended,
    centered_grid,
    draw_dots,
    draw_network,
    draw_vessels,
    fractal_noise,
    soft_step,
)

CANVAS = 400  # side of a pigment map in drawing pixels, which are half an image pixel
RADIUS = (40.0, 116.0)  # mean radius of a lesion in drawing pixels

# How a colour changes the skin: factor on L*, shift of a*, shift of b*.
UNCHANGED = (1.0, 0.0, 0.0)
PALE_BROWN = (0.86, 2.0, 6.0)
LIGHT_BROWN = (0.74, 4.0, 8.0)
DARK_BROWN = (0.38, 6.0, 4.0)
BLACK = (0.17, -6.0, -11.0)
BLUE_GREY = (0.56, -9.0, -19.0)
WHITE = (1.10, -4.0, -7.0)
PINK = (0.93, 9.0, -3.0)
RED = (0.72, 16.0, 2.0)
DARK_RED = (0.46, 22.0, 3.0)
PURPLE = (0.40, 16.0, -17.0)
WAXY = (0.72, 0.0, 7.0)
SCALE_YELLOW = (1.10, -4.0, 6.0)

# Beta distributions of atypia: mean .23 for nevi and .76 for melanomas, both about .13 wide.
ATYPIA = {
    "nv": (2.2, 7.5),
    "mel": (8.0, 2.5),
    "bkl": (3.0, 4.5),
    "bcc": (3.0, 4.0),
    "akiec": (4.0, 4.0),
    "vasc": (2.0, 6.0),
    "df": (2.0, 6.0),
}
EDGE_SOFTNESS = {"bkl": 2.5, "vasc": 6.0, "akiec": 16.0, "bcc": 11.0, "df": 18.0}


class Traits(NamedTuple):
    """The ABCD of one lesion: each of `asymmetry`, `border` and `colors` in 0..1, radius in px."""

    asymmetry: float
    border: float
    colors: float
    radius: float


def draw_lesion(diagnosis: str, rng: np.random.Generator) -> np.ndarray:
    """The pigment map of a new lesion: [CANVAS, CANVAS, 4] float32.

    Channels: factor on L*, shift of a*, shift of b*, cover in 0..1 (0.5 is the lesion's edge).
    Outside the lesion it is (1, 0, 0, 0). `diagnosis` is one of the seven keys of `ATYPIA`.
    """
    atypia = rng.beta(*ATYPIA[diagnosis])
    asymmetry, border, colors, size = np.clip(atypia + rng.normal(0.0, 0.08, 4), 0.0, 1.0)
    radius = np.clip(rng.normal(58.0 + 42.0 * size, 11.0), *RADIUS)
    traits = Traits(float(asymmetry), float(border), float(colors), float(radius))
    inside = _outline(traits, rng)
    softness = EDGE_SOFTNESS.get(diagnosis, rng.uniform(4.0, 20.0))
    # A border that is sharp here and fades there counts as irregular.
    uneven = fractal_noise(rng, inside.shape, 120, 1) * traits.border * 0.45
    cover = soft_step(inside / (softness * np.exp(uneven)))
    colors = PAINTERS[diagnosis](inside, traits, rng)
    # not `UNCHANGED` over the colours: that would round another way
    pigment = [at + (colors[..., i] - at) * cover for i, at in enumerate(np.float32(UNCHANGED))]
    return np.dstack([*pigment, cover]).astype(np.float32)


def _outline(traits: Traits, rng: np.random.Generator) -> np.ndarray:
    """Distance to the border in drawing pixels, positive inside: [CANVAS, CANVAS] float32."""
    angles = np.linspace(-np.pi, np.pi, 721)
    profile = np.ones_like(angles)
    orders = np.arange(2, 17)
    # Order 2 is an ellipse and keeps both axes of symmetry; order 3 and 4 break them.
    strength = np.where(orders <= 4, 0.025 + 0.10 * traits.asymmetry, 0.006 + 0.034 * traits.border)
    strength = strength / np.where(orders <= 4, 1.0, (orders / 5.0) ** 0.6)
    strength[0] = rng.uniform(0.02, 0.16)
    for order, amplitude in zip(orders, strength * rng.normal(0.0, 0.75, len(orders)), strict=True):
        profile += amplitude * np.cos(order * angles + rng.uniform(0, 2 * np.pi))
    profile = np.clip(profile, 0.45, 1.7)
    profile *= traits.radius / np.sqrt(np.mean(profile**2))
    x, y = centered_grid(CANVAS)
    jitter = fractal_noise(rng, x.shape, 46, 5) * (1.5 + 6.5 * traits.border)
    edge = np.interp(np.arctan2(y, x), angles, np.minimum(profile, 0.46 * CANVAS))
    return (edge - np.hypot(x, y) + jitter).astype(np.float32)


def _flat(target: tuple) -> np.ndarray:
    return np.full((CANVAS, CANVAS, 3), target, np.float32)


def _mottle(colors: np.ndarray, amount: float, cell: float, rng: np.random.Generator) -> np.ndarray:
    """The colours with uneven density: noise of relative deviation `amount` on L*."""
    mottled = colors.copy()
    mottled[..., 0] *= np.exp(amount * fractal_noise(rng, colors.shape[:2], cell, 5))
    return mottled


def _patch(traits: Traits, off_center: float, size: float, rng: np.random.Generator) -> np.ndarray:
    """Weight 0..1 of one cloudy patch: centre and radius are shares of the lesion's radius."""
    x, y = centered_grid(CANVAS)
    angle = rng.uniform(0, 2 * np.pi)
    reach = off_center * traits.radius
    across, down = x[:1] - reach * np.cos(angle), y[:, :1] - reach * np.sin(angle)
    distance = np.sqrt(across**2 + down**2)  # faster than np.hypot
    cloud = fractal_noise(rng, x.shape, 60, 4) * 0.28 * traits.radius
    return soft_step((size * traits.radius - distance + cloud) / (0.22 * traits.radius))


def _paint_melanocytic(inside: np.ndarray, traits: Traits, rng: np.random.Generator) -> np.ndarray:
    """Nevus and melanoma: the same strokes, and only the traits tell them apart."""
    density = rng.uniform(0.0, 0.6) + 0.3 * traits.colors
    colors = blended(_flat(LIGHT_BROWN), DARK_BROWN, np.full(inside.shape, density, np.float32))
    second = DARK_BROWN if density < 0.4 or rng.random() < 0.5 else LIGHT_BROWN
    middle = _patch(traits, 0.55 * traits.asymmetry, rng.uniform(0.35, 0.7), rng)
    colors = blended(colors, second, middle * rng.uniform(0.15, 0.75))
    pattern = rng.choice(["network", "globules", "even"], p=[0.5, 0.25, 0.25])
    if pattern == "network":
        lines = draw_network(CANVAS, rng.uniform(9.0, 15.0), traits.border, rng)
        patchy = soft_step(0.7 + (fractal_noise(rng, inside.shape, 90, 2)) * traits.colors * 1.6)
        colors = blended(colors, DARK_BROWN, lines * patchy * rng.uniform(0.25, 0.6))
    elif pattern == "globules":
        dots = draw_dots(inside, int(rng.integers(25, 90)), (2.0, 4.5), 6.0, rng)
        colors = blended(colors, DARK_BROWN, dots * rng.uniform(0.4, 0.8))
    colors = _add_atypical_colors(colors, traits, rng)
    # Pigment thins out towards the border, on some lesions over most of the radius.
    fading = soft_step(1.0 - inside / (rng.uniform(0.08, 0.6) * traits.radius))
    colors = blended(colors, PALE_BROWN, fading * rng.uniform(0.1, 0.8))
    if rng.random() < traits.border:
        dots = draw_dots(inside, int(rng.integers(4, 30)), (1.5, 4.0), 0.0, rng)
        colors = blended(colors, BLACK, dots * 0.7)
    return _mottle(colors, rng.uniform(0.07, 0.16), 34, rng)


def _add_atypical_colors(
    colors: np.ndarray, traits: Traits, rng: np.random.Generator
) -> np.ndarray:
    """The colours with blotches of others, more of them the higher `traits.colors` is."""
    shares = {DARK_BROWN: 1.0, RED: 0.7, BLACK: 1.0, BLUE_GREY: 1.1, WHITE: 0.7}
    for target, most in shares.items():
        if rng.random() < most * traits.colors**2:
            weight = _patch(traits, rng.uniform(0.1, 0.7), rng.uniform(0.25, 0.6), rng)
            colors = blended(colors, target, weight * rng.uniform(0.5, 0.95))
    return colors


def _paint_keratosis(inside: np.ndarray, traits: Traits, rng: np.random.Generator) -> np.ndarray:
    """Benign keratosis: waxy and stuck on, with milia-like cysts and comedo-like openings."""
    tone = np.full(inside.shape, rng.uniform(0.0, 0.75), np.float32)
    colors = blended(_flat(WAXY), DARK_BROWN if rng.random() < 0.5 else PALE_BROWN, tone)
    ridges = 1.0 - np.abs(fractal_noise(rng, inside.shape, 34, 2))
    colors = blended(colors, DARK_BROWN, soft_step(ridges * 2.0 - 1.0) * rng.uniform(0.0, 0.4))
    cysts = draw_dots(inside, int(rng.integers(4, 28)), (1.8, 4.5), 10.0, rng)
    openings = draw_dots(inside, int(rng.integers(2, 18)), (2.0, 5.0), 10.0, rng)
    colors = blended(colors, DARK_BROWN, openings * 0.8)
    colors = blended(colors, WHITE, cysts * 0.8)
    return _mottle(colors, 0.07 + 0.08 * traits.colors, 40, rng)


def _paint_basal_cell(inside: np.ndarray, traits: Traits, rng: np.random.Generator) -> np.ndarray:
    """Basal cell carcinoma: pink and shiny, with branching vessels and blue-grey nests."""
    colors = blended(_flat(PINK), WHITE, _patch(traits, 0.3, 0.4, rng) * rng.uniform(0.1, 0.7))
    colors = blended(colors, LIGHT_BROWN, _patch(traits, 0.6, 0.4, rng) * rng.uniform(0.0, 0.7))
    if rng.random() < 0.6:
        nests = draw_dots(inside, int(rng.integers(2, 12)), (5.0, 13.0), 8.0, rng)
        colors = blended(colors, BLUE_GREY, cv2.GaussianBlur(nests, (0, 0), 2.5) * 0.9)
    vessels = draw_vessels(CANVAS, int(rng.integers(1, 5)), 0.45 * traits.radius, rng)
    return _mottle(blended(colors, DARK_RED, vessels * 0.75), 0.06, 35, rng)


def _paint_actinic(inside: np.ndarray, traits: Traits, rng: np.random.Generator) -> np.ndarray:
    """Actinic keratosis: red, with yellow-white scale, follicles and at times brown."""
    redness = soft_step(fractal_noise(rng, inside.shape, 30, 4) * 0.8)
    colors = blended(_flat(PINK), RED, redness * rng.uniform(0.4, 0.9))
    colors = blended(colors, LIGHT_BROWN, _patch(traits, 0.5, 0.5, rng) * rng.uniform(0.0, 0.9))
    flakes = soft_step(fractal_noise(rng, inside.shape, 22, 4) * 2.0 - 2.4)
    colors = blended(colors, SCALE_YELLOW, flakes * rng.uniform(0.4, 0.9))
    follicles = draw_dots(inside, int(rng.integers(5, 40)), (2.0, 3.5), 0.0, rng)
    return _mottle(blended(colors, WHITE, follicles * 0.5), 0.07, 30, rng)


def _paint_vascular(inside: np.ndarray, traits: Traits, rng: np.random.Generator) -> np.ndarray:
    """Vascular lesion: red to purple lacunae between paler septa."""
    blood = np.full(inside.shape, rng.uniform(0.0, 1.0), np.float32)
    lacuna = blended(_flat(DARK_RED), PURPLE, blood)
    lacuna = blended(lacuna, BLACK, _patch(traits, 0.4, 0.3, rng) * rng.uniform(0.0, 0.8))
    cells = fractal_noise(rng, inside.shape, rng.uniform(22, 40), 2)
    septa = soft_step(1.0 - np.abs(cells) * 3.5) * rng.uniform(0.2, 0.7)
    veil = _patch(traits, 0.4, 0.4, rng) * rng.uniform(0.0, 0.5)
    return _mottle(blended(blended(lacuna, PINK, septa), WHITE, veil), 0.10, 25, rng)


def _paint_fibroma(inside: np.ndarray, traits: Traits, rng: np.random.Generator) -> np.ndarray:
    """Dermatofibroma: a white scar-like centre in a delicate brown network."""
    tone = np.full(inside.shape, rng.uniform(0.1, 0.6), np.float32)
    colors = blended(_flat(PALE_BROWN), RED if rng.random() < 0.4 else LIGHT_BROWN, tone)
    lines = draw_network(CANVAS, rng.uniform(8.0, 12.0), 0.3, rng)
    colors = blended(colors, DARK_BROWN, lines * rng.uniform(0.2, 0.45))
    center = _patch(traits, 0.1, rng.uniform(0.3, 0.5), rng)
    return _mottle(blended(colors, WHITE, center * rng.uniform(0.5, 0.95)), 0.06, 30, rng)


PAINTERS = {
    "nv": _paint_melanocytic,
    "mel": _paint_melanocytic,
    "bkl": _paint_keratosis,
    "bcc": _paint_basal_cell,
    "akiec": _paint_actinic,
    "vasc": _paint_vascular,
    "df": _paint_fibroma,
}
