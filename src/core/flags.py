"""Command line and YAML files to a `Config`: defaults < files in order < flags."""

import argparse
import sys
import types
import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from .config import SECTIONS, Config, from_flat
from .errors import UserError, nearest, refuse_in_words
from .legacy_flags import SEED_FLAGS, canonical, check_refused

MAX_YAML_BYTES = 1_000_000
_NOT_SETTINGS = ("config", "print_config")
_TRUE, _FALSE = ("true", "yes", "t", "y", "1"), ("false", "no", "f", "n", "0")

ANNOTATIONS = {f.name: f.type for section in SECTIONS.values() for f in fields(section)} | {
    name: seed.annotation for name, seed in SEED_FLAGS.items()
}
DEFAULTS = Config().flat()


def load_config(argv: list[str] | None, base: dict[str, Any] | None = None) -> Config:
    """The configuration of the trainer's command line, as `resolve` makes it."""
    return resolve(parse_flags(make_parser(), argv), base)


def resolve(given: dict[str, Any], base: dict[str, Any] | None = None) -> Config:
    """The configuration of parsed flags: `base` < `--config` files in order < flags.

    `base` are flat settings that stand in for the defaults, such as those of a checkpoint.
    Prints the result as YAML and exits for `--print_config`. Raises `UserError` for unknown
    keys, values of the wrong type and contradictions.
    """
    flags = {name: text for name, text in given.items() if name not in _NOT_SETTINGS}
    layers = [read_yaml(path) for path in given.get("config", [])]
    layers.append({name: convert(name, text, f"--{name}") for name, text in flags.items()})
    settings = {**DEFAULTS, **_checked_base(base or {})}
    for layer in layers:
        settings = canonical(settings, layer, DEFAULTS)
    check_refused({name: value for layer in layers for name, value in layer.items()})
    config = from_flat(settings)
    if given.get("print_config"):
        print(to_yaml(config), end="")
        sys.exit(0)
    return config


def _checked_base(base: Any) -> dict[str, Any]:
    """The settings in a file of unknown origin that this version has, each in its field's type."""
    if not isinstance(base, dict):
        raise UserError("the model's configuration is unreadable: export or train it again")
    return {
        key: convert(key, _as_text(base[key]), f"the model's configuration: {key}")
        for key in DEFAULTS
        if key in base
    }


