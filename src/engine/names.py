"""Names and options in a configuration, each held against its own registry and no other."""

from importlib import import_module
from operator import attrgetter

from ..core.config import Config
from ..core.flags import DEFAULTS

# what refuses a wrong value of a setting, those without torch first: its module, its name, and the
# other setting that it takes
CHECKS = {
    "scheduler": ("engine.schedules", "SCHEDULERS.resolve"),
    "sampler": ("loading.sampler", "SAMPLERS.resolve"),
    "preprocess": ("preprocess.spec", "parse_preprocessing", "input_size"),
    "dataset": ("datasets.adapters", "DATASETS.resolve"),
    "malignant_copies": ("loading.copies", "copy_names"),
    "monitor": ("evaluation.metrics", "check_monitored"),
    "head": ("models.heads", "HEADS.resolve"),
    "objective": ("objectives.catalog", "OBJECTIVES.resolve"),
    "class_weights": ("objectives.class_weights", "CLASS_WEIGHTS.resolve"),
    "opt": ("engine.optim", "check_optimizer"),
    "model": ("models.backbones", "check_name"),
    "augment": ("loading.augment", "Augmentation"),
}


def check_names(cfg: Config) -> None:
    """Raise `UserError` for a component or option that is unknown, or a metric that is.

    A registry is imported where a setting is not the default: a mistake is told before anything
    heavier is loaded.
    """
    settings = cfg.flat()
    for setting, (module, name, *others) in CHECKS.items():
        if settings[setting] != DEFAULTS[setting]:
            check = attrgetter(name)(import_module(f"..{module}", __package__))
            check(*(settings[key] for key in (setting, *others)))
