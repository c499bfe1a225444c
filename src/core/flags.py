"""Command line and YAML files to a `Config`: defaults < files in order < flags."""

import argparse
import sys
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from .config import SECTIONS, Config, from_flat, settings_with
from .errors import UserError, first_line, nearest, require
from .files import expect_file
from .legacy_flags import LEGACY_FLAGS, canonical, check_refused
from .options import Role, add_flag, add_section, convert, new_parser, parse_flags, take_section

MAX_YAML_BYTES = 100_000  # PyYAML takes seconds and 300 MB for ten times as much
_NOT_SETTINGS = ("config", "print_config")

ANNOTATIONS = {f.name: f.type for section in SECTIONS.values() for f in fields(section)} | {
    name: legacy.annotation for name, legacy in LEGACY_FLAGS.items()
}
DEFAULTS = Config().flat()


def load_config(argv: list[str] | None, base: dict[str, Any] | None = None) -> Config:
    """The configuration of the trainer's command line, as `resolve` makes it."""
    (given,) = parse_settings(argv, "The trainer's settings.")
    return resolve(given, base)


def resolve(
    given: dict[str, Any],
    base: dict[str, Any] | None = None,
    source: str = "the model's configuration",
) -> Config:
    """The configuration of parsed flags: `base` < `--config` files in order < flags.

    `base` are flat settings that stand in for the defaults, such as those of a checkpoint, and
    `source` is where they are from.
    Prints the result as YAML and exits for `--print_config`. Raises `UserError` for unknown
    keys, values of the wrong type and contradictions.
    """
    flags = {name: text for name, text in given.items() if name not in _NOT_SETTINGS}
    layers = [read_yaml(path) for path in given.get("config", [])]
    layers.append({name: convert_setting(name, text, f"--{name}") for name, text in flags.items()})
    settings = {**DEFAULTS, **_checked_base(base or {}, source)}
    for layer in layers:
        settings = canonical(settings, layer, DEFAULTS)
    check_refused({name: value for layer in layers for name, value in layer.items()})
    config = from_flat(settings)
    if given.get("print_config"):
        print(to_yaml(config), end="")
        sys.exit(0)
    return config


def _checked_base(base: Any, source: str) -> dict[str, Any]:
    """The settings in a file of unknown origin that this version has, each in its field's type."""
    require(isinstance(base, dict), f"{source} is unreadable: export or train it again")
    settings = {
        key: convert_setting(key, _as_text(base[key]), f"{source}: {key}")
        for key in DEFAULTS
        if key in base
    }
    try:
        from_flat({**DEFAULTS, **settings})
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    return settings


def to_yaml(config: Config) -> str:
    """The configuration as YAML that `--config` reads back to the same one."""
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in config.flat().items()}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def make_parser(
    description: str,
    *sections: type,
    offered: Collection[str] = ANNOTATIONS,
    hidden: Collection[str] = (),
) -> argparse.ArgumentParser:
    """A parser of `--config`, a program's sections, and settings and legacy flags by their names.

    Those `offered`, and legacy flags of them, are shown by `--help`; those `hidden` are not.
    Values stay text until `convert`.
    """
    parser = new_parser(description, usage="%(prog)s [--config YAML ...] [--flag value ...]")
    parser.add_argument(
        "--config",
        nargs="+",
        action="extend",
        metavar="YAML",
        help="YAML files of settings; later files override earlier ones, flags override files",
    )
    parser.add_argument(
        "--print_config", action="store_true", help="print the resolved configuration and exit"
    )
    for section in sections:
        add_section(parser, section)
    for section in SECTIONS.values():
        add_section(parser, section, offered)
    group = parser.add_argument_group("Legacy flags")
    for name, legacy in LEGACY_FLAGS.items():
        if name in offered or getattr(legacy, "field", None) in offered:
            add_flag(group, name, legacy.annotation, legacy.help)
        elif name in hidden:
            add_flag(group, name, legacy.annotation, argparse.SUPPRESS)
    for name in set(hidden).intersection(DEFAULTS).difference(offered):
        add_flag(parser, name, ANNOTATIONS[name], argparse.SUPPRESS)
    return parser