def to_yaml(config: Config) -> str:
    """The configuration as YAML that `--config` reads back to the same one."""
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in config.flat().items()}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def make_parser(
    description: str = "Train or test a melanoma classifier.",
) -> argparse.ArgumentParser:
    """A parser with every field and every seed flag; values stay text until `convert`."""
    parser = argparse.ArgumentParser(
        description=description,
        usage="%(prog)s [--config YAML ...] [--flag value ...]",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    refuse_in_words(parser)
    parser.add_argument(
        "--config",
        nargs="+",
        action="extend",
        metavar="YAML",
        help="YAML files, the later one wins",
    )
    parser.add_argument(
        "--print_config", action="store_true", help="print the resolved configuration and exit"
    )
    for section in SECTIONS.values():
        add_section(parser, section)
    group = parser.add_argument_group("Flags of earlier systems")
    for name, seed in SEED_FLAGS.items():
        add_flag(group, name, seed.annotation, seed.help)
    return parser


def add_section(parser: argparse.ArgumentParser, section: type) -> argparse._ArgumentGroup:
    """Add a flag for each field of a dataclass, under its docstring as the heading; the group."""
    group = parser.add_argument_group(section.__doc__)
    for f in fields(section):
        text = f.metadata["help"].replace("%", "%%")
        add_flag(group, f.name, f.type, f"{text} (default: {f.default!r})")
    return group


def take_section(section: type, given: dict[str, Any]) -> Any:
    """The dataclass `section` of its parsed flags, which are taken out of `given`."""
    texts = {f.name: (f.type, given.pop(f.name)) for f in fields(section) if f.name in given}
    return section(**{n: _typed(kind, text, f"--{n}") for n, (kind, text) in texts.items()})


def add_flag(group, name: str, annotation: Any, help: str) -> None:
    """Add `--name` to a parser or group; a boolean also takes `--no_name`."""
    if annotation in (bool, bool | None):
        group.add_argument(f"--{name}", nargs="?", const="true", metavar="true|false", help=help)
        group.add_argument(
            f"--no_{name}", dest=name, action="store_const", const="false", help=argparse.SUPPRESS
        )
    else:
        many = "+" if typing.get_origin(_plain(annotation)) is tuple else None
        group.add_argument(f"--{name}", nargs=many, metavar=name.upper(), help=help)


def parse_flags(parser: argparse.ArgumentParser, argv: list[str] | None) -> dict[str, Any]:
    """The flags given on a command line as text; `--data-path` is `--data_path`."""
    argv = sys.argv[1:] if argv is None else argv
    known, unknown = parser.parse_known_args([_underscore(argument) for argument in argv])
    if unknown:
        flags = [o.lstrip("-") for action in parser._actions for o in action.option_strings]
        name = unknown[0].partition("=")[0]
        raise UserError(f"unknown argument '{name}'{nearest(name.lstrip('-'), flags)} (see --help)")
    return vars(known)


def compose_yaml(path: str, flag: str, what: str) -> yaml.Node | None:
    """The root node of a YAML file, None of an empty one; scalars are texts in it.

    Raises `UserError` that begins with `flag` where the file is not `what` it should be.
    """
    source = Path(path)
    if not source.is_file():
        raise UserError(f"{flag} {path}: no such file")
    if source.stat().st_size > MAX_YAML_BYTES:
        raise UserError(f"{flag} {path}: larger than {MAX_YAML_BYTES} bytes, not {what}")
    try:
        return yaml.compose(source.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{flag} {path}: not YAML ({str(error).splitlines()[0]})") from None


def read_yaml(path: str) -> dict[str, Any]:
    """The settings of one YAML (or JSON) file, each converted to the type of its field.

    Scalars are taken as written: PyYAML would read `1e-4` as text and `no` as a boolean.
    """
    root = compose_yaml(path, "--config", "a configuration")
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"--config {path}: expected 'key: value' lines")
    settings: dict[str, Any] = {}
    for key_node, value_node in root.value:
        key = str(_node_text(key_node, path)).replace("-", "_")
        if key not in ANNOTATIONS:
            raise UserError(f"{path}: unknown key '{key}'{nearest(key, ANNOTATIONS)}")
        if key in settings:
            raise UserError(f"{path}: '{key}' is given twice")
        settings[key] = convert(key, _node_text(value_node, f"{path}: {key}"), f"{path}: {key}")
    return settings


def convert(name: str, text: Any, where: str) -> Any:
    """`text` (or a list of texts, or None for YAML's null) in the type of the field `name`.

    Raises `UserError` that begins with `where` and names the expected type.
    """
    return _typed(ANNOTATIONS[name], text, where)


def _typed(annotation: Any, text: Any, where: str) -> Any:
    plain = _plain(annotation)
    optional = plain is not annotation
    if text is None or (optional and text in ("null", "none", "None", "")):
        if plain is str:
            return ""
        if not optional:
            raise UserError(f"{where} is empty: expected {_type_name(plain)}")
        return None
    if typing.get_origin(plain) is tuple:
        return tuple(_scalar(where, typing.get_args(plain)[0], item) for item in _as_list(text))
    return _scalar(where, plain, text)


def _scalar(where: str, kind: type, text: Any) -> Any:
    wrong = UserError(f"{where} is '{text}': expected {_type_name(kind)}")
    if not isinstance(text, str):
        raise wrong
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise wrong
        return text.lower() in _TRUE
    try:
        value = kind(text)
    except ValueError:
        raise wrong from None
    if value != value or value in (float("inf"), float("-inf")):
        raise wrong
    return value


def _plain(annotation: Any) -> Any:
    """The type inside `type | None`."""
    if isinstance(annotation, types.UnionType):
        return next(kind for kind in typing.get_args(annotation) if kind is not type(None))
    return annotation


def _type_name(kind: type) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[kind]


def _node_text(node: yaml.Node, where: str) -> Any:
    """The text of a scalar (None for null), or a list of them."""
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == "tag:yaml.org,2002:null" else node.value
    if isinstance(node, yaml.SequenceNode) and all(isinstance(i.value, str) for i in node.value):
        return [item.value for item in node.value]
    raise UserError(f"{where}: expected a value or a list of values, found one nested in another")


def _as_text(value: Any) -> Any:
    """A JSON value as YAML would have it written."""
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    return value if value is None else str(value)


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _underscore(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value
