"""The user's mistakes: one line on stderr and exit code 2, never a traceback."""

import difflib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from .cells import visible

NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class UserError(Exception):
    """A wrong path, column, flag or file: what was expected, what was found, what to do."""


def require(condition: bool, message: str) -> None:
    """Raise `UserError` with this message unless the condition holds."""
    if not condition:
        raise UserError(message)


@contextmanager
def told_once() -> Iterator[None]:
    """A mistake that all processes of a run make alike is told by the first of them alone."""
    try:
        yield
    except UserError:
        if os.environ.get("RANK", "0") == "0":
            raise
        sys.exit(2)


def nearest(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the known name closest to `name`, or `""` where none is close."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{match[0]}'?" if match else ""


def first_line(error: Exception) -> str:
    """The first line of what a library's error says, at most 150 characters, else its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:150]


def run_main(main: Callable[[list[str] | None], int | None]) -> None:
    """Run an entry point and exit: its return value, or 2 with one line for a `UserError`."""
    try:
        code = main(None)
    except UserError as error:
        # a data loading process hands its error on inside a report of several lines
        text = visible(str(error).rpartition("UserError: ")[2].strip())
        print(f"error: {text}", file=sys.stderr)
        code = 2
    except OSError as error:  # a full disk, a folder that went away
        if error.filename is None and error.errno not in NO_SPACE:
            raise
        what = error.filename or "writing a file"
        print(f"error: {visible(what)}: {error.strerror}", file=sys.stderr)
        code = 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
            raise
        extra = "pip install 'melanoma-classification[train]'"
        print(f"error: the package {error.name} is not installed: {extra}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code or 0)
