"""How far a long piece of work has come: a bar on a terminal, else a line a minute."""

import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

S = TypeVar("S")
T = TypeVar("T")
FIRST_S, EVERY_S = 5, 60  # seconds to the first line, and between two lines of the program
_HANDED_OUT = 2048  # items that threads are given at a time: a hundred thousand take memory
_last_line = -float("inf")  # when this program wrote one, whatever it was about


def progress(
    items: Iterable[T],
    title: str,
    total: int | None = None,
    unit: str = "it",
    initial: int = 0,
    quiet: bool = False,
) -> Generator[T, None, None]:
    """The items, while stderr tells how many of `total` are done and how long the rest will take.

    `initial` were done before. Nothing is shown where `quiet`, nor of what takes a moment.
    """
    if total is None and isinstance(items, Sized):
        total = len(items) + initial
    if quiet or not sys.stderr.isatty():
        yield from items if quiet else _with_lines(items, title, total, unit, initial)
        return
    yield from tqdm(items, title, total, unit=unit, initial=initial, leave=False)


def in_threads(
    function: Callable[[S], T], items: Sequence[S], title: str, unit: str = "it"
) -> Iterator[T]:
    """The results of a function of the items, in order, with their `progress`.

    As many threads as cores share the work; the first error ends it.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    starts = range(0, len(items), _HANDED_OUT)
    try:
        parts = (pool.map(function, items[start : start + _HANDED_OUT]) for start in starts)
        results = (result for part in parts for result in part)
        yield from progress(results, title, len(items), unit)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def working(title: str) -> Iterator[None]:
    """Tells every minute that the block, or the function it decorates, is still at work.

    For what takes long and has no parts to count.
    """
    started, is_done = time.monotonic(), threading.Event()

    def tell() -> None:
        pause = FIRST_S
        while not is_done.wait(pause):
            sys.stderr.write(f"{title}: at work for {duration(time.monotonic() - started)}\n")
            sys.stderr.flush()
            pause = EVERY_S

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_done.set()
        teller.join()


def _with_lines(
    items: Iterable[T], title: str, total: int | None, unit: str, initial: int
) -> Iterator[T]:
    global _last_line
    started = time.monotonic()
    for n_done, item in enumerate(items, 1):
        yield item
        now, is_end = time.monotonic(), total == initial + n_done
        if not is_end and now - started >= FIRST_S and now - _last_line >= EVERY_S:
            _last_line = now
            left = (now - started) / n_done * (total - initial - n_done) if total else None
            sys.stderr.write(_line(title, initial + n_done, total, unit, left) + "\n")
            sys.stderr.flush()


def _line(title: str, n_done: int, total: int | None, unit: str, left: float | None) -> str:
    plural = "es" if unit.endswith("ch") else "s"
    units = "" if unit == "it" else f" {unit}{plural * (total != 1)}"
    if not total or left is None:
        return f"{title}: {n_done:,}{units}"
    share = f"{n_done / total:.0%}"
    return f"{title}: {n_done:,} of {total:,}{units} ({share}), about {duration(left)} left"


def duration(seconds: float) -> str:
    """A length of time in words: `40 s`, `12 min`, `3 h 05 min`, `2 d 04 h`."""
    seconds = max(0, round(seconds))
    if seconds < 100:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24:02} h"
