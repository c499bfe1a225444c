"""Split-conformal prediction sets: classes that hold the true one with a stated probability.

Rows that chose nothing of the model give the quantile of a score of how little their true class
fits; a new image's set has every class that fits as well. Then, where images are exchangeable, the
set holds the true class with probability 1 - `alpha` (Vovk et al. 2005), in each tone group where
the group has a quantile of its own (Mondrian).
"""

import zlib
from dataclasses import dataclass

import numpy as np

from ..core.errors import require

SCORES = ("lac", "aps", "raps")
# RAPS adds this for each class beyond the first so many (Angelopoulos et al. 2021)
PENALTY, FREE_CLASSES = 0.1, 1


@dataclass(frozen=True)
class ConformalSets:
    """`score` is one of `SCORES`; `quantile` is that of all rows, for rows of unknown group.

    `by_group` [groups] are the groups' own, None where a group had too few rows and takes that of
    all; of too few rows altogether None puts every class in the set.
    """

    score: str
    alpha: float
    quantile: float | None
    by_group: tuple[float | None, ...] = ()

    def sets(self, probabilities: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Bool [N, classes] of probabilities [N, classes] and groups int [N], -1 unknown.

        The most probable class is always in it, which can only add coverage.
        """
        of_all = np.inf if self.quantile is None else self.quantile
        own = [of_all if own is None else own for own in self.by_group]
        known = (groups >= 0) & (groups < len(own))
        quantiles = np.array([*own, of_all])[np.where(known, groups, -1)]
        sets = scores_of(self.score, probabilities) <= quantiles[:, None]
        sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
        return sets


def scores_of(score: str, probabilities: np.ndarray) -> np.ndarray:
    """Float [N, classes]: how little each class fits, for probabilities [N, classes].

    `lac` is 1 - p (Sadinle et al. 2019). `aps` is the probability of all likelier classes and a
    random share of its own (Romano et al. 2020); the share is drawn from the probabilities
    themselves, so that an image always has the same set. `raps` adds a penalty to classes far down
    the list.
    """
    p = probabilities.astype(np.float64)
    if score == "lac":
        return 1 - p
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    shares = np.array([zlib.crc32(row.tobytes()) for row in p])[:, None] / 2**32
    fits = ranked.cumsum(axis=1) - (1 - shares) * ranked
    if score == "raps":
        fits += PENALTY * np.maximum(np.arange(1, p.shape[1] + 1) - FREE_CLASSES, 0)
    found = np.empty_like(fits)
    np.put_along_axis(found, order, fits, axis=1)
    return found


def conformal_quantile(scores: np.ndarray, alpha: float) -> float | None:
    """The score that a new row's stays below with probability 1 - `alpha` or more.

    The ceil((n + 1)(1 - alpha))-th smallest of n; None where n is too small for one.
    """
    place = int(np.ceil((len(scores) + 1) * (1 - alpha) - 1e-9))
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else None


def fit_conformal(
    score: str,
    alpha: float,
    labels: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray | None = None,
    n_groups: int = 0,
) -> ConformalSets:
    """Sets of rows with `labels` int [N] and `probabilities` [N, classes].

    With `groups` int [N], -1 unknown, and their number, every group that has enough rows gets a
    quantile of its own.
    """
    require(score in SCORES, f"conformal score {score!r}: expected one of {', '.join(SCORES)}")
    require(0 < alpha < 1, f"alpha {alpha}: expected more than 0 and less than 1")
    own = scores_of(score, probabilities)[np.arange(len(labels)), labels]
    quantile = conformal_quantile(own, alpha)
    by_group = tuple(conformal_quantile(own[groups == group], alpha) for group in range(n_groups))
    return ConformalSets(score, alpha, quantile, by_group)
