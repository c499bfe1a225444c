"""One table of predictions from those of several models on the same rows: an ensemble."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..artifact.contract import Contract
from ..core.errors import UserError
from ..evaluation.predictions import Predictions

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


def vote(
    members: Sequence[dict[str, Predictions]],
    contracts: Sequence[Contract],
    voting: str,
    source: str,
) -> dict[str, Predictions]:
    """Predictions by split of several models together, at the mean of their thresholds.

    `voting` is one of `VOTES`. Raises `UserError`, which begins with `source`, for models of other
    classes or other rows than the first.
    """
    if len(members) == 1:
        return members[0]
    first, threshold = contracts[0], float(np.mean([one.threshold for one in contracts]))
    for member, contract in zip(members, contracts, strict=True):
        if (contract.classes, contract.positive) != (first.classes, first.positive):
            raise UserError(f"{source}: its models know different classes: expected the same")
        if _names(member) != _names(members[0]):
            raise UserError(
                f"{source}: its models have other rows from each other, so that one may have "
                "seen what another is judged on: expected models of one split"
            )
    decide = replace(first, threshold=threshold).decide
    return {
        split: VOTES[voting]([member[split] for member in members], decide) for split in members[0]
    }


def _names(member: dict[str, Predictions]) -> dict[str, list[str]]:
    return {split: predictions.names for split, predictions in member.items()}
