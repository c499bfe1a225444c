"""Search spaces: a YAML file of trainer settings and what each of them is drawn from."""

from typing import Any

import yaml
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from ..core.config import Config
from ..core.errors import UserError, nearest
from ..core.flags import DEFAULTS, compose_yaml, convert_setting
from ..engine.checks import check_settings

Space = dict[str, BaseDistribution]
OPTIONS = ("choices", "low", "high", "log", "int")
# what trials share: where they are written, which rows and metric judge them, a pair of values
_SHARED = ("output_dir", "run_name", "log_dir", "resume", "save_ckpt", "test", "checkpoint")
_SHARED += ("monitor", "dataset", "data_path", "skin_color_csv", "known_groups_only")
_SHARED += ("kfold", "fold", "train_on_all", "valid_size", "test_size", "split_seed")
_SHARED += ("allow_leakage", "max_bad_images", "cutmix_minmax")
_EXAMPLES = "{low: 1e-5, high: 1e-2, log: true} or {choices: [16, 32]}"


def read_space(path: str) -> Space:
    """The distribution of each setting in a YAML file of lines `setting: {low:, high:}`.

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
        if key in _SHARED:
            raise UserError(f"{path}: '{key}' cannot be searched: all trials share it")
        space[key] = _distribution(key, options, f"{path}: {key}")
    return space


def check_space(cfg: Config, space: Space, path: str) -> None:
    """Raise `UserError` for a bound or choice that the trainer refuses, before any trial."""
    for key, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            values = distribution.choices
        else:
            values = (distribution.low, distribution.high)
        for value in values:
            try:
                check_settings(cfg.with_settings(**{key: value}))
            except UserError as error:
                raise UserError(f"{path}: {key}: {error}") from None


def draw(trial: Trial, space: Space) -> None:
    """Give a trial a value for each setting of the space that it does not have yet."""
    for key, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            trial.suggest_categorical(key, distribution.choices)
        else:
            is_whole = isinstance(distribution, IntDistribution)
            suggest = trial.suggest_int if is_whole else trial.suggest_float
            suggest(key, distribution.low, distribution.high, log=distribution.log)


def scale(distribution: BaseDistribution) -> str:
    """How a figure shows its values: `choices`, `log` or `linear`."""
    if isinstance(distribution, CategoricalDistribution):
        return "choices"
    return "log" if distribution.log else "linear"


def _distribution(key: str, options: Any, where: str) -> BaseDistribution:
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


def _categorical(key: str, options: dict, where: str) -> BaseDistribution:
    texts = options["choices"]
    if len(options) > 1:
        raise UserError(f"{where}: expected choices, or low and high, not both")
    if not isinstance(texts, list) or not texts:
        raise UserError(f"{where}: choices is '{texts}': expected a list such as [16, 32]")
    choices = [convert_setting(key, text, f"{where}: choices") for text in texts]
    if len(set(choices)) < len(choices):
        raise UserError(f"{where}: a choice is given twice")
    return CategoricalDistribution(choices)


def _numerical(key: str, options: dict, where: str) -> BaseDistribution:
    for bound in ("low", "high"):
        if bound not in options:
            raise UserError(f"{where} has no '{bound}': expected {_EXAMPLES}")
    low, high = (
        convert_setting(key, options[bound], f"{where}: {bound}") for bound in ("low", "high")
    )
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in (low, high)):
        raise UserError(f"{where} is no number: expected {{choices: [...]}}")
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
        return FloatDistribution(low, high, log=log)
    if low != int(low) or high != int(high):
        raise UserError(f"{where}: low {low}, high {high}: expected whole numbers with int: true")
    return IntDistribution(int(low), int(high), log=log)


def _read(path: str) -> Any:
    """The content of a YAML file with scalars as text: PyYAML would read `1e-5` as text too."""
    root = compose_yaml(path, "--space", "a search space")
    try:
        return _as_written(root, path)
    except RecursionError as error:  # a node that holds itself by its anchor
        raise UserError(f"--space {path}: not YAML ({str(error).splitlines()[0]})") from None


def _as_written(node: yaml.Node | None, path: str) -> Any:
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
