"""One table of predictions from those of several models on the same rows: an ensemble."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from src.evaluation.predictions import Predictions

Decide = Callable[[np.ndarray], np.ndarray]


def soft_vote(members: Sequence[Predictions], decide: Decide) -> Predictions:
    """The mean of the members' probabilities, and what `decide` makes of it (class indices [N] of
    probabilities [N, classes])."""
    probabilities = np.mean([member.probabilities for member in members], axis=0)
    return replace(members[0], probabilities=probabilities, decisions=decide(probabilities))


def majority_vote(members: Sequence[Predictions], decide: Decide) -> Predictions:
    """The class that most members decide, with their mean probabilities.

    Among classes with equally many votes it is the one of `soft_vote`, else the more probable one.
    """
    soft = soft_vote(members, decide)
    votes = sum(np.eye(len(soft.classes))[member.decisions] for member in members)
    has_most = votes == votes.max(axis=1, keepdims=True)
    likeliest = np.where(has_most, soft.probabilities, -1).argmax(axis=1)
    agrees = has_most[np.arange(len(votes)), soft.decisions]
    return replace(soft, decisions=np.where(agrees, soft.decisions, likeliest))


VOTES = {"soft": soft_vote, "majority": majority_vote}
