"""The parts of a run, each made from the settings that concern it."""

import logging

import numpy as np
import torch

from src.artifact.contract import Contract
from src.core.config import Config
from src.core.errors import UserError, nearest
from src.datasets.adapters import DATASETS
from src.datasets.augment import AUGMENTATIONS
from src.datasets.loading import table_hash
from src.datasets.sampler import SAMPLERS
from src.datasets.table import Table
from src.engine.log import environment
from src.engine.optim import OPTIMIZERS, SCHEDULERS
from src.evaluation.metrics import MONITORED
from src.models.backbones import check_name
from src.models.melanoma_classifier import MelanomaClassifier
from src.objectives.catalog import OBJECTIVES, Objective, class_weights, needs_groups
from src.preprocess.image import read_image
from src.preprocess.spec import Preprocessing, parse_preprocessing

log = logging.getLogger(__name__)
STATISTICS_ROWS = 2000


def check_settings(cfg: Config) -> None:
    """Raise `UserError` for any name or option that is unknown, before data are read."""
    DATASETS.resolve(cfg.data.dataset)
    parse_preprocessing(cfg.data.preprocess, cfg.data.input_size)
    AUGMENTATIONS.build(cfg.data.augment)
    SAMPLERS.resolve(cfg.data.sampler)
    check_name(cfg.model.model)
    OBJECTIVES.build(cfg.learning.objective, num_classes=2, num_groups=1, weight=None)
    class_weights(cfg.learning.class_weights, np.ones(2))
    OPTIMIZERS.resolve(cfg.learning.opt)
    SCHEDULERS.resolve(cfg.learning.scheduler)
    if cfg.run.monitor not in MONITORED:
        hint = nearest(cfg.run.monitor, MONITORED)
        known = ", ".join(MONITORED)
        raise UserError(f"--monitor {cfg.run.monitor}: no such metric{hint} (known: {known})")


def pick_device(name: str) -> torch.device:
    """The device to run on; `auto` is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: expected auto, cpu, cuda or cuda:<index>")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= found:
        raise UserError(f"--device {name}: {found} GPUs found; use --device cpu or --device auto")
    return device


def check_table(table: Table, cfg: Config) -> None:
    """Raise `UserError` unless the table can be trained on with these settings."""
    train, wanted = table.split("train"), cfg.model.num_classes
    if wanted and wanted != len(table.classes):
        raise UserError(
            f"--num_classes {wanted}: the data have {len(table.classes)} "
            f"({', '.join(table.classes)})"
        )
    absent = set(range(len(table.classes))) - set(train.labels.tolist())
    if absent:
        raise UserError(f"no training image of class {table.classes[min(absent)]}")
    if not len(table.split("valid")):
        raise UserError("no validation rows: expected a split with train and valid")
    if needs_groups(cfg.learning.objective) and (train.group_indices < 0).any():
        n_unknown = int((train.group_indices < 0).sum())
        raise UserError(
            f"--objective {cfg.learning.objective} needs the tone group of each training row: "
            f"{n_unknown} of {len(train)} have none; give --skin_color_csv"
        )


def count_groups(table: Table, num_groups: int) -> int:
    """Groups of a group-aware head: `num_groups`, or as many as the table names."""
    highest = int(table.group_indices.max()) + 1
    if num_groups and num_groups < highest:
        raise UserError(f"--num_groups {num_groups}: the data have groups up to {highest - 1}")
    return num_groups or len(table.groups)


def make_objective(cfg: Config, label_counts: np.ndarray, num_groups: int) -> Objective:
    """The objective, with class weights from the training rows of each class."""
    return OBJECTIVES.build(
        cfg.learning.objective,
        num_classes=len(label_counts),
        num_groups=num_groups,
        weight=class_weights(cfg.learning.class_weights, label_counts),
    )


def make_preprocessing(cfg: Config, train: Table) -> Preprocessing:
    """The spec with all constants; `stats='train'` is counted on up to 2000 training rows."""
    spec = parse_preprocessing(cfg.data.preprocess, cfg.data.input_size)
    if not spec.needs_statistics:
        return spec
    step = max(1, len(train) // STATISTICS_ROWS)
    paths = train.rows["image"].iloc[::step]
    return spec.with_statistics(spec.prepare(read_image(path)) for path in paths)


def make_classifier(cfg: Config, n_outputs: int, height: int) -> MelanomaClassifier:
    """The classifier with its starting weights."""
    model = cfg.model
    torch.manual_seed(cfg.run.seed)
    classifier = MelanomaClassifier(
        model.model,
        n_outputs,
        input_size=height,
        pretrained=model.pretrained and not model.weights,
        in_22k=model.in_22k,
        freeze_model=model.freeze_model,
        drop_path=model.drop_path,
        dropout=model.dropout,
    )
    if model.weights:
        log.info(classifier.load_backbone(model.weights))
    return classifier


def make_contract(
    cfg: Config, table: Table, objective: Objective, spec: Preprocessing, label_counts: np.ndarray
) -> Contract:
    """What users of the weights must know."""
    return Contract(
        model=cfg.model.model,
        n_outputs=objective.n_outputs,
        classes=table.classes,
        positive=table.positive,
        groups=table.groups,
        reduction=objective.reduction,
        preprocessing=spec.to_json(),
        provenance={
            "config": cfg.flat(),
            "table": table_hash(table),
            "label_counts": label_counts.tolist(),
            "environment": environment(),
        },
    )


def row_counts(table: Table) -> str:
    """A line on rows, classes and groups of each split."""
    parts = []
    for split in ("train", "valid", "test"):
        rows = table.split(split)
        counts = np.bincount(rows.labels, minlength=len(table.classes))
        named = ", ".join(f"{n} {name}" for name, n in zip(table.classes, counts, strict=True))
        parts.append(f"{split} {len(rows)} ({named})")
    return "; ".join(parts)
