"""Names to factories, and the call strings (`focal(gamma=1.5)`) that choose among them."""

import ast
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import UserError, nearest, require

MAX_CALL_LENGTH = 2000


@dataclass(frozen=True)
class Call:
    """A component's name and the options written with it."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.options:
            return self.name
        return (
            f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.options.items())})"
        )


def parse_call(text: str) -> Call:
    """The `Call` written in `text`: `name` or `name(option=literal, ...)`.

    Values are literals (text, finite numbers, True, False, None, tuples and lists of them), read
    with `ast.literal_eval`: nothing is executed. Raises `UserError` for anything else.
    """
    wrong = UserError(f"cannot read '{text}': expected name or name(option=value, ...)")
    require(
        len(text) <= MAX_CALL_LENGTH,
        f"a call string of {len(text)} characters: at most {MAX_CALL_LENGTH}",
    )
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise wrong from None
    if isinstance(node, ast.Name):
        return Call(node.id)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)) or node.args:
        raise wrong
    try:
        given = [(keyword.arg, ast.literal_eval(keyword.value)) for keyword in node.keywords]
    except (ValueError, TypeError):
        raise wrong from None
    options = {name: value for name, value in given if name is not None}
    if None in dict(given) or not _is_plain(list(options.values())):  # None: name(**mapping)
        raise wrong
    require(len(options) >= len(given), f"'{text}' gives an option twice")
    return Call(node.func.id, options)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


class Registry:
    """Factories of one kind of component, by function name.

    In a factory's signature, positional parameters come from the program (by name, so that each
    factory gets only what it asks for) and keyword-only parameters are the user's options.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._factories: dict[str, Callable] = {}

    def register(self, factory: Callable) -> Callable:
        """Decorator that adds `factory` under its own name."""
        if factory.__name__ in self._factories:
            raise ValueError(f"{self.kind} '{factory.__name__}' is registered twice")
        self._factories[factory.__name__] = factory
        return factory

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._factories)

    def resolve(self, text: str) -> Call:
        """`text` as a `Call` with every option written out, defaults included.

        Raises `UserError` that suggests the nearest name or option, or names a missing one.
        """
        call = parse_call(text)
        if call.name not in self._factories:
            known = ", ".join(self.names())
            raise UserError(
                f"no {self.kind} is called '{call.name}'{nearest(call.name, self._factories)} "
                f"(known: {known})"
            )
        defaults = self._options(call.name)
        for option, value in call.options.items():
            if option not in defaults:
                known = ", ".join(defaults) or "none"
                raise UserError(
                    f"{self.kind} '{call.name}' has no option '{option}'"
                    f"{nearest(option, defaults)} (options: {known})"
                )
            _check_type(f"{self.kind} '{call.name}': option '{option}'", value, defaults[option])
        options = {**defaults, **call.options}
        for option, value in options.items():
            require(
                value is not inspect.Parameter.empty,
                f"{self.kind} '{call.name}' needs the option '{option}'",
            )
        return Call(call.name, options)

    def build(self, text: str, **context: Any) -> Any:
        """What the factory named in `text` makes of its options and of the `context` it names."""
        call = self.resolve(text)
        values = (context[name] for name in self.context_names(text))
        return self._factories[call.name](*values, **call.options)

    def context_names(self, text: str) -> list[str]:
        """The names of what the factory in `text` takes from the program."""
        parameters = inspect.signature(self._factories[self.resolve(text).name]).parameters
        return [n for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]

    def __getitem__(self, name: str) -> Callable:
        return self._factories[name]

    def _options(self, name: str) -> dict[str, Any]:
        parameters = inspect.signature(self._factories[name]).parameters
        return {n: p.default for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


def _check_type(what: str, value: Any, default: Any) -> None:
    """Refuse a value of another kind than the default's; None as a default admits anything."""
    if default is None or default is inspect.Parameter.empty:
        return
    expected = (int, float) if isinstance(default, float) else type(default)
    require(
        isinstance(value, expected) and isinstance(value, bool) == isinstance(default, bool),
        f"{what} is {value!r}: expected a value like {default!r}",
    )
