"""Options of a program: frozen dataclasses whose fields are its flags."""

import argparse
import enum
import math
import operator
import re
import sys
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import __version__
from .errors import UserError, nearest, require

MAX_SEED = 2**32 - 1
REQUIRED = object()  # the default of a flag that must be given
_BOOLEANS = dict.fromkeys(("true", "yes", "t", "y", "1"), True)
_BOOLEANS |= dict.fromkeys(("false", "no", "f", "n", "0"), False)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LIMITS = {
    "least": (operator.ge, "{:,} or more"),
    "above": (operator.gt, "more than {}"),
    "most": (operator.le, "at most {}"),
    "below": (operator.lt, "less than {}"),
}
_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}


class Role(enum.Flag):
    """What a setting of the trainer is to other programs, and to a run that continues."""

    NONE = 0
    RESULT_NEUTRAL = enum.auto()  # no effect on a run's result: may change when it is resumed
    MODEL = enum.auto()  # says what a model is and which rows it has seen: cannot be changed later
    EVALUATION = enum.auto()  # has an effect when a model or its predictions are evaluated
    DATA = enum.auto()  # which rows there are, and how they are split
    SHARED = enum.auto()  # the same in all trials of a sweep
    PATH = enum.auto()  # a file or folder
    RUN = enum.auto()  # names or places one run: not taken over when its model is evaluated
    TEST = enum.auto()  # has an effect with --test only, so not when a model is trained


def flag(
    default: Any,
    help: str,
    role: Role = Role.NONE,
    *,
    also: tuple[str, ...] = (),
    positional: bool = False,
    metavar: str = "",
    **limits: float,
) -> Any:
    """A dataclass field with its `--help` text; `also` are other spellings of the flag.

    With `REQUIRED` as the default a value must be given. A positional field has no dashes. The
    `limits` (`least`, `above`, `most`, `below`) hold for every number of a `Section`'s field.
    """
    metadata = {"help": help, "role": role, "also": also, "metavar": metavar, "limits": limits}
    return field(default=default, metadata=metadata | {"positional": positional})


@dataclass(frozen=True)
class Section:
    """The base of dataclasses of flags. Raises `UserError` for a value outside of its limits."""

    def __post_init__(self):
        for f in fields(self):
            limits, value = f.metadata["limits"], getattr(self, f.name)
            for number in value if isinstance(value, tuple) else (value,):
                fits = number is None or all(_LIMITS[k][0](number, b) for k, b in limits.items())
                require(fits, f"--{f.name} {number}: expected {_range_text(limits)}")


def _range_text(limits: dict[str, float]) -> str:
    if limits.keys() == {"least", "most"}:
        return f"{limits['least']:,} to {limits['most']:,}"
    return ", ".join(_LIMITS[kind][1].format(bound) for kind, bound in limits.items())


def parse_options(
    argv: list[str] | None, description: str, *sections: type, **options: Any
) -> list[Any]:
    """An instance of each section, from a command line that has their flags and no others.

    `options` are those of `new_parser`. Raises `UserError` for unknown flags, missing ones and
    values of the wrong type.
    """
    parser = new_parser(description, **options)
    for section in sections:
        add_section(parser, section)
    given = parse_flags(parser, argv)
    return [take_section(section, given) for section in sections]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> typing.NoReturn:
        raise UserError(f"{message} (see --help)")


