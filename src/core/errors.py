"""The user's mistakes: one line on stderr and exit code 2, never a traceback."""

import difflib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from .cells import visible

NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_NO_MEMORY = (
    "out of memory",  # CUDA
    "can't allocate memory",  # torch on the CPU
    "alloc_failed",  # cuBLAS, cuDNN
    "bad_alloc",
    "insufficient memory",  # OpenCV
)
# the extra of a package that is not in [train]
_EXTRAS = {"statsmodels": "statistics", "pytorch_grad_cam": "gradcam"}
READER_GONE = 141  # 128 + SIGPIPE, as of other commands before `head`


class UserError(Exception):
    """A wrong path, column, flag or file: what was expected, what was found, what to do."""


def require(condition: object, message: str) -> None:
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


def first_line(error: Exception | str) -> str:
    """The first line of what a library's error says, at most 150 characters, else its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:150]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of whatever library, says that there is not enough memory."""
    text = str(error).lower()
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY)


class Terminated(BaseException):
    """SIGTERM: ends what is at work, which cleans up after itself."""


def terminate(number: int, _: FrameType | None) -> NoReturn:
    """The handler of SIGTERM in a command. Another one is ignored: the first is being followed."""
    signal.signal(number, signal.SIG_IGN)
    raise Terminated


def run_main(main: Callable[[list[str] | None], int | None]) -> None:
    """Run an entry point and exit: its return value, or 2 with one line for a `UserError`.

    A signal ends it with 128 + its number, and one line.
    """
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)
    code = _exit_code(main)
    try:
        sys.stdout.flush()
    except OSError as error:
        gone = isinstance(error, BrokenPipeError)
        code = code or (READER_GONE if gone else _told(f"standard output: {error.strerror}"))
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the end's own flush
    except AttributeError:  # there is no stdout
        pass
    sys.exit(code)


def _exit_code(main: Callable[[list[str] | None], int | None]) -> int | str | None:
    try:
        return main(None) or 0
    except SystemExit as stop:
        return stop.code
    except UserError as error:
        # a data loading process hands its error on inside a report of several lines
        return _told(visible(str(error).rpartition("UserError: ")[2].strip()))
    except BrokenPipeError:
        return READER_GONE
    except OSError as error:  # a full disk, a folder that went away
        if error.filename is None and error.errno not in NO_SPACE:
            raise
        return _told(f"{visible(error.filename or 'writing a file')}: {error.strerror}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
            raise
        extra = _EXTRAS.get(error.name, "train")
        how = f"pip install 'melanoma-classification[{extra}]'"
        return _told(f"the package {error.name} is not installed: {how}")
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _told(f"not enough memory ({visible(first_line(error))})")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except Terminated:
        print("terminated", file=sys.stderr)
        return 128 + signal.SIGTERM


def _told(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2
