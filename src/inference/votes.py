"""How the members of an ensemble decide together; arrays alone, without tables."""

from collections.abc import Callable, Sequence

import numpy as np

from ..core.errors import UserError
from .views import LEAST, softmax

Decide = Callable[[np.ndarray], np.ndarray]  # probabilities [N, classes] to class indices [N]
Outcome = tuple[np.ndarray, np.ndarray]  # (probabilities [N, classes], decisions [N])


def soft(members: np.ndarray, own: np.ndarray, weights: np.ndarray, decide: Decide) -> Outcome:
    """The mean of the members' probabilities [members, N, classes], and what is decided by it."""
    mean = np.average(members, axis=0, weights=weights)
    return mean, decide(mean)


def logits(members: np.ndarray, own: np.ndarray, weights: np.ndarray, decide: Decide) -> Outcome:
    """As `soft`, of the mean of the members' logits, which are log p but for a constant."""
    logs = np.log(members.astype(np.float64).clip(LEAST))
    mean = softmax(np.average(logs, axis=0, weights=weights))
    return mean, decide(mean)


def majority(members: np.ndarray, own: np.ndarray, weights: np.ndarray, decide: Decide) -> Outcome:
    """The class that most members decide in `own` [members, N], with their mean probabilities.

    Among classes with equally many votes it is the one of `soft`, else the more probable one.
    """
    mean, by_mean = soft(members, own, weights, decide)
    votes = np.tensordot(weights, np.eye(mean.shape[1])[own], 1)
    has_most = np.isclose(votes, votes.max(axis=1, keepdims=True))
    likeliest = np.where(has_most, mean, -1).argmax(axis=1)
    agrees = has_most[np.arange(len(votes)), by_mean]
    return mean, np.where(agrees, by_mean, likeliest)


VOTES = {"soft": soft, "majority": majority, "logits": logits}


def member_weights(given: Sequence[float], n_members: int) -> np.ndarray:
    """float64 [members], each 1 where none are `given`."""
    if given and len(given) != n_members:
        raise UserError(
            f"--member_weights: found {len(given)} for {n_members} models: expected one for each, "
            "in the order of their file names"
        )
    weights = np.array(given or [1.0] * n_members, np.float64)
    if not (weights >= 0).all() or not weights.sum() > 0:
        raise UserError("--member_weights: expected numbers of 0 or more, one of them above 0")
    return weights
