"""The objective of a run or of a model, with what it needs of the training rows."""

from dataclasses import dataclass

import numpy as np
import torch

from ..artifact.contract import Contract
from ..core.config import Config
from ..core.errors import UserError
from ..datasets.table import Table
from ..objectives.catalog import OBJECTIVES, Objective, needs_groups
from ..objectives.class_weights import CLASS_WEIGHTS, weights_need_groups


@dataclass(frozen=True)
class TrainingCounts:
    """Training rows of each class, int64 [classes], and of each known group and class [groups, C].

    `positive` is the index of the class to detect.
    """

    by_class: np.ndarray
    by_group: np.ndarray
    positive: int


def count_rows(rows: Table, num_groups: int) -> TrainingCounts:
    """The counts of a table's rows."""
    by_group = np.zeros((num_groups, len(rows.classes)), np.int64)
    known = rows.group_indices >= 0
    np.add.at(by_group, (rows.group_indices[known], rows.labels[known]), 1)
    by_class = np.bincount(rows.labels, minlength=len(rows.classes))
    return TrainingCounts(by_class, by_group, rows.positive)


def make_objective(cfg: Config, counts: TrainingCounts) -> Objective:
    """The objective, with class weights and priors from the training rows."""
    context = {
        "num_classes": len(counts.by_class),
        "num_groups": len(counts.by_group),
        "label_counts": torch.from_numpy(counts.by_class),
        "joint_counts": torch.from_numpy(counts.by_group),
        "positive": counts.positive,
    }
    weight = CLASS_WEIGHTS.build(cfg.learning.class_weights, **context)
    return OBJECTIVES.build(cfg.learning.objective, weight=weight, **context)


def groups_needed(cfg: Config) -> bool:
    """Whether every training row must have a tone group."""
    learning = cfg.learning
    return needs_groups(learning.objective) or weights_need_groups(learning.class_weights)


def trained_counts(contract: Contract) -> TrainingCounts:
    """The counts of the rows that a model was trained on, ones where it does not state them."""
    ones = [[1] * len(contract.classes)] * contract.num_groups
    by_class = contract.provenance.get("label_counts", ones[0])
    by_group = contract.provenance.get("group_counts", ones)
    return TrainingCounts(np.asarray(by_class), np.asarray(by_group), contract.positive)


def objective_of(cfg: Config, contract: Contract, source: str) -> Objective:
    """The objective that `cfg` names, for a model with the same reduction, else refused."""
    objective = make_objective(cfg, trained_counts(contract))
    rules = [(o.n_outputs, o.reduction, o.own_head) for o in (objective, contract)]
    if rules[0] != rules[1]:
        raise UserError(
            f"--objective {cfg.learning.objective}: {source} was trained with another one; leave "
            "it out"
        )
    return objective
