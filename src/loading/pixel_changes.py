"""Random changes of pixels, fused: one warp for all geometry, one matrix for all colour.

Parameters are drawn as torchvision's transforms of the same names draw theirs. Applied one after
the other these interpolate, round and clip once for each operation; here once for each kind, which
is nearer to the exact result and takes a tenth of the time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import cv2
import numpy as np

# (height, width) and a generator to the matrix [3, 3] from old to new pixel coordinates (x, y, 1)
Geometry = Callable[[tuple[int, int], np.random.Generator], np.ndarray]

GREY = np.array([0.2989, 0.587, 0.114])  # weights of ITU-R 601, as in torchvision
_SOFTER = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13  # torchvision's blur to sharpen against


@dataclass(frozen=True)
class Change:
    """`change(image, rng)`: RGB uint8 [H, W, 3] as `apply` changes it by what is drawn for it.

    `draw(size, rng)` is None for an image that stays as it is.
    """

    draw: Callable[[tuple[int, int], np.random.Generator], Any]
    apply: Callable[[np.ndarray, Any], np.ndarray]

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        drawn = self.draw(image.shape[:2], rng)
        return image if drawn is None else self.apply(image, drawn)


@dataclass(frozen=True)
class Fused:
    """All of `geometry` in one warp with black around it, then the `changes` in their order."""

    geometry: tuple[Geometry, ...]
    changes: tuple[Change, ...]

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, list]:
        """(the whole geometry [3, 3], what is drawn for each of the changes)."""
        matrix = reduce(lambda done, draw: draw(size, rng) @ done, self.geometry, np.eye(3))
        return matrix, [change.draw(size, rng) for change in self.changes]

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        matrix, drawn = self.draw(image.shape[:2], rng)
        if not np.array_equal(matrix, np.eye(3)):
            image = warped(image, matrix)
        for change, value in zip(self.changes, drawn, strict=True):
            image = image if value is None else change.apply(image, value)
        return image


def fused(geometry: Sequence[Geometry], *changes: Change) -> Fused:
    """See `Fused`."""
    return Fused(tuple(geometry), changes)


def warped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The image under a matrix [3, 3] of pixel coordinates, bilinear, black where nothing was."""
    size = image.shape[1::-1]
    if np.array_equal(matrix[2], (0, 0, 1)):
        return cv2.warpAffine(image, matrix[:2], size, flags=cv2.INTER_LINEAR)
    return cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR)


def flip(horizontal: float = 0.5, vertical: float = 0.5) -> Geometry:
    """Left and right, and top and bottom, exchanged with these probabilities."""
    return partial(_flip, horizontal, vertical)


