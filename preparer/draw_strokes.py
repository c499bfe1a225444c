"""Draws what skin and lesions are made of: noise, dots, network lines and vessels, as weights."""

from functools import cache

import cv2
import numpy as np


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int = 4
) -> np.ndarray:
    """Smooth noise with mean 0 and deviation 1: [height, width] float32.

    `cell` is the size in pixels of the coarsest structure; each octave halves it and its weight.
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        size = max(cell / 2**octave, 1.0)
        grid_shape = (int(height / size) + 2, int(width / size) + 2)
        grid = rng.standard_normal(grid_shape, dtype=np.float32) / 2**octave
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    total -= total.mean()
    total /= np.sqrt(np.mean(total * total))
    return total


def soft_step(values: np.ndarray) -> np.ndarray:
    """Weights in 0..1 that rise from 0 at -1 to 1 at +1: float32 of the same shape."""
    ramp = values * 0.5
    ramp += 0.5
    np.clip(ramp, 0.0, 1.0, out=ramp)
    slope = 3.0 - 2.0 * ramp
    ramp *= ramp
    ramp *= slope
    return ramp.astype(np.float32, copy=False)


def blended(image: np.ndarray, color: tuple | np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The image [..., 3] with a colour over it, of this weight [...].

    Channel by channel, each in one piece, which is several times as fast as all at once.
    """
    channels = cv2.split(image)
    for below, value in zip(channels, np.float32(color), strict=True):
        np.add(below, (value - below) * weight, out=below)
    return cv2.merge(channels)


@cache
def centered_grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y in drawing pixels from the centre of a square: two [side, side] float32."""
    axis = np.arange(side, dtype=np.float32) - (side - 1) / 2
    x, y = np.meshgrid(axis, axis)
    return x, y


def draw_network(side: int, period: float, disorder: float, rng: np.random.Generator) -> np.ndarray:
    """Weight 0..1 of a pigment network's lines, a bent honeycomb: [side, side] float32.

    `period` is the mesh width in pixels, `disorder` in 0..1 bends it.
    """
    x, y = centered_grid(side)
    bend = period * (0.35 + 0.9 * disorder)
    x = x + bend * fractal_noise(rng, x.shape, 55, 3)
    y = y + bend * fractal_noise(rng, x.shape, 55, 3)
    turn = rng.uniform(0, np.pi)
    waves = sum(
        np.cos(2 * np.pi / period * (x * np.cos(turn + third) + y * np.sin(turn + third)))
        for third in (0.0, np.pi / 3, 2 * np.pi / 3)
    )
    return soft_step(-waves * 0.9 - 0.1)


def draw_dots(
    inside: np.ndarray, n_dots: int, radius: tuple, depth: float, rng: np.random.Generator
) -> np.ndarray:
    """Weight 0..1 of round dots with centres where `inside` exceeds `depth`: float32, its shape.

    `radius`: least and largest, in pixels.
    """
    image = np.zeros(inside.shape, np.uint8)
    candidates = np.argwhere(inside > depth)
    if len(candidates) == 0:
        return image.astype(np.float32)
    for row, column in candidates[rng.integers(0, len(candidates), n_dots)]:
        size = int(rng.uniform(*radius) * 16)
        center = (int(column * 16), int(row * 16))
        cv2.circle(image, center, size, int(rng.integers(130, 255)), -1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(image, (0, 0), 1.2).astype(np.float32) / 255.0


def draw_vessels(side: int, n_trees: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Weight 0..1 of branching vessels that start near the middle: [side, side] float32.

    `spread` is the standard deviation of their starting points in pixels.
    """
    image = np.zeros((side, side), np.uint8)
    branches = []
    for _ in range(n_trees):
        start = rng.normal(0.0, spread, 2) + side / 2
        branches.append((start, rng.uniform(0, 2 * np.pi), 2.6, 3))
    while branches:
        point, angle, width, generation = branches.pop()
        n_steps = int(rng.integers(5, 10))
        steps = angle + np.cumsum(rng.normal(0.0, 0.28, n_steps))
        path = point + np.cumsum(np.stack([np.cos(steps), np.sin(steps)], 1) * 6.0, axis=0)
        line = np.round(np.vstack([point, path]) * 16).astype(np.int32)
        cv2.polylines(image, [line], False, 230, max(1, round(width)), cv2.LINE_AA, 4)
        if generation:
            for direction in (-1, 1):
                turn = direction * rng.uniform(0.3, 0.8)
                branches.append((path[-1], steps[-1] + turn, width * 0.68, generation - 1))
    return cv2.GaussianBlur(image, (0, 0), 0.8).astype(np.float32) / 255.0
