"""What may leave a site: counts of which none is below ten, nor one that totals give away."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

LEAST = 10  # rows in a cell
CELLS = ("tp", "fn", "fp", "tn")
# of the logit of the score; all sites share these edges, so that histograms can be pooled
EDGES = np.round(np.linspace(-8, 8, 321), 6)


def cells_of(target: np.ndarray, decided: np.ndarray) -> dict[str, int]:
    """Rows by class and decision, both bool [N]."""
    kinds = (target & decided, target & ~decided, ~target & decided, ~target & ~decided)
    return {name: int(kind.sum()) for name, kind in zip(CELLS, kinds, strict=True)}


def is_safe(cells: dict[str, int]) -> bool:
    """Whether every cell holds `LEAST` rows."""
    return min(cells.values()) >= LEAST


def safe_groups(groups: dict[str, dict[str, int]], total: dict[str, int]) -> list[str]:
    """The groups whose cells may be told beside those of all rows.

    What is left of the total without them is either nothing or safe itself: else the smallest of
    the groups is held back too, until it is.
    """
    told = sorted(
        (g for g, c in groups.items() if is_safe(c)), key=lambda g: sum(groups[g].values())
    )
    while told:
        rest = {name: total[name] - sum(groups[g][name] for g in told) for name in CELLS}
        if not any(rest.values()) or is_safe(rest):
            break
        told.pop(0)
    return sorted(told)


def histogram(scores: np.ndarray, target: np.ndarray, threshold: float | None) -> dict:
    """`edges` [blocks + 1], `positive` and `negative` [blocks] of logits of scores [N].

    Neighbouring bins of `EDGES` are joined until each block holds `LEAST` rows of both classes. No
    block lies across the `threshold`, on both sides of which rows are counted as well: what lies
    between the two would be a cell that nobody has looked at. Without enough rows there is none.
    """
    edges = EDGES if threshold is None else np.union1d(EDGES, [round(threshold, 6)])
    edges = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])
    counts = [np.histogram(scores[kind], edges)[0] for kind in (target, ~target)]
    cuts = [0, len(counts[0])]
    if threshold is not None:
        cuts.insert(1, int(np.flatnonzero(edges == round(threshold, 6))[0]))
    bounds = [0]
    for start, end in pairwise(cuts):
        inner = _joined(*(count[start:end] for count in counts))
        if inner is None:  # one side holds too little: nothing can be told of either
            return {"edges": [], "positive": [], "negative": []}
        bounds += [start + place for place in inner]
    told = [np.add.reduceat(count, bounds[:-1]) for count in counts]
    inner = [float(edges[place]) for place in bounds[1:-1]]
    return {
        "edges": [float(EDGES[0]), *inner, float(EDGES[-1])],
        "positive": told[0].tolist(),
        "negative": told[1].tolist(),
    }


def _joined(positive: np.ndarray, negative: np.ndarray) -> list[int] | None:
    """The ends of blocks with `LEAST` rows of both kinds; None where there is not even one."""
    ends, sums = [], np.zeros(2, int)
    for place, pair in enumerate(zip(positive, negative, strict=True)):
        sums += pair
        if sums.min() >= LEAST:
            ends.append(place + 1)
            sums[:] = 0
    if not ends:
        return None
    ends[-1] = len(positive)  # what is left at the end joins the last block
    return ends


def auroc(scores: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """(AUROC, standard error) by placements (DeLong et al. 1988), ties counting half."""
    positive, negative = np.sort(scores[target]), np.sort(scores[~target])
    n, m = len(positive), len(negative)
    if min(n, m) < 2:
        return float("nan"), float("nan")
    placements = []
    for own, other in ((positive, negative), (negative, positive)):
        below = np.searchsorted(other, own, "left") + np.searchsorted(other, own, "right")
        placements.append(below / (2 * len(other)))
    value = float(placements[0].mean())
    variance = placements[0].var(ddof=1) / n + placements[1].var(ddof=1) / m
    return value, float(np.sqrt(variance))


def pooled_auroc(histograms: Sequence[dict]) -> float:
    """The AUROC of all rows together, from their histograms; NaN without any.

    Rows of a block are spread evenly over the bins of `EDGES` that it spans.
    """
    totals = [np.zeros(len(EDGES) - 1), np.zeros(len(EDGES) - 1)]
    for one in histograms:
        for total, name in zip(totals, ("positive", "negative"), strict=True):
            for low, high, count in zip(one["edges"], one["edges"][1:], one[name], strict=False):
                inside = np.clip(np.minimum(EDGES[1:], high) - np.maximum(EDGES[:-1], low), 0, None)
                total += count * inside / inside.sum()
    positive, negative = totals
    if not positive.sum() or not negative.sum():
        return float("nan")
    before = negative.cumsum() - negative / 2
    return float((positive * before).sum() / (positive.sum() * negative.sum()))
