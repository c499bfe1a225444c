"""Names and options in a configuration, each held against its own registry and no other."""

from collections.abc import Callable

from ..core.config import Config
from ..core.errors import UserError, nearest
from ..core.flags import DEFAULTS


def check_names(cfg: Config) -> None:
    """Raise `UserError` for a component or option that is unknown, or a metric that is.

    A registry is imported where a setting is not the default, those without torch first: a
    mistake is told before anything heavier is loaded.
    """
    settings = cfg.flat()
    for setting, check in CHECKS.items():
        if settings[setting] != DEFAULTS[setting]:
            check(cfg)


def _scheduler(cfg: Config) -> None:
    from .schedules import SCHEDULERS

    SCHEDULERS.resolve(cfg.learning.scheduler)


def _sampler(cfg: Config) -> None:
    from ..datasets.sampler import SAMPLERS

    SAMPLERS.resolve(cfg.data.sampler)


def _preprocess(cfg: Config) -> None:
    from ..preprocess.spec import parse_preprocessing

    parse_preprocessing(cfg.data.preprocess, cfg.data.input_size)


def _dataset(cfg: Config) -> None:
    from ..datasets.adapters import DATASETS

    DATASETS.resolve(cfg.data.dataset)


def _malignant_copies(cfg: Config) -> None:
    from ..datasets.copies import copy_names

    copy_names(cfg.data.malignant_copies)


def _monitor(cfg: Config) -> None:
    from ..evaluation.metrics import MONITORED

    if cfg.run.monitor not in MONITORED:
        hint, known = nearest(cfg.run.monitor, MONITORED), ", ".join(MONITORED)
        raise UserError(f"--monitor {cfg.run.monitor}: no such metric{hint} (known: {known})")


def _head(cfg: Config) -> None:
    from ..models.heads import HEADS

    HEADS.resolve(cfg.model.head)


def _objective(cfg: Config) -> None:
    from ..objectives.catalog import OBJECTIVES

    OBJECTIVES.resolve(cfg.learning.objective)


def _class_weights(cfg: Config) -> None:
    from ..objectives.class_weights import CLASS_WEIGHTS

    CLASS_WEIGHTS.resolve(cfg.learning.class_weights)


def _opt(cfg: Config) -> None:
    from .optim import OPTIMIZERS

    OPTIMIZERS.resolve(cfg.learning.opt)


def _model(cfg: Config) -> None:
    from ..models.backbones import check_name

    check_name(cfg.model.model)


def _augment(cfg: Config) -> None:
    from ..datasets.augment import Augmentation

    Augmentation(cfg.data.augment)


CHECKS: dict[str, Callable[[Config], None]] = {
    "scheduler": _scheduler,
    "sampler": _sampler,
    "preprocess": _preprocess,
    "dataset": _dataset,
    "malignant_copies": _malignant_copies,
    "monitor": _monitor,
    "head": _head,
    "objective": _objective,
    "class_weights": _class_weights,
    "opt": _opt,
    "model": _model,
    "augment": _augment,
}
