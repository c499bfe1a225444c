"""Refusing what cannot be trained, in words, before anything is started."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.config import Config
from ..core.errors import UserError, require
from ..datasets.table import Table
from ..evaluation.metrics import METRICS
from ..evaluation.predictions import Predictions
from ..evaluation.results import point_estimates
from ..loading.augment import Augmentation
from ..loading.prepared import check_can_be_cached
from ..loading.resident import check_resident
from ..loading.sampler import SAMPLERS
from ..models.backbones import published_statistics
from ..models.heads import takes_map
from ..objectives.catalog import OBJECTIVES, needs_groups, takes_teacher
from ..objectives.class_weights import CLASS_WEIGHTS, weights_need_groups
from ..preprocess.spec import Preprocessing, parse_preprocessing
from ..skin.tone import GROUP_NAMES
from .names import check_names
from .schedules import SCHEDULERS

log = logging.getLogger(__name__)


def check_settings(cfg: Config) -> Preprocessing:
    """The parsed preprocessing of settings that hold together.

    Raises `UserError` for any name or option that is unknown, before data are read.
    """
    check_names(cfg)
    spec = parse_preprocessing(cfg.data.preprocess, cfg.data.input_size)
    if spec.waits_for == "pretrained":
        spec = spec.with_constants(*published_statistics(cfg.model.model, cfg.model.in_22k))
    check_can_be_cached(spec, cfg.data.cache)
    if cfg.data.resident:
        check_resident(spec, cfg.data.augment)
        for name in ("feature_views", "malignant_copies"):
            require(not cfg.flat()[name], f"--resident and --{name}: give one of them")
    changing: dict[str, Any] = {"mixup": cfg.learning.mixup, "cutmix": cfg.learning.cutmix}
    changing |= {"cutmix_minmax": cfg.learning.cutmix_minmax, "drop_path": cfg.model.drop_path}
    for name, value in changing.items() if cfg.model.feature_views else ():
        require(not value, f"--feature_views and --{name}: it changes features; give one of them")
    check_teacher(cfg)
    require(
        not (cfg.model.feature_views and takes_map(cfg.model.head)),
        f"--feature_views and --head {cfg.model.head}: pooled features are kept, and this head "
        "takes the feature map; leave out --feature_views",
    )
    augmentation, steps = Augmentation(cfg.data.augment), {step.name for step in spec.steps}
    darkens = augmentation.groups is not None
    if any(map(augmentation.needs_mask, range(len(GROUP_NAMES)))) and "lesion_crop" in steps:
        raise UserError(
            "skin_former and lesion_crop: a mask file cannot follow where the image is cropped; "
            "give skin_former(masks='estimated')"
        )
    if darkens and "segment_out_skin" in steps:
        raise UserError(
            "skin_former and segment_out_skin cannot be combined: segment_out_skin removes the "
            "skin that skin_former would darken"
        )
    counts = {"label_counts": torch.ones(2), "joint_counts": torch.ones(1, 2), "positive": 1}
    shape = {"num_classes": 2, "num_groups": 1}
    OBJECTIVES.build(cfg.learning.objective, weight=None, **shape, **counts)
    CLASS_WEIGHTS.build(cfg.learning.class_weights, **counts)
    SCHEDULERS.build(cfg.learning.scheduler, lr=cfg.learning.lr, epochs=cfg.learning.epochs)
    return spec


def check_teacher(cfg: Config) -> None:
    """Raise `UserError` for a teacher without an objective that learns from it, and the reverse."""
    teacher, objective = cfg.learning.teacher, cfg.learning.objective
    require(
        takes_teacher(objective) == bool(teacher),
        f"--teacher '{teacher}' and --objective {objective}: expected a teacher with the objective "
        "distillation, and with no other",
    )
    require(not teacher or Path(teacher).exists(), f"--teacher {teacher}: no such file or folder")
    require(
        not (teacher and cfg.model.feature_views),
        "--feature_views and --teacher: a teacher is not combined with features; give one of them",
    )


def warn_of_corrections(cfg: Config) -> None:
    """Log a warning where several settings each make rare classes count more."""
    learning, data = cfg.learning, cfg.data
    sampler = SAMPLERS.resolve(data.sampler)
    corrects = {
        f"--objective {learning.objective}": OBJECTIVES.resolve(learning.objective).name
        in ("focal", "recall_cross_entropy", "logit_adjustment"),
        f"--class_weights {learning.class_weights}": learning.class_weights != "none",
        f"--sampler {data.sampler}": sampler.name != "random" and sampler.options.get("power") != 0,
        f"--malignant_copies {data.malignant_copies}": bool(data.malignant_copies),
    }
    found = [flag for flag, does in corrects.items() if does]
    if len(found) > 1:
        log.warning(
            "%d corrections of class imbalance, which add up (%s): one is mostly enough",
            len(found),
            ", ".join(found),
        )


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
    if cfg.data.train_on_all:
        check_without_validation(cfg)
    elif not len(table.split("valid")):
        raise UserError("no validation rows: expected a split with train and valid")
    check_skin_former(train, cfg.data.augment)
    check_groups(train, cfg)
    check_monitor(table, cfg.run.monitor)


def check_monitor(table: Table, monitor: str) -> None:
    """Raise `UserError` for a metric that no model could have on these validation rows."""
    rows = table.split("valid")
    if not len(rows) or monitor == "loss":
        return
    n_classes = len(table.classes)
    perfect = Predictions(
        names=rows.rows["image"].tolist(),
        labels=rows.labels,
        groups=rows.group_indices,
        probabilities=(9 * np.eye(n_classes)[rows.labels] + 1) / (9 + n_classes),
        decisions=rows.labels,
        classes=table.classes,
        positive=table.positive,
        group_names=table.groups,
    )
    n_kinds = len(set((rows.labels == table.positive).tolist()))
    lacks_one = monitor in METRICS and METRICS[monitor].counts == "both" and n_kinds < 2
    if lacks_one or math.isnan(point_estimates(perfect).get(monitor, math.nan)):
        counts = np.bincount(rows.labels, minlength=n_classes)
        named = [f"{n} {name}" for name, n in zip(table.classes, counts, strict=True)]
        if monitor not in METRICS:
            groups = np.bincount(1 + rows.group_indices, minlength=1 + len(table.groups))[1:]
            named = [f"{n} {name}" for name, n in zip(table.groups, groups, strict=True)]
        raise UserError(
            f"--monitor {monitor} is undefined on the validation rows ({', '.join(named)}): "
            "choose another metric, or a split that has enough of each there"
        )


def check_without_validation(cfg: Config) -> None:
    """Raise `UserError` where a setting needs validation rows, and there are to be none."""
    needing = {
        "--early_stopping": cfg.learning.early_stopping > 0,
        f"--scheduler {cfg.learning.scheduler}": SCHEDULERS.resolve(cfg.learning.scheduler).name
        == "plateau",
    }
    for name, needs in needing.items():
        if needs:
            raise UserError(f"{name} needs validation rows: --train_on_all leaves none")


def check_groups(train: Table, cfg: Config) -> None:
    """Raise `UserError` where a setting needs the tone group of a training row that has none."""
    learning, n_unknown = cfg.learning, int((train.group_indices < 0).sum())
    needing = {
        f"--objective {learning.objective}": needs_groups(learning.objective),
        f"--class_weights {learning.class_weights}": weights_need_groups(learning.class_weights),
    }
    for what, needs in needing.items():
        if needs and n_unknown:
            raise UserError(
                f"{what} needs the tone group of each training row: "
                f"{n_unknown} of {len(train)} have none; give --skin_color_csv, or leave them out "
                "with --known_groups_only"
            )


def check_skin_former(rows: Table, augment: str) -> None:
    """Raise `UserError` where skin-former could change no training row, or lacks a row's mask."""
    augmentation = Augmentation(augment)
    if augmentation.groups is None:
        return
    if rows.groups != GROUP_NAMES:
        raise UserError(
            f"--augment '{augment}': skin_former darkens the groups {', '.join(GROUP_NAMES)}, the "
            f"data's are {', '.join(rows.groups)}: give a table without tones by people, or leave "
            "out skin_former"
        )
    if not augmentation.groups & set(rows.group_indices.tolist()):
        raise UserError(
            f"--augment '{augment}': no training image belongs to a skin-tone group that "
            "skin_former darkens; give the groups with --skin_color_csv, or another "
            "probability=..."
        )
    needed = rows.rows[[augmentation.needs_mask(group) for group in rows.group_indices]]
    lacking = needed["image"][[not (mask and Path(mask).is_file()) for mask in needed["mask"]]]
    if len(lacking):
        raise UserError(
            f"{lacking.iloc[0]}: no mask, which skin_former needs ({len(lacking)} of {len(needed)} "
            "images have none): make them with python -m src.scripts.generate_skin_masks, or "
            "--augment \"skin_former(masks='estimated') | ...\""
        )


def count_groups(table: Table, num_groups: int) -> int:
    """Groups of a group-aware head: `num_groups`, or as many as the table names."""
    highest = int(table.group_indices.max()) + 1
    if num_groups and num_groups < highest:
        raise UserError(f"--num_groups {num_groups}: the data have groups up to {highest - 1}")
    return num_groups or len(table.groups)
