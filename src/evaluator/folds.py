"""An ensemble of the folds of a cross-validation: each row by the models that have not seen it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..artifact.contract import Contract
from ..core.config import Data
from ..core.errors import UserError
from ..datasets.splits import table_of_fold
from ..datasets.table import Table
from ..evaluation.predictions import Predictions
from ..inference.batches import Work
from ..inference.ensemble import predict_table
from ..inference.predictor import OnnxPredictor

SAME = ("kfold", "split_seed", "dataset", "valid_size", "test_size", "known_groups_only")


def fold_numbers(contracts: Sequence[Contract], source: str) -> list[int]:
    """The fold of each of several models of one cross-validation; empty where they are others.

    Raises `UserError` for two models of one fold.
    """
    settings = [contract.provenance.get("config", {}) for contract in contracts]
    same = [[of.get(name) for name in SAME] for of in settings]
    folds = [of.get("fold", -1) for of in settings]
    if len(contracts) < 2 or not settings[0].get("kfold") or same != same[:1] * len(same):
        return []
    if len(set(folds)) < len(folds) or not all(isinstance(fold, int) for fold in folds):
        raise UserError(f"{source}: two of its models are of one fold: expected one of each")
    return folds


def rows_of_fold(load: Callable[[Data], Table], data: Data) -> Table:
    """The table of these settings: its images are read once for all folds."""
    if not data.kfold or data.fold < 0:
        return load(data)
    return table_of_fold(load(replace(data, fold=0)), data.fold)


def rows_of_folds(table: Table, folds: Sequence[int]) -> pd.DataFrame:
    """The rows that `out_of_fold` predicts, in its order."""
    return table.rows[table.rows["fold"].isin(folds)].reset_index(drop=True)


def out_of_fold(
    predictors: Sequence[OnnxPredictor], folds: Sequence[int], table: Table, work: Work
) -> Predictions:
    """Each row of the folds once, as the model that has it in its own fold predicts it."""
    homes = rows_of_folds(table, folds)["fold"].to_numpy()
    found = [
        predict_table([predictor], table_of_fold(table, fold).split("valid"), work)[0]
        for predictor, fold in zip(predictors, folds, strict=True)
    ]
    order = np.argsort(np.concatenate([np.flatnonzero(homes == fold) for fold in folds]))
    joined = replace(
        found[0],
        names=[name for part in found for name in part.names],
        **{
            column: np.concatenate([getattr(part, column) for part in found])
            for column in ("labels", "groups", "probabilities", "decisions")
        },
    )
    return joined.at(order)