def _flip(
    horizontal: float, vertical: float, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    matrix = np.eye(3)
    for axis, probability in enumerate((horizontal, vertical)):
        if rng.random() < probability:
            matrix[axis, axis], matrix[axis, 2] = -1, size[1 - axis] - 1
    return matrix


def transposition(probability: float = 0.5) -> Geometry:
    """Rows and columns of a square exchanged with this probability; other images stay."""
    return partial(_transpose, probability)


def _transpose(probability: float, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    is_exchanged = size[0] == size[1] and rng.random() < probability
    return np.eye(3)[[1, 0, 2]] if is_exchanged else np.eye(3)


def affine(degrees: float, shift: float, scale: tuple[float, float] = (1.0, 1.0)) -> Geometry:
    """Turned by +-`degrees`, scaled within `scale`, shifted by up to `shift` of each side."""
    return partial(_affine, degrees, shift, scale)


def _affine(
    degrees: float,
    shift: float,
    scale: tuple[float, float],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    angle = rng.uniform(-degrees, degrees)
    right, down = np.rint(rng.uniform(-shift, shift, 2) * size[::-1])
    return affine_matrix(size, angle, (right, down), rng.uniform(*scale))


def affine_matrix(
    size: tuple[int, int], angle: float, shift: tuple[float, float], scale: float
) -> np.ndarray:
    """[3, 3]: clockwise by `angle` degrees about the centre, scaled, then shifted in pixels."""
    centre = (size[1] - 1) / 2, (size[0] - 1) / 2
    turn = cv2.getRotationMatrix2D(centre, -angle, scale)  # OpenCV turns counter-clockwise
    turn[:, 2] += shift
    return np.vstack([turn, (0, 0, 1)])


def shear(degrees: float) -> Geometry:
    """Rows moved along themselves, about the centre, so that columns lean by +-`degrees`."""
    return partial(_shear, degrees)


def _shear(degrees: float, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    lean = np.tan(np.radians(rng.uniform(-degrees, degrees)))
    return np.array([[1, lean, -lean * (size[0] - 1) / 2], [0, 1, 0], [0, 0, 1]])


def perspective(distortion: float, probability: float = 0.5) -> Geometry:
    """Each corner moved inwards by up to half of `distortion` of each side."""
    return partial(_perspective, distortion, probability)


def _perspective(
    distortion: float, probability: float, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    if rng.random() >= probability:
        return np.eye(3)
    height, width = size
    most = (int(distortion * (width // 2)), int(distortion * (height // 2)))
    inwards = rng.integers(0, np.add(most, 1), (4, 2))
    corners = np.float32([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)])
    towards = np.float32([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    return cv2.getPerspectiveTransform(corners, np.float32(corners + towards * inwards))


def jitter(brightness: float, contrast: float, saturation: float, hue: float) -> Change:
    """Brightness, contrast and saturation by 1 +- each, hue by +-`hue` of a turn, in any order."""
    return Change(partial(_draw_colors, np.array([brightness, contrast, saturation, hue])), colored)


def _draw_colors(
    most: np.ndarray, _: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    order = rng.permutation(4)
    values = rng.uniform(np.maximum(0, 1 - most), 1 + most)
    values[3] -= 1
    return order, values


def colored(image: np.ndarray, drawn: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The image under the `color_matrix` of (order, values)."""
    return cv2.transform(image, color_matrix(cv2.mean(image)[:3], *drawn))


def color_matrix(
    mean: Sequence[float], order: Sequence[int], values: Sequence[float]
) -> np.ndarray:
    """[3, 4]: the colour changes in `order` as one, for an image of this `mean` colour.

    0: brightness, 1: contrast about the grey of the mean, 2: saturation, 3: hue in turns. Hue moves
    green by 6 x turns x (red - blue), which is what it does in HSV where red and blue are the
    extremes, as they are in skin; of other colours it turns the hue the same way by another amount.
    """
    matrix = np.eye(3, 4)
    for kind in order:
        value = values[kind]
        if kind == 0:
            matrix *= value
        elif kind == 1:
            grey = GREY @ (matrix @ [*mean, 1])
            matrix *= value
            matrix[:, 3] += (1 - value) * grey
        elif kind == 2:
            matrix = (value * np.eye(3) + (1 - value) * GREY) @ matrix
        else:
            matrix[1] += 6 * value * (matrix[0] - matrix[2])
    return matrix


def blur(sigma: tuple[float, float], probability: float) -> Change:
    """Gaussian over 3 x 3 pixels with a standard deviation within `sigma`."""
    return Change(partial(_draw_sigma, sigma, probability), blurred)


def _draw_sigma(
    sigma: tuple[float, float], probability: float, _: tuple[int, int], rng: np.random.Generator
) -> float | None:
    return None if rng.random() >= probability else rng.uniform(*sigma)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """The image under a Gaussian of 3 x 3 pixels, mirrored at its edges."""
    return cv2.GaussianBlur(image, (3, 3), sigma, borderType=cv2.BORDER_REFLECT_101)


def sharpen(factors: tuple[float, float], probability: float = 0.5) -> Change:
    """The difference to a softer image times a factor within `factors`; outermost pixels stay.

    Above 1 the image is sharpened, below it is softened.
    """
    return Change(partial(_draw_kernel, factors, probability), sharpened)


def _draw_kernel(
    factors: tuple[float, float], probability: float, _: tuple[int, int], rng: np.random.Generator
) -> np.ndarray | None:
    if rng.random() >= probability:
        return None
    factor = rng.uniform(*factors)
    kernel = (1 - factor) * _SOFTER
    kernel[1, 1] += factor
    return kernel


def sharpened(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The image under a kernel [3, 3], but for its outermost pixels."""
    result = image.copy()
    result[1:-1, 1:-1] = cv2.filter2D(image, -1, kernel)[1:-1, 1:-1]
    return result


def masked_rectangle(probability: float, area: tuple[float, float]) -> Change:
    """A black rectangle on this share of the area, its sides' ratio within 0.3 and 3.3."""
    return Change(partial(_draw_rectangle, probability, area), blackened)


def _draw_rectangle(
    probability: float, area: tuple[float, float], size: tuple[int, int], rng: np.random.Generator
) -> tuple[slice, slice] | None:
    if rng.random() >= probability:
        return None
    height, width = size
    for _ in range(10):  # as often as torchvision tries to find one that fits
        pixels, ratio = (
            height * width * rng.uniform(*area),
            np.exp(rng.uniform(*np.log((0.3, 3.3)))),
        )
        tall, wide = round(np.sqrt(pixels * ratio)), round(np.sqrt(pixels / ratio))
        if tall < height and wide < width:
            top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
            return slice(top, top + tall), slice(left, left + wide)
    return None


def blackened(image: np.ndarray, rectangle: tuple[slice, slice]) -> np.ndarray:
    """The image with a black rectangle."""
    image = image.copy()
    image[rectangle] = 0
    return image
