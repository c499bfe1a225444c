"""Skin, the lesion on it and something white in a clinical photograph, RGB uint8.

Unlike in a dermoscopic image there is more in view than skin: rulers, cloth, hands, the room.
"""

from typing import NamedTuple

import cv2
import numpy as np

from .color import linear_from_srgb, srgb_from_linear
from .shapes import (
    LESION_SIDE,
    at_longer_side,
    dilate,
    ellipse,
    enlarged,
    heaviest_component,
    squared_radius,
)

# In CIELAB, and wide: light from one side, blood and tan vary one person's skin by so much.
_COLOR_RANGE = 16.0  # of a* and b* about the skin's colour
_DARKER, _LIGHTER = 35.0, 30.0  # of L*
_SHADE = 0.25  # of the skin, its darkest part
_REDDISH = 8.0  # a* of skin; cloth and walls of much the same colour have less
# A white surface, against the skin: its chroma in that direction, and the least lightness above it.
_NEUTRAL, _BRIGHTER, _MOST_CHROMA = 0.6, 6.0, 20.0
_LEAST_RULER, _LEAST_FILLED = 0.008, 0.7  # of the picture; of the rectangle around it
_ON_SKIN = 0.4  # of a ruler's rim that has the skin's colour; what lies beside the skin has less
_WHITE = 0.8  # relative luminance of white plastic and paper
_MOST_GAIN = 3.0  # of linear light: more, and the white surface is not in the skin's light


class Photograph(NamedTuple):
    """What is in view, as bool [height, width]: skin, its evenly lit part, something white.

    `by_pen` is where it is blue or purple.
    """

    skin: np.ndarray
    lit_skin: np.ndarray
    white: np.ndarray
    by_pen: np.ndarray


def look_at(image: np.ndarray) -> Photograph:
    """The masks of an RGB uint8 photograph, found in a copy of `LESION_SIDE`.

    Skin is one piece of one colour: the commonest near the centre, reddish ones first. White is a
    ruler or a label: the largest bright and nearly neutral surface that fills a rectangle.
    """
    lab = _lab(at_longer_side(image, LESION_SIDE))
    color = _skin_color(lab)
    lit = skin = _skin(lab, color)
    if skin.any():
        lit = skin & (lab[..., 0] >= np.quantile(lab[..., 0][skin], _SHADE))
    by_pen = lab[..., 2] < min(0.0, color[2] - _COLOR_RANGE / 2)
    masks = (skin, lit, _white(lab, color), by_pen)
    return Photograph(*(enlarged(mask, image.shape[:2]) for mask in masks))


def white_gain(image: np.ndarray, white: np.ndarray) -> float:
    """What linear light is to be multiplied by for the pixels of `white` to look white."""
    red, green, blue = linear_from_srgb(np.median(image[white], axis=0))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return float(np.clip(_WHITE / max(luminance, 1e-3), 1 / _MOST_GAIN, _MOST_GAIN))


def relit(image: np.ndarray, gain: float) -> np.ndarray:
    """The RGB uint8 image with its linear light multiplied by `gain`; 255 is the most."""
    table = srgb_from_linear(linear_from_srgb(np.arange(256)) * gain)
    return cv2.LUT(image, np.rint(table).astype(np.uint8))


def _lab(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)


def _skin_color(lab: np.ndarray) -> np.ndarray:
    """L*a*b* [3] of the skin: the mode of colours that skin can have, by a mean shift."""
    lightness, a, b = cv2.split(lab)
    possible = (lightness > 15) & (lightness < 97) & (a > -3) & (b > -3) & (b < 55)
    if not possible.any():
        return np.array([60.0, 10.0, 15.0])
    middle = np.median(lab[possible], axis=0)
    grey = (cv2.magnitude(a, b) < 0.5 * np.hypot(*middle[1:])) & (lightness > middle[0] + 10)
    possible = possible & ~grey if (possible & ~grey).any() else possible
    weight = np.exp(-squared_radius(a.shape)) * np.clip(a / _REDDISH, 0.1, 1) ** 2
    colors, weights = lab[possible][::3], weight[possible][::3]
    width = np.array([15.0, 8.0, 10.0], np.float32)
    cells = np.floor(colors / (width / 2)).astype(int)
    cells -= cells.min(axis=0)
    cell = np.ravel_multi_index(cells.T, cells.max(axis=0) + 1)
    in_cell = cell == np.bincount(cell, weights).argmax()
    color = np.average(colors[in_cell], axis=0, weights=weights[in_cell])
    for _ in range(10):
        near = (((colors - color) / width) ** 2).sum(axis=1) < 1
        if near.any():
            color = np.average(colors[near], axis=0, weights=weights[near])
    return color


def _skin(lab: np.ndarray, color: np.ndarray) -> np.ndarray:
    lightness, a, b = cv2.split(lab)
    near = np.hypot(a - color[1], b - color[2]) < _COLOR_RANGE
    lit = (lightness > max(color[0] - _DARKER, 15)) & (lightness < min(color[0] + _LIGHTER, 97))
    skin = cv2.morphologyEx((near & lit).astype(np.uint8), cv2.MORPH_OPEN, ellipse(5))
    skin = heaviest_component(skin, np.exp(-squared_radius(skin.shape)))
    return skin & ~_white(lab, color)


def _white(lab: np.ndarray, color: np.ndarray) -> np.ndarray:
    lightness, a, b = cv2.split(lab)
    near = np.hypot(a - color[1], b - color[2]) < _COLOR_RANGE
    along = (a * color[1] + b * color[2]) / max(color[1] ** 2 + color[2] ** 2, 1.0)
    white = (along < _NEUTRAL) & (cv2.magnitude(a, b) < _MOST_CHROMA)
    white = (white & (lightness > color[0] + _BRIGHTER)).astype(np.uint8)
    # print is closed, speckle is opened
    white = cv2.morphologyEx(white, cv2.MORPH_CLOSE, ellipse(5))
    white = cv2.morphologyEx(white, cv2.MORPH_OPEN, ellipse(5))
    found, largest = np.zeros(white.shape, bool), _LEAST_RULER * white.size
    n, labels, stats, _ = cv2.connectedComponentsWithStats(white)
    for label in range(1, n):
        area = stats[label, cv2.CC_STAT_AREA]
        if area >= largest:
            piece = labels == label
            points = cv2.findNonZero(piece.astype(np.uint8))
            width, height = cv2.minAreaRect(points)[1]
            rim = dilate(piece, 9) & ~piece
            on_skin = np.mean(near[rim]) > _ON_SKIN if rim.any() else False
            if on_skin and area > _LEAST_FILLED * (width + 1) * (height + 1):
                found, largest = piece, area
    return found
