"""Predictions of one ONNX model or of several on a table, and their votes; needs no torch."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..artifact.contract import Contract
from ..artifact.decisions import DecisionRule
from ..core.errors import UserError
from ..datasets.table import Table
from ..evaluation.predictions import Predictions
from .model import joint_contract
from .predictor import OnnxPredictor, Prediction, predict_together


def predict_splits(
    predictors: Sequence[OnnxPredictor],
    tables: Sequence[Table],
    splits: Sequence[list[str]],
    batch_size: int,
) -> list[dict[str, Predictions]]:
    """Each model's predictions of the splits of its table; models of one table share its images."""
    found: list[dict[str, Predictions]] = [{} for _ in predictors]
    for table in {id(table): table for table in tables}.values():
        places = [place for place, other in enumerate(tables) if other is table]
        models = [predictors[place] for place in places]
        for name in splits[places[0]]:
            of_models = predict_table(models, table.split(name), batch_size)
            for place, predictions in zip(places, of_models, strict=True):
                found[place][name] = predictions
    return found


def predict_table(
    predictors: Sequence[OnnxPredictor], table: Table, batch_size: int
) -> list[Predictions]:
    """Each model's predictions of every row of a table that has their classes."""
    paths = [Path(path) for path in table.rows["image"]]
    rows = list(predict_together(predictors, paths, batch_size))
    for prediction in itertools.chain(*rows):
        if prediction.probabilities is None:
            raise UserError(f"{prediction.path}: {prediction.reason}")
    by_model = zip(predictors, zip(*rows, strict=True), strict=True)
    return [_of_table(predictor.contract, found, table) for predictor, found in by_model]


def _of_table(contract: Contract, found: Sequence[Prediction], table: Table) -> Predictions:
    probabilities = contract.by_own_head(
        np.stack([p.logits for p in found]),
        np.stack([p.probabilities for p in found]),
        table.group_indices,
    )
    return Predictions(
        names=[p.path.name for p in found],
        labels=table.labels,
        groups=table.group_indices,
        probabilities=probabilities,
        decisions=contract.decide(probabilities, table.group_indices),
        classes=contract.classes,
        positive=contract.positive,
        group_names=table.groups,
    )


def soft_vote(members: Sequence[Predictions], rule: DecisionRule) -> Predictions:
    """The mean of the members' probabilities, and what the rule decides by it."""
    probabilities = np.mean([member.probabilities for member in members], axis=0)
    decisions = rule(probabilities, members[0].positive, members[0].groups)
    return replace(members[0], probabilities=probabilities, decisions=decisions)


def majority_vote(members: Sequence[Predictions], rule: DecisionRule) -> Predictions:
    """The class that most members decide, with their mean probabilities.

    Among classes with equally many votes it is the one of `soft_vote`, else the more probable one.
    """
    soft = soft_vote(members, rule)
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
    """Predictions by split of several models together, by their rule at its mean constants.

    `voting` is one of `VOTES`. Raises `UserError`, which begins with `source`, for models of other
    classes, rules or rows than the first.
    """
    if len(members) == 1:
        return members[0]
    rule = joint_contract(contracts, source).rule
    names = [{split: rows.names for split, rows in member.items()} for member in members]
    if any(of_member != names[0] for of_member in names):
        raise UserError(
            f"{source}: its models were not tested on the same images, so that one may have seen "
            "what another is tested on: expected models of one split"
        )
    return {
        split: VOTES[voting]([member[split] for member in members], rule) for split in members[0]
    }