def parse_settings(
    argv: list[str] | None,
    description: str,
    *sections: type,
    task: str = "",
    without: Collection[str] = (),
    offered: Collection[str] | None = None,
    hidden: Collection[str] = (),
) -> list[Any]:
    """[the trainer's settings that are given, as text for `resolve`, each section's instance].

    A setting that has no effect on the `task`, so that it is neither `offered` nor `hidden`, is
    refused with a `UserError` that says so. Offered are all but those `without` and, where there
    is a `task`, those of --test.
    """
    if offered is None:
        offered = set(ANNOTATIONS) - set(without) - (settings_with(Role.TEST) if task else set())
    parser = make_parser(description, *sections, offered=offered, hidden=hidden)
    reason = f"has no effect on {task}; it is a setting of melanoma_train.py"
    others = set(ANNOTATIONS).difference(offered, hidden)
    given = parse_flags(parser, argv, dict.fromkeys(others, reason))
    taken = [take_section(section, given) for section in sections]
    return [given, *taken]


def parse_evaluation(
    argv: list[str] | None, description: str, *sections: type, task: str, own: Collection[str] = ()
) -> list[Any]:
    """As `parse_settings`, of a command that evaluates a model.

    Settings of the model may be given, and must be those that it has. `own` are the legacy flags
    that a section has itself.
    """
    model = settings_with(Role.MODEL)
    offered = settings_with(Role.EVALUATION) - model
    hidden = model.union({"objective", *LEGACY_FLAGS}.difference(own))
    return parse_settings(argv, description, *sections, task=task, offered=offered, hidden=hidden)


class _PlainLoader(yaml.SafeLoader):
    """Reads each value where it is written: aliases of aliases may stand for billions of values."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias = self.peek_event()
            line = alias.start_mark.line + 1
            raise UserError(f"line {line}: *{alias.anchor}: expected the value itself, no alias")
        return super().compose_node(parent, index)


def compose_yaml(path: str, flag: str, what: str) -> yaml.Node | None:
    """The root node of a YAML file, None of an empty one; scalars are texts in it.

    Raises `UserError` that begins with `flag` where the file is not `what` it should be.
    """
    source = Path(path)
    expect_file(source, flag)
    require(
        source.stat().st_size <= MAX_YAML_BYTES,
        f"{flag} {path}: larger than {MAX_YAML_BYTES} bytes, not {what}",
    )
    try:
        return yaml.compose(source.read_text(encoding="utf-8"), Loader=_PlainLoader)
    except UserError as error:
        raise UserError(f"{flag} {path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{flag} {path}: not YAML ({first_line(error)})") from None


def read_yaml(path: str) -> dict[str, Any]:
    """The settings of one YAML (or JSON) file, each converted to the type of its field.

    Scalars are taken as written: PyYAML would read `1e-4` as text and `no` as a boolean.
    """
    root = compose_yaml(path, "--config", "a configuration")
    if root is None:
        return {}
    require(isinstance(root, yaml.MappingNode), f"--config {path}: expected 'key: value' lines")
    settings: dict[str, Any] = {}
    for key_node, value_node in root.value:
        key = str(_node_text(key_node, path)).replace("-", "_")
        if key not in ANNOTATIONS:
            raise UserError(f"{path}: unknown key '{key}'{nearest(key, ANNOTATIONS)}")
        require(key not in settings, f"{path}: '{key}' is given twice")
        settings[key] = convert_setting(
            key, _node_text(value_node, f"{path}: {key}"), f"{path}: {key}"
        )
    return settings


def convert_setting(name: str, text: Any, where: str) -> Any:
    """`text` (or a list of texts, or None for YAML's null) in the type of the field `name`.

    Raises `UserError` that begins with `where` and names the expected type.
    """
    return convert(ANNOTATIONS[name], text, where)


def _node_text(node: yaml.Node, where: str) -> Any:
    """The text of a scalar (None for null), or a list of them."""
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == "tag:yaml.org,2002:null" else node.value
    if isinstance(node, yaml.SequenceNode) and all(isinstance(i.value, str) for i in node.value):
        return [item.value for item in node.value]
    raise UserError(f"{where}: expected a value or a list of values, found one nested in another")


def _as_text(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    return value if value is None else str(value)
