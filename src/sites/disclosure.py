"""Which counts may leave a site: no cell below a least number, nor one that totals give away.

Groups partition a site's images. Of each class their number is told, and how many of them the model
flagged, where that names no small cell; the same holds for what a reader could subtract, since the
counts of all images are told as well (complementary suppression; Hundepool et al., Statistical
Disclosure Control, 2012).
"""

from collections.abc import Sequence

import numpy as np

LEAST = 10  # images in a cell
NOTHING, NUMBER, FLAGGED = range(3)  # what is told of a group's images of one class
# scores in steps of .05 of their logit
EDGES = np.round(np.arange(-240, 241) * 0.05, 2)


def what_is_told(
    flagged: Sequence[int], others: Sequence[int], least: int = LEAST
) -> tuple[int, np.ndarray]:
    """(of all images, int [groups] of each group): `NOTHING`, their `NUMBER`, or also `FLAGGED`.

    `flagged` and `others` [groups] count a class's images by what the model decided. Neither a cell
    that is told nor the rest of a total, taken over the groups without that cell, is below `least`,
    and no such rest is that of one group.
    """
    cells = np.array([flagged, others], np.int64).reshape(2, -1)
    of_all = int(_own_level(cells.sum(axis=1, keepdims=True), least)[0])
    levels = np.minimum(_own_level(cells, least), of_all)
    numbers = cells.sum(axis=0)
    for level, counts in ((NUMBER, numbers[None]), (FLAGGED, cells)):
        while of_all >= level and _gives_away(counts, levels < level, least):
            told = np.flatnonzero(levels >= level)
            levels[told[np.argmin(numbers[told])]] = level - 1
    return of_all, levels


def _own_level(cells: np.ndarray, least: int) -> np.ndarray:
    both = cells.min(axis=0) >= least
    return np.where(both, FLAGGED, np.where(cells.sum(axis=0) >= least, NUMBER, NOTHING))


def _gives_away(counts: np.ndarray, hidden: np.ndarray, least: int) -> bool:
    """Whether totals less what is told reveal a small cell, or a cell of a single group."""
    n_hidden = int(hidden.sum())
    return bool(n_hidden) and (n_hidden == 1 or counts[:, hidden].sum(axis=1).min() < least)


def histogram(
    scores: np.ndarray, secret: Sequence[int] = (), least: int = LEAST
) -> dict[str, list]:
    """Bins by their `edges` on the scale of `logit`: the `counts`, each at least `least`, and the
    `means` of the scores in them.

    `scores` are probabilities, `least` of them or more. No edge has as many scores below it as one
    of the `secret` counts, which it would give away.
    """
    values = logit(scores)
    below = np.cumsum(np.histogram(values, EDGES)[0])
    edges, since = [0], 0
    for place, n_below in enumerate(below[:-1].tolist()):
        is_large = n_below - since >= least and len(values) - n_below >= least
        if is_large and n_below not in secret:
            edges.append(place + 1)
            since = n_below
    bounds = EDGES[[*edges, -1]]
    counts = np.histogram(values, bounds)[0]
    sums = np.histogram(values, bounds, weights=values)[0]
    means = np.clip(np.round(sums / counts, 2), bounds[:-1], bounds[1:])
    return {"edges": bounds.tolist(), "counts": counts.tolist(), "means": means.tolist()}


def logit(scores: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of probabilities, within the `EDGES`."""
    p = np.clip(np.asarray(scores, np.float64), 1e-12, 1 - 1e-12)
    return np.clip(np.log(p) - np.log1p(-p), EDGES[0], EDGES[-1])
