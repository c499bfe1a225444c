"""Frozen dataclasses as JSON, and back from a file of unknown origin: every value is checked."""

import math
import types
import typing
from dataclasses import asdict, fields
from typing import Any

from ..core.errors import UserError

_MOST_TEXT, _MOST_ITEMS, _MOST_NUMBER = 500, 100_000, 1e15


def to_json(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, in JSON types that `from_json` reads back."""
    return asdict(value)


def from_json(kind: Any, content: Any, where: str) -> Any:
    """`content` as a `kind`: a dataclass, tuple[X, ...], X | None, float, int, bool or str.

    Raises `UserError` that begins with `where` for anything else: other fields or types, numbers
    that are not finite, texts and lists beyond all use.
    """
    if isinstance(kind, types.UnionType):
        (inner,) = (one for one in typing.get_args(kind) if one is not types.NoneType)
        return None if content is None else from_json(inner, content, where)
    if typing.get_origin(kind) is tuple:
        _require(isinstance(content, list | tuple) and len(content) <= _MOST_ITEMS, where, "a list")
        return tuple(from_json(typing.get_args(kind)[0], item, where) for item in content)
    if kind is float:
        is_number = type(content) in (int, float) and math.isfinite(content)
        _require(is_number and abs(content) <= _MOST_NUMBER, where, "a number")
        return float(content)
    if kind in (int, bool, str):
        _require(type(content) is kind, where, f"a {kind.__name__}")
        short = kind is not str or len(content) <= _MOST_TEXT
        _require(short and (kind is not int or abs(content) <= _MOST_NUMBER), where, "less")
        return content
    names = {field.name for field in fields(kind)}
    _require(isinstance(content, dict) and {*content} == names, where, ", ".join(sorted(names)))
    hints = typing.get_type_hints(kind)
    return kind(**{n: from_json(hints[n], content[n], f"{where}: {n}") for n in names})


def _require(holds: bool, where: str, expected: str) -> None:
    if not holds:
        raise UserError(f"{where}: expected {expected}")
