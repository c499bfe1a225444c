"""Work on many files in spawned processes that end cleanly: with Ctrl-C, and with their parent."""

import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import cv2

from ..core.errors import UserError


def answers(
    work: Callable[[Path], Any], paths: Iterable[Path], n_workers: int
) -> Iterator[tuple[Path, Any]]:
    """(path, `work(path)`) in the order in which they are ready; a process has one path at a time.

    `paths` are taken one by one as processes get free. Raises what `work` raised, and `UserError`
    that names the path where a process died.
    """
    with _processes(work, n_workers) as processes:
        todo, idle = iter(paths), list(processes)
        tasks: dict[Any, Path] = {}
        while True:
            for connection, path in zip(idle, todo, strict=False):
                tasks[connection] = path
                with suppress(OSError):  # it died: waiting for its answer will tell
                    connection.send(path)
            if not tasks:
                return
            idle = list(wait(list(tasks)))  # type: ignore[arg-type]  # all are connections
            for connection in idle:
                path = tasks.pop(connection)
                yield path, _answer(connection, processes[connection], path)


def _answer(connection: Connection, process: multiprocessing.Process, path: Path) -> Any:
    try:
        answer, error = connection.recv()
    except (EOFError, OSError):
        process.join()
        raise UserError(
            f"{path}: the process at work on it died (exit code {process.exitcode}), perhaps for "
            "lack of memory; finished rows are kept: run the same command again, with fewer "
            "processes, or without this image if it is the cause"
        ) from None
    if error is not None:
        raise error
    return answer


@contextmanager
def _processes(work: Callable, count: int) -> Iterator[dict[Connection, multiprocessing.Process]]:
    """Processes that answer paths, by their connections; they end with the block.

    Spawned: a fork would take over locks of OpenCV's and tqdm's threads, and hold its parent's
    locked files when that is killed. Each imports everything anew, which takes about a second. A
    process ends when its connection does, so with a killed parent too (those of the standard
    library's pools stay), and it is known which image ended it (no pool, joblib's included, tells).
    """
    context = multiprocessing.get_context("spawn")
    resource_tracker.ensure_running()  # started below it would let interrupts through
    started: dict[Connection, Any] = {}
    try:
        # Ctrl-C reaches every process of a terminal: only this one is to act on it
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(count):
                connection, other_end = context.Pipe()
                with other_end:
                    process = context.Process(target=_serve, args=(other_end, work), daemon=True)
                    process.start()
                started[connection] = process
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield started
    finally:
        for connection in started:
            connection.close()
        for process in started.values():
            process.join()


def _serve(connection: Connection, work: Callable) -> None:
    """Answers each path with (answer, None) or (None, error) until there is no one to answer."""
    cv2.setNumThreads(0)
    with suppress(EOFError, OSError):
        while True:
            path = connection.recv()
            try:
                answer: tuple[Any, Exception | None] = work(path), None
            except Exception as error:
                answer = None, _sendable(error)
            connection.send(answer)


def _sendable(error: Exception) -> Exception:
    """The error with its traceback as a note; one with that text where it cannot be pickled."""
    text = "".join(traceback.format_exception(error))
    error.add_note(f"In a worker process: {text}")
    try:
        return pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        return RuntimeError(text)
