"""An image beside what speaks for its class: drawn with OpenCV alone."""

from collections.abc import Sequence

import cv2
import numpy as np

LEAST_SIDE = 256  # of a panel's longer side
# RGB: turquoise and violet, neither of which skin or lesions have
_FOR, _AGAINST = np.float32([0, 200, 150]), np.float32([100, 50, 230])
_STRONGEST = 0.65  # share of the colour where the evidence is strongest
_LINE, _FONT = 18, cv2.FONT_HERSHEY_SIMPLEX  # pixels of a line of text


def overlay(
    image: np.ndarray, lesion: np.ndarray, maps: Sequence[np.ndarray], lines: list[str]
) -> np.ndarray:
    """RGB uint8: the image, then, for each map, what speaks for (turquoise) and against (violet).

    `image` RGB uint8 [H, W, 3] and `lesion` bool [H, W], drawn as an outline, are as the network
    sees them; a map is float [h, w]. `lines` of text stand below.
    """
    scale = max(1.0, LEAST_SIDE / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    plain = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    outline = cv2.resize(lesion.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    edges, _ = cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    panels = [plain, *(_tinted(plain, cells) for cells in maps)]
    for panel in panels[1:]:
        cv2.drawContours(panel, edges, -1, (255, 255, 255), 1)
    drawn = np.concatenate(panels, axis=1)
    return np.concatenate([drawn, _text(lines, drawn.shape[1])]) if lines else drawn


def contact_sheet(overlays: Sequence[np.ndarray], n_columns: int) -> np.ndarray:
    """RGB uint8: overlays of one size, one or more, in rows; places left over are white."""
    left_over = -len(overlays) % n_columns
    filled = [*overlays, *[np.full_like(overlays[0], 255)] * left_over]
    rows = (filled[start : start + n_columns] for start in range(0, len(filled), n_columns))
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def _tinted(plain: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The image with its cells, float [h, w], in colour: the stronger, the more of it."""
    height, width = plain.shape[:2]
    strongest = max(float(np.abs(cells).max()), 1e-12)
    cells = cv2.resize(cells.astype(np.float32), (width, height))[..., None]
    strength = (np.abs(cells) / strongest * _STRONGEST).clip(0, 1)
    color = np.where(cells > 0, _FOR, _AGAINST)
    return np.rint(plain + strength * (color - plain)).clip(0, 255).astype(np.uint8)


def _text(lines: list[str], width: int) -> np.ndarray:
    """Black lines on white; what the font lacks is a question mark."""
    strip = np.full((_LINE * len(lines) + 6, width, 3), 255, np.uint8)
    for number, line in enumerate(lines, 1):
        text = line.encode("ascii", "replace").decode()
        size = min(0.45, 0.45 * (width - 8) / max(1, cv2.getTextSize(text, _FONT, 0.45, 1)[0][0]))
        place = (4, _LINE * number - 3)
        cv2.putText(strip, text, place, _FONT, size, (0, 0, 0), 1, cv2.LINE_AA)
    return strip
