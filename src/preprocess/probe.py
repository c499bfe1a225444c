"""The image by which it is seen whether preprocessing still does what it did."""

import numpy as np


def synthetic_image() -> np.ndarray:
    """A fixed 96 x 128 RGB image with gradients, an edge and a texture."""
    y, x = np.mgrid[0:96, 0:128]
    disc = np.hypot(y - 48, x - 60) < 30
    red = 180 + x // 4 - 90 * disc
    green = 120 + y // 2 - 60 * disc + 8 * ((x // 3 + y // 5) % 2)
    blue = 100 + (x * y) % 37 - 30 * disc
    return np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8)
