"""An image beside its evidence: drawn with OpenCV alone."""

import cv2
import numpy as np

from .maps import Explained

LEAST_SIDE = 256  # of a panel's longer side
# RGB: turquoise and violet, neither of which skin or lesions have
_FOR, _AGAINST = np.float32([0, 200, 150]), np.float32([100, 50, 230])
_STRONGEST = 0.65  # share of the colour where the evidence is strongest
_LINE, _FONT = 18, cv2.FONT_HERSHEY_SIMPLEX  # pixels of a line of text


def overlay(image: np.ndarray, lesion: np.ndarray, why: Explained, lines: list[str]) -> np.ndarray:
    """RGB uint8: the image, then its evidence for (turquoise) and against (violet) the class.

    `image` RGB uint8 [H, W, 3] and `lesion` bool [H, W], drawn as an outline, are as the network
    sees them. `lines` of text stand below.
    """
    scale = max(1.0, LEAST_SIDE / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    plain = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    cells = cv2.resize(why.cells.astype(np.float32), (width, height))
    strength = np.abs(cells)[..., None] / max(float(np.abs(why.cells).max()), 1e-12) * _STRONGEST
    color = np.where(cells[..., None] > 0, _FOR, _AGAINST)
    shown = np.rint(plain + strength.clip(0, 1) * (color - plain)).clip(0, 255).astype(np.uint8)
    outline = cv2.resize(lesion.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    edges, _ = cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, edges, -1, (255, 255, 255), 1)
    both = np.concatenate([plain, shown], axis=1)
    return np.concatenate([both, _text(lines, both.shape[1])])


def _text(lines: list[str], width: int) -> np.ndarray:
    """Black lines on white; what the font lacks is a question mark."""
    strip = np.full((_LINE * len(lines) + 6, width, 3), 255, np.uint8)
    for number, line in enumerate(lines, 1):
        text = line.encode("ascii", "replace").decode()
        size = min(0.45, 0.45 * (width - 8) / max(1, cv2.getTextSize(text, _FONT, 0.45, 1)[0][0]))
        place = (4, _LINE * number - 3)
        cv2.putText(strip, text, place, _FONT, size, (0, 0, 0), 1, cv2.LINE_AA)
    return strip
