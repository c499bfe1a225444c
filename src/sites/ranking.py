"""AUROC: of scores by patient, and of histograms that several sites told."""

from collections.abc import Sequence

import numpy as np

_LEAST_WIDTH = 1e-6  # of a bin whose mean lies on its edge


def auroc_by_patient(
    positive: np.ndarray, negative: np.ndarray, patients: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """(AUROC, its standard error) of the scores of both classes, whose images come from `patients`.

    The standard error is Obuchowski's for clustered images (Biometrics 53, 1997), NaN where a class
    has images of fewer than two patients.
    """
    placements = (
        _shares_below(np.sort(negative), positive),
        1 - _shares_below(np.sort(positive), negative),
    )
    area = float(placements[0].mean())
    units, codes = np.unique(np.concatenate(patients), return_inverse=True)
    sums, variance = [], 0.0
    for values, own in zip(placements, np.split(codes, [len(positive)]), strict=True):
        by_unit = np.bincount(own, values - area, len(units)) / len(values)
        n_units = len(np.unique(own))
        if n_units < 2:
            return area, float("nan")
        sums.append(by_unit)
        variance += n_units / (n_units - 1) * float((by_unit**2).sum())
    covariance = len(units) / (len(units) - 1) * float((sums[0] * sums[1]).sum())
    return area, float(np.sqrt(max(0.0, variance + 2 * covariance)))


def _shares_below(sorted_scores: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of each score, the share of `sorted_scores` below it, with half of those that are equal."""
    below = np.searchsorted(sorted_scores, scores, "left")
    up_to = np.searchsorted(sorted_scores, scores, "right")
    return (below + up_to) / 2 / len(sorted_scores)


def auroc_of_histograms(positive: Sequence[dict], negative: Sequence[dict]) -> float:
    """AUROC of pooled histograms (`edges`, `counts`, `means`).

    The scores of a bin are spread evenly around their mean, as far as the nearer edge.
    """
    parts = [_pieces(histograms) for histograms in (positive, negative)]
    grid = np.unique(np.concatenate([ends for low, high, _ in parts for ends in (low, high)]))
    of_positive, of_negative = (_distribution(*part, grid) for part in parts)
    middle = (of_negative[1:] + of_negative[:-1]) / 2
    return float((np.diff(of_positive) * middle).sum())


def _pieces(histograms: Sequence[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lower ends, upper ends, counts) of where the scores of each bin are spread."""
    told = [(np.array(h["edges"]), np.array(h["means"]), h["counts"]) for h in histograms]
    half = np.concatenate([np.minimum(m - e[:-1], e[1:] - m) for e, m, _ in told])
    half = np.maximum(half, _LEAST_WIDTH)
    means = np.concatenate([m for _, m, _ in told])
    return means - half, means + half, np.concatenate([c for *_, c in told])


def _distribution(low, high, counts, grid: np.ndarray) -> np.ndarray:
    """The share of all scores below each point of the grid."""
    inside = np.clip((grid[:, None] - low) / (high - low), 0, 1)
    return inside @ counts / counts.sum()
