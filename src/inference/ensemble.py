"""Predictions of one ONNX model or of several on a table, and their votes; needs no torch."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..artifact.contract import Contract
from ..core.errors import UserError
from ..datasets.table import Table
from ..evaluation.predictions import Predictions
from .batches import Prediction, Work
from .model import joint_contract
from .predictor import OnnxPredictor, predict_together
from .views import mean_over_views
from .votes import VOTES, member_weights


def predict_splits(
    predictors: Sequence[OnnxPredictor],
    tables: Sequence[Table],
    splits: Sequence[list[str]],
    work: Work,
) -> list[dict[str, Predictions]]:
    """Each model's predictions of the splits of its table; models of one table share its images."""
    found: list[dict[str, Predictions]] = [{} for _ in predictors]
    for table in {id(table): table for table in tables}.values():
        places = [place for place, other in enumerate(tables) if other is table]
        models = [predictors[place] for place in places]
        for name in splits[places[0]]:
            of_models = predict_table(models, table.split(name), work)
            for place, predictions in zip(places, of_models, strict=True):
                found[place][name] = predictions
    return found


def predict_table(
    predictors: Sequence[OnnxPredictor], table: Table, work: Work
) -> list[Predictions]:
    """Each model's predictions of every row of a table that has their classes."""
    paths = [Path(path) for path in table.rows["image"]]
    rows = list(predict_together(predictors, paths, work))
    for prediction in itertools.chain(*rows):
        if prediction.probabilities is None:
            raise UserError(f"{prediction.path}: {prediction.reason}")
    by_model = zip(predictors, zip(*rows, strict=True), strict=True)
    return [_of_table(predictor.contract, found, table) for predictor, found in by_model]


def _of_table(contract: Contract, found: Sequence[Prediction], table: Table) -> Predictions:
    groups = table.group_indices
    logits, by_view = (np.stack([getattr(p, of) for p in found]) for of in ("logits", "by_view"))
    views = [
        contract.by_own_head(logits[:, view], by_view[:, view], groups)
        for view in range(logits.shape[1])
    ]
    probabilities = mean_over_views(np.stack(views, axis=1), contract.temperature)
    return Predictions(
        names=[p.path.name for p in found],
        labels=table.labels,
        groups=groups,
        probabilities=probabilities,
        decisions=contract.decide(probabilities, groups),
        classes=contract.classes,
        positive=contract.positive,
        group_names=table.groups,
    )


def vote(
    members: Sequence[dict[str, Predictions]],
    contracts: Sequence[Contract],
    voting: str,
    source: str,
    weights: Sequence[float] = (),
) -> dict[str, Predictions]:
    """Predictions by split of several models together, by their rule at its mean constants.

    `voting` is one of `VOTES`, `weights` are those of the members (default: equal ones). Raises
    `UserError`, which begins with `source`, for models of other classes, rules or rows than the
    first.
    """
    by_member = member_weights(weights, len(members))
    if len(members) == 1:
        return members[0]
    rule = joint_contract(contracts, source, by_member).rule
    names = [{split: rows.names for split, rows in member.items()} for member in members]
    if any(of_member != names[0] for of_member in names):
        raise UserError(
            f"{source}: its models were not tested on the same images, so that one may have seen "
            "what another is tested on: expected models of one split"
        )

    def together(rows: Sequence[Predictions]) -> Predictions:
        first = rows[0]
        probabilities, decisions = VOTES[voting](
            np.stack([of.probabilities for of in rows]),
            np.stack([of.decisions for of in rows]),
            by_member,
            lambda found: rule(found, first.positive, first.groups),
        )
        return replace(first, probabilities=probabilities, decisions=decisions)

    return {split: together([member[split] for member in members]) for split in members[0]}
