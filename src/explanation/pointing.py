"""The pointing game: whether a map is strongest inside of the lesion; needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..trust.certificate import exact_interval
from .maps import share_inside


@dataclass(frozen=True)
class Pointed:
    """What a map says of the lesion: whether it `hits`, and the `share` of it that is inside.

    The share is that of `share_inside`, None of a map without anything positive.
    """

    hits: bool
    share: float | None


def point(cells: np.ndarray, lesion: np.ndarray) -> Pointed:
    """Of a map float [h, w] and a lesion bool [H, W], whose whole image the map covers.

    The map hits where it is strongest inside of the lesion (Zhang et al. 2018, here without
    tolerance); of a strongest cell it is the middle.
    """
    height, width = lesion.shape
    large = cv2.resize(cells.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    strongest = np.argwhere(large == large.max())
    row, column = np.rint(strongest.mean(axis=0)).astype(int)
    return Pointed(bool(lesion[row, column]), share_inside(cells, lesion))


def at_center(lesion: np.ndarray) -> Pointed:
    """The baseline: the middle of the image, and the share of the image that is lesion."""
    height, width = lesion.shape
    return Pointed(bool(lesion[height // 2, width // 2]), float(lesion.mean()))


def pointing_game(name: str, found: Sequence[Pointed]) -> str:
    """How often maps called `name` hit, with the exact 95 % interval, and their mean share."""
    hits, n = sum(one.hits for one in found), len(found)
    low, high = exact_interval(hits, n)
    shares = [one.share for one in found if one.share is not None]
    inside = f", {np.mean(shares):.0%} of it inside" if shares else ""
    return f"{name} {hits} of {n} ({hits / n:.1%}, 95 % CI {low:.1%}–{high:.1%}){inside}"
