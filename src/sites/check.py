"""A site's file, checked before it is pooled: what it must hold, and how its numbers must fit."""

from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import require
from .collect import VERSION
from .disclosure import CELLS, LEAST
from .signed import read_signed


def read_site(path: Path, key: bytes) -> dict[str, Any]:
    """The content of a site's file. Raises `UserError` for a wrong signature or wrong numbers."""
    site = read_signed(path, key)
    wrong = f"{path}: not the file of a site of this version, or its numbers do not fit each other"
    try:
        groups = site["groups"]
        fits = (
            site["version"] == VERSION
            and all(type(site[name]) is str for name in ("site", "model", "positive"))
            and 0 < len(site["site"]) <= 60
            and type(site["n"]) is int
            and len(groups) <= 50
        )
        if site["cells"] is not None:
            histogram = site["histogram"]
            fits = fits and _are_cells(site["cells"]) and sum(site["cells"].values()) == site["n"]
            fits = fits and _is_auroc(site["auroc"]) and _is_histogram(histogram)
            fits = fits and all(
                _are_cells(g["cells"]) and _is_auroc(g["auroc"]) for g in groups.values()
            )
            for name in CELLS:
                fits = (
                    fits and sum(g["cells"][name] for g in groups.values()) <= site["cells"][name]
                )
    except (KeyError, TypeError, ValueError, AttributeError):
        fits = False
    require(bool(fits), wrong)
    return site


def _are_cells(cells: Any) -> bool:
    return [*sorted(cells)] == [*sorted(CELLS)] and all(
        type(count) is int and LEAST <= count < 2**40 for count in cells.values()
    )


def _is_auroc(pair: Any) -> bool:
    value, error = pair
    return 0 <= value <= 1 and 0 <= error <= 1


def _is_histogram(found: Any) -> bool:
    edges, counts = found["edges"], [*found["positive"], *found["negative"]]
    n_blocks = len(found["positive"])
    return (
        len(edges) == (n_blocks + 1 if n_blocks else 0)
        and len(found["negative"]) == n_blocks <= 1000
        and bool((np.diff(np.array(edges, float)) > 0).all())
        and all(type(count) is int and count >= LEAST for count in counts)
    )
