"""Decision thresholds chosen on validation rows, and decisions at them."""

import numpy as np

from ..core.errors import UserError
from ..core.registry import Registry

# Rules (target bool [N], score [N]) -> threshold, `score >= threshold` being positive.
# `max_f1`, `youden` and `sensitivity` give the score of a row, which is the highest of the
# thresholds with the same decisions; of equally good ones the highest, with the fewest positives.
THRESHOLDS = Registry("threshold rule")


@THRESHOLDS.register
def fixed(*, value: float = 0.5) -> float:
    """The given threshold, a probability from 0 to 1."""
    if not 0 <= value <= 1:
        raise UserError(f"fixed(value={value}): expected 0 to 1")
    return value


@THRESHOLDS.register
def max_f1(target: np.ndarray, score: np.ndarray) -> float:
    """The threshold with the highest F1. Raises `UserError` without positive rows."""
    _require_rows("max_f1", score, positive=target)
    thresholds, n_hits, n_alarms = _counts(target, score)
    return float(thresholds[np.argmax(2 * n_hits / (target.sum() + n_hits + n_alarms))])


@THRESHOLDS.register
def youden(target: np.ndarray, score: np.ndarray) -> float:
    """The threshold with the highest sensitivity + specificity - 1 (Youden 1950).

    Raises `UserError` without rows of both kinds.
    """
    _require_rows("youden", score, positive=target, negative=~target)
    thresholds, n_hits, n_alarms = _counts(target, score)
    # in whole numbers, so that equal ones are equal
    return float(thresholds[np.argmax(n_hits * (~target).sum() - n_alarms * target.sum())])


@THRESHOLDS.register
def sensitivity(target: np.ndarray, score: np.ndarray, *, least: float = 0.9) -> float:
    """The highest threshold with at least this sensitivity, above 0 and up to 1.

    Raises `UserError` without positive rows.
    """
    _require_share("sensitivity", least)
    _require_rows("sensitivity", score, positive=target)
    positives = np.sort(score[target])[::-1]
    n_needed = max(int(np.ceil(least * len(positives) - 1e-9)), 1)
    return float(positives[n_needed - 1])


@THRESHOLDS.register
def specificity(target: np.ndarray, score: np.ndarray, *, least: float = 0.9) -> float:
    """The lowest threshold with at least this specificity, above 0 and up to 1.

    It lies just above the score of a negative row. Raises `UserError` without negative rows.
    """
    _require_share("specificity", least)
    _require_rows("specificity", score, negative=~target)
    return threshold_at_specificity(target, score, least)


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


def choose_threshold(rule: str, target: np.ndarray, score: np.ndarray) -> float:
    """The threshold that a rule such as `sensitivity(least=0.95)` gives for these rows.

    `target` bool [N], `score` [N]. Raises `UserError` where the rule is unknown or undefined.
    """
    return THRESHOLDS.build(rule, target=target, score=score)


def group_thresholds(
    rule: str,
    target: np.ndarray,
    score: np.ndarray,
    groups: np.ndarray,
    n_groups: int,
    min_rows: int,
) -> np.ndarray:
    """[n_groups + 1] threshold of each group, so that `[groups]` of it is that of each row.

    `groups` int [N], -1 unknown. The last one is that of all rows, for rows of unknown group;
    a group with fewer than `min_rows` positive or negative rows, or none, has it too.
    """
    thresholds = np.full(n_groups + 1, choose_threshold(rule, target, score))
    for group in groups_with_own(target, groups, n_groups, min_rows):
        rows = groups == group
        thresholds[group] = choose_threshold(rule, target[rows], score[rows])
    return thresholds


def groups_with_own(
    target: np.ndarray, groups: np.ndarray, n_groups: int, min_rows: int
) -> list[int]:
    """The groups with enough rows for a threshold of their own."""
    counts = [np.bincount(target[groups == g], minlength=2).min() for g in range(n_groups)]
    return [group for group, count in enumerate(counts) if count >= max(min_rows, 1)]


def decide(probabilities: np.ndarray, positive: int, thresholds: float | np.ndarray) -> np.ndarray:
    """int [N]: the positive class where it has its threshold or more, else the likeliest other.

    `probabilities` [N, classes]; one threshold or one for each row. Of equally probable other
    classes the first. Raises `UserError` for NaN.
    """
    if np.isnan(probabilities).any():
        raise UserError("a threshold needs the probabilities of every row; found only decisions")
    others = probabilities.copy()
    others[:, positive] = -1
    found = probabilities[:, positive] >= np.asarray(thresholds, np.float64)
    return np.where(found, positive, others.argmax(axis=1))


def _counts(target: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(the scores that occur, highest first; positive rows at each or more; negative ones)"""
    values, places = np.unique(score, return_inverse=True)
    positives, negatives = (
        np.bincount(places[kind], minlength=len(values)) for kind in (target, ~target)
    )
    return values[::-1], positives[::-1].cumsum(), negatives[::-1].cumsum()


def _require_share(rule: str, least: float) -> None:
    if not 0 < least <= 1:
        raise UserError(f"{rule}(least={least}): expected more than 0, at most 1")


def _require_rows(rule: str, score: np.ndarray, **kinds: np.ndarray) -> None:
    if np.isnan(score).any():
        raise UserError(f"threshold rule '{rule}': found rows without a probability; expected none")
    for name, rows in kinds.items():
        if not rows.any():
            raise UserError(f"threshold rule '{rule}': no {name} rows; expected a split with some")
