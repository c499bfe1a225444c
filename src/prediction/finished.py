"""Finished batches, kept beside the output until all are done: what a stopped prediction resumes.

Each process, or shard, adds to a file of its own; the names of all begin with that of the output.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..core.errors import UserError
from ..core.files import check_replaceable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Row:
    """An image: its name, and the index of its class and probabilities, or why it has none.

    `cells` are those of companions.
    """

    name: str
    decision: int
    probabilities: list[float]
    reason: str
    cells: tuple[str, ...] = ()


class Finished:
    """The finished batches of a job, by what identifies each of them.

    `job` is a digest of all that decides a row; files of other jobs are not looked at. `own` is the
    file of this process, of the part (number, of how many). Raises `UserError` where another
    process writes it already.
    """

    def __init__(self, output: Path, job: str, part: tuple[int, int]):
        self._output, self._prefix = output, f".{output.name}.{job}."
        self.own = output.with_name(f"{self._prefix}{part[0]}-of-{part[1]}.partial")
        self._places: dict[str, tuple[Path, int]] = {}

    def open(self, resume: bool, is_part: bool) -> BinaryIO:
        """The own file, ready to be added to. What others left goes unless it is resumed.

        A part leaves those of the other parts alone.
        """
        check_replaceable(self.own)
        try:
            file = self.own.open("a+b", buffering=0)
        except OSError as error:
            raise UserError(f"{self._output}: cannot be written ({error.strerror})") from None
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                raise UserError(
                    f"{self._output}: another process is writing it: wait, or end it"
                ) from None
        if resume:
            for path in sorted(self._output.parent.glob(f"{_escaped(self._prefix)}*.partial")):
                self._find(path, file if path == self.own else None)
        else:
            file.truncate(0)
            if not is_part:
                self.remove(but=self.own)
        return file

    def add(self, file: BinaryIO, key: str, rows: list[Row]) -> None:
        """Keep the rows of a finished batch; a kill leaves them whole or not at all."""
        place = file.seek(0, os.SEEK_END)
        content = [
            [row.name, row.decision, row.probabilities, row.reason, *row.cells] for row in rows
        ]
        line = json.dumps([key, content]).encode() + b"\n"
        try:
            while line:  # unbuffered: what the kernel has stays when this process is killed
                line = line[file.write(line) :]
        except OSError as error:
            raise UserError(f"{self._output}: cannot be written ({error.strerror})") from None
        self._places[key] = self.own, place

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def rows(self, keys: list[str]) -> Iterator[Row]:
        """The rows of these batches, in order; one batch at a time is in memory."""
        files: dict[Path, BinaryIO] = {}
        try:
            for key in keys:
                path, place = self._places[key]
                if path not in files:
                    files[path] = path.open("rb")
                files[path].seek(place)
                yield from _read(files[path].readline())[1]
        finally:
            for file in files.values():
                file.close()

    def remove(self, but: Path | None = None) -> None:
        """Remove the finished batches of all jobs for this output, `but` one file."""
        for path in self._output.parent.glob(f".{_escaped(self._output.name)}.*.partial"):
            if path != but:
                path.unlink(missing_ok=True)

    def _find(self, path: Path, own: BinaryIO | None) -> None:
        """Note where the batches of a file are; what a kill left torn is cut off one's own."""
        place = 0
        with path.open("rb") as file:
            for line in file:
                found = _read(line)
                if not found:
                    break
                self._places.setdefault(found[0], (path, place))
                place += len(line)
        if own:
            own.truncate(place)


def _read(line: bytes) -> tuple[str, list[Row]] | None:
    """(key, rows) of a batch's line, None for one that is torn."""
    try:
        key, content = json.loads(line)
        rows = [_row(*cells) for cells in content]
    except (ValueError, TypeError, RecursionError):
        return None
    return (key, rows) if isinstance(key, str) and line.endswith(b"\n") else None


def _row(name: Any, decision: Any, probabilities: Any, *texts: Any) -> Row:
    are_texts = bool(texts) and all(isinstance(text, str) for text in (name, *texts))
    if not are_texts or type(decision) is not int or not isinstance(probabilities, list):
        raise ValueError
    reason, *cells = texts
    return Row(name, decision, [float(value) for value in probabilities], reason, tuple(cells))


def _escaped(name: str) -> str:
    """A name for `glob` in which nothing stands for other characters."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
