"""Decision thresholds chosen on validation rows."""

import numpy as np

from src.core.errors import UserError


def threshold_at_specificity(target: np.ndarray, score: np.ndarray, specificity: float) -> float:
    """The lowest threshold with at least this specificity; `score >= threshold` is positive.

    `target` bool [N] and `score` float [N]. Raises `UserError` without negative rows.
    """
    negatives = np.sort(score[~target])[::-1]
    if not len(negatives):
        raise UserError("no negative rows: a threshold of given specificity needs some")
    n_allowed = int((1 - specificity) * len(negatives) + 1e-9)
    if n_allowed >= len(negatives):
        return -np.inf
    return float(np.nextafter(negatives[n_allowed], np.inf))