def new_parser(description: str, **options: Any) -> argparse.ArgumentParser:
    """A parser whose mistakes are a `UserError` and whose values stay text until `convert`."""
    parser = _Parser(
        description=description.partition("\n")[0],
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        **options,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def add_section(
    parser: argparse.ArgumentParser, section: type, offered: Collection[str] | None = None
) -> None:
    """Add a flag for each field of a dataclass, under the first line of its docstring.

    With `offered`, only for the fields of these names.
    """
    group = parser.add_argument_group((section.__doc__ or "").partition("\n")[0])
    for f in fields(section):
        if offered is None or f.name in offered:
            add_flag(group, f.name, f.type, _help_of(f), f.metadata)


def add_flag(group: Any, name: str, annotation: Any, help: str, metadata: Any = None) -> None:
    """Add `--name` to a parser or group; a boolean also takes `--no_name`."""
    metadata = metadata or {}
    plain = _plain(annotation)
    many = {"nargs": "+"} if typing.get_origin(plain) is tuple else {}
    metavar = metadata.get("metavar") or name.upper()
    if typing.get_origin(plain) is typing.Literal:
        metavar = "{" + ",".join(typing.get_args(plain)) + "}"
    if metadata.get("positional"):
        # optional to argparse, so that what is missing is told as for other flags
        group.add_argument(name, nargs="*" if many else "?", metavar=metavar, help=help)
        return
    names = (f"--{name}", *metadata.get("also", ()))
    if plain is not bool:
        group.add_argument(*names, dest=name, metavar=metavar, help=help, **many)
        return
    value = {"nargs": "?", "const": "true", "metavar": "true|false"}
    group.add_argument(*names, dest=name, help=help, **value)
    off = {"dest": name, "action": "store_const", "const": "false"}
    group.add_argument(f"--no_{name}", help=argparse.SUPPRESS, **off)


def parse_flags(
    parser: argparse.ArgumentParser,
    argv: list[str] | None,
    refused: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The flags given on a command line as text; `--data-path` is `--data_path`.

    Raises `UserError` for others, with the reason of those that `refused` has.
    """
    argv = sys.argv[1:] if argv is None else argv
    names = re.compile(r"(?<=^--)[^=]+")
    argv = [names.sub(lambda name: name[0].replace("-", "_"), argument) for argument in argv]
    known, unknown = parser.parse_known_args(argv)
    if unknown:
        flags = [o.lstrip("-") for action in parser._actions for o in action.option_strings]
        given = unknown[0].partition("=")[0]
        name = given.lstrip("-")
        reason = (refused or {}).get(name.removeprefix("no_"))
        if reason:
            raise UserError(f"--{name}: {reason}")
        raise UserError(f"unknown argument '{given}'{nearest(name, flags)} (see --help)")
    return {name: value for name, value in vars(known).items() if value not in (None, [])}


def take_section(section: type, given: dict[str, Any]) -> Any:
    """The dataclass `section` of its parsed flags, which are taken out of `given`."""
    values = {}
    for f in fields(section):
        positional = f.metadata["positional"]
        name = f.metadata["metavar"] or f.name if positional else f"--{f.name}"
        if f.name in given:
            values[f.name] = convert(f.type, given.pop(f.name), name)
        elif f.default is REQUIRED:
            raise UserError(f"{name}: expected {f.metadata['help']}; found none (see --help)")
    return section(**values)


def convert(annotation: Any, text: Any, where: str) -> Any:
    """`text` (or a list of texts, or None for YAML's null) in the type of an annotation.

    Raises `UserError` that begins with `where` and names the expected type.
    """
    plain = _plain(annotation)
    optional = plain is not annotation
    if text is None or (optional and text in ("null", "none", "None", "")):
        if plain is str:
            return ""
        require(optional, f"{where} is empty: expected {_type_name(plain)}")
        return None
    if typing.get_origin(plain) is tuple:
        texts = text if isinstance(text, list) else [text]
        return tuple(_scalar(where, typing.get_args(plain)[0], item) for item in texts)
    return _scalar(where, plain, text)


def _scalar(where: str, kind: Any, text: Any) -> Any:
    wrong = f"{where} is '{text}': expected {_type_name(kind)}"
    require(isinstance(text, str) and (kind is not Path or text), wrong)
    # no path may hold a NUL, and no file or terminal takes what is not UTF-8
    require("\0" not in text and not _SURROGATE.search(text), f"{wrong} in UTF-8")
    if typing.get_origin(kind) is typing.Literal:
        if text not in typing.get_args(kind):
            raise UserError(wrong + nearest(text, typing.get_args(kind)))
        return text
    try:
        value: Any = _BOOLEANS[text.lower()] if kind is bool else kind(text)
        if kind is Path:
            value.resolve()
    except (ValueError, KeyError, RuntimeError, OSError):  # of these two are links in a circle
        raise UserError(wrong) from None
    require(kind is not float or math.isfinite(value), wrong)
    return value


def _plain(annotation: Any) -> Any:
    """The type inside `type | None`."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):  # Union: of Literals
        return next(kind for kind in typing.get_args(annotation) if kind is not type(None))
    return annotation


def _type_name(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(typing.get_args(kind))
    return _TYPE_NAMES.get(kind, "text")


def _help_of(f: Any) -> str:
    text = f.metadata["help"]
    if f.default is REQUIRED:
        text = f"{text} (required)"
    elif f.default not in (None, "", ()):
        shown = str(f.default).lower() if isinstance(f.default, bool) else f.default
        text = f"{text} (default: {shown})"
    return text.replace("%", "%%")
