"""Search spaces: a YAML file of trainer settings and the values that each may have."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..core.config import Config, settings_with
from ..core.errors import UserError, nearest
from ..core.flags import DEFAULTS, compose_yaml, convert_setting
from ..core.options import Role

OPTIONS = ("choices", "low", "high", "log", "int")
MOST_CHOICES = 100  # of a setting: each is checked before the first trial
_EXAMPLES = "{low: 1e-5, high: 1e-2, log: true} or {choices: [16, 32]}"


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]
    scale = "choices"  # how a figure shows the values

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values that all must be possible, for the space to be."""
        return self.values

    def draw(self, trial: Any, key: str) -> None:
        """Give a trial of Optuna a value, unless it has one."""
        trial.suggest_categorical(key, self.values)


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, on a linear or logarithmic scale; `whole`: an integer."""

    low: float
    high: float
    log: bool
    whole: bool

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values that all must be possible, for the space to be."""
        return (self.low, self.high)

    @property
    def scale(self) -> str:
        """How a figure shows the values."""
        return "log" if self.log else "linear"

    def draw(self, trial: Any, key: str) -> None:
        """Give a trial of Optuna a value, unless it has one."""
        suggest = trial.suggest_int if self.whole else trial.suggest_float
        suggest(key, self.low, self.high, log=self.log)


Space = dict[str, Choices | Range]


def read_space(path: Path) -> Space:
    """The values of each setting in a YAML file of lines `setting: {low:, high:}`.

    A setting has `choices`, or `low` and `high`, with `log: true` on a logarithmic scale and with
    `int: true` in whole numbers (as settings that are whole numbers are anyway). Raises
    `UserError` for anything else, with the nearest name.
    """
    content = _read(path)
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: expected lines such as 'lr: {_EXAMPLES}'")
    space = {}
    for key, options in content.items():
        key = key.replace("-", "_")
        if key not in DEFAULTS:
            raise UserError(f"{path}: unknown key '{key}'{nearest(key, DEFAULTS)}")
        if key in settings_with(Role.SHARED):
            raise UserError(f"{path}: '{key}' cannot be searched: it is the same in all trials")
        space[key] = _setting(key, options, f"{path}: {key}")
    return space


def check_search(cfg: Config, space: Space, given: Collection[str]) -> None:
    """Raise `UserError` for settings of a sweep that contradict it; `given` are their flags."""
    n_processes = os.environ.get("WORLD_SIZE", "1")
    twice = next((key for key in space if key in given), "")
    compares_losses = cfg.run.monitor == "loss" and {"objective", "class_weights"} & set(space)
    for is_wrong, message in (
        (n_processes != "1", "a sweep is one process: start it without torchrun"),
        (cfg.run.test, "--test: a sweep trains; evaluate its best run with melanoma_eval.py"),
        (
            cfg.data.train_on_all,
            "--train_on_all leaves no validation rows to compare trials on: remove it",
        ),
        (
            cfg.data.kfold and cfg.data.fold == -1,
            "--kfold: a trial is one run; choose its validation fold with --fold",
        ),
        (twice, f"--{twice} is searched: remove it, or remove it from the search space"),
        (
            compares_losses,
            "--monitor loss is not comparable between objectives; use another metric, such as "
            "log_loss",
        ),
    ):
        if is_wrong:
            raise UserError(message)


def _setting(key: str, options: Any, where: str) -> Choices | Range:
    if not isinstance(options, dict):
        raise UserError(f"{where} is '{options}': expected {_EXAMPLES}")
    for option in options:
        if option not in OPTIONS:
            known = ", ".join(OPTIONS)
            raise UserError(
                f"{where} has no option '{option}'{nearest(option, OPTIONS)} (options: {known})"
            )
    if "choices" in options:
        return _categorical(key, options, where)
    return _numerical(key, options, where)


def _categorical(key: str, options: dict, where: str) -> Choices:
    texts = options["choices"]
    if len(options) > 1:
        raise UserError(f"{where}: expected choices, or low and high, not both")
    if not isinstance(texts, list) or not texts:
        raise UserError(f"{where}: choices is '{texts}': expected a list such as [16, 32]")
    if len(texts) > MOST_CHOICES:
        raise UserError(f"{where}: {len(texts):,} choices: expected at most {MOST_CHOICES}")
    choices = [convert_setting(key, text, f"{where}: choices") for text in texts]
    if len(set(choices)) < len(choices):
        raise UserError(f"{where}: a choice is given twice")
    return Choices(tuple(choices))


def _numerical(key: str, options: dict, where: str) -> Range:
    for bound in ("low", "high"):
        if bound not in options:
            raise UserError(f"{where} has no '{bound}': expected {_EXAMPLES}")
    low, high = (
        convert_setting(key, options[bound], f"{where}: {bound}") for bound in ("low", "high")
    )
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in (low, high)):
        raise UserError(f"{where} is not a number: expected {{choices: [...]}}")
    # a boolean setting's reading of true and false
    log, whole = (
        convert_setting("pretrained", options.get(option, "false"), f"{where}: {option}")
        for option in ("log", "int")
    )
    if not low < high:
        raise UserError(f"{where}: low {low}, high {high}: expected low below high")
    if log and low <= 0:
        raise UserError(f"{where}: low {low}: expected more than 0 with log: true")
    if not whole and not isinstance(low, int):
        return Range(low, high, log, whole=False)
    if low != int(low) or high != int(high):
        raise UserError(f"{where}: low {low}, high {high}: expected whole numbers with int: true")
    return Range(int(low), int(high), log, whole=True)


def _read(path: Path) -> Any:
    """The content of a YAML file with scalars as text: PyYAML would read `1e-5` as text too."""
    return _as_written(compose_yaml(str(path), "--space", "a search space"), path)


def _as_written(node: yaml.Node | None, path: Path) -> Any:
    """Mappings, lists and texts (None for null) of a YAML node."""
    if isinstance(node, yaml.SequenceNode):
        return [_as_written(item, path) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return None if node is None or node.tag == "tag:yaml.org,2002:null" else node.value
    content = {}
    for key_node, value_node in node.value:
        key = str(_as_written(key_node, path))
        if key in content:
            raise UserError(f"{path}: '{key}' is given twice")
        content[key] = _as_written(value_node, path)
    return content
