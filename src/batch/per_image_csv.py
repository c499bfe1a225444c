"""One CSV row for each image below a folder: in several processes, resumable after a kill."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pandas as pd

from ..core.cells import guarded
from ..core.errors import UserError, require
from ..core.files import check_output, check_replaceable, write_text
from ..core.image_files import IMAGE_SUFFIXES
from ..core.lease import leased
from ..core.progress import progress
from ..preprocess.image import ImageError
from .processes import answers

DECIMALS = 6  # of a float in the table: a millionth of a degree or of a share
MOST_LISTED = 10
_FORMAT = 1  # of the lines that keep finished rows: raise it when they change
_Row = tuple[Path, list | None, list]  # an image, its `_signature` and cells


def run_folder_job(
    work: Callable[[Path], dict],
    paths: list[Path],
    folder: Path,
    output_csv: Path,
    columns: tuple[str, ...],
    settings: dict,
    n_workers: int,
    title: str,
    is_kept: Callable[[list], bool] = lambda cells: True,
) -> pd.DataFrame:
    """The table that `output_csv` then holds: `image, *columns, status`, a row for each path.

    `work(path)` gives the `columns` of an image, or raises `ImageError`: its reason becomes the
    row's status, which is "ok" otherwise. `image` is the path within `folder`; bytes of it that
    are not UTF-8 are escaped. Floats are rounded to `DECIMALS`; NaN and None are empty cells.

    With `n_workers` above 1, `work` is pickled and runs in that many processes, at most one per CPU
    core. Finished rows are kept in a hidden file beside `output_csv`, named after it and a digest
    of `settings` (JSON: all that decides a row), `columns` and `folder`. The same job, run again,
    computes only rows that are missing, whose image has another size or time, or whose cells
    `is_kept` refuses; another job for that output removes them.

    Raises `UserError` for an output that cannot be written, for a job that is writing it already
    and for a worker process that died; whatever else `work` raises comes through.
    """
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    header = ["image", *columns, "status"]
    is_image = output_csv.suffix.lower() in IMAGE_SUFFIXES
    require(not is_image, f"{output_csv}: expected a CSV file to write, found an image")
    check_output(output_csv, *paths)
    job = json.dumps([_FORMAT, str(folder.resolve()), columns, settings], sort_keys=True)
    rows_path = _rows_path(output_csv, job)
    with leased(output_csv.with_name(f".{output_csv.name}.lease"), str(output_csv)) as lease:
        _end_other_jobs(rows_path, output_csv)
        with _opened(rows_path, output_csv) as file:
            _compute_missing(work, columns, names, file, output_csv, n_workers, title, is_kept)
            cells = {name: cells for name, _, cells in _kept_rows(file, len(columns))}
        rows = [[_plain(name), *cells[name]] for name in map(names.get, paths)]
        lease.check()
        write_text(output_csv, _csv_text([header, *rows]))
        rows_path.unlink(missing_ok=True)
    return pd.DataFrame(rows, columns=header)


def failures(table: pd.DataFrame) -> list[str]:
    """A line for each of the first images that could not be read, with the reason."""
    failed = table[table["status"] != "ok"]
    lines = [f"  not read: {row.image}: {row.status}" for row in failed[:MOST_LISTED].itertuples()]
    more = len(failed) - len(lines)
    return [*lines, *([f"  not read: {more:,} more"] if more else [])]


@contextmanager
def _blaming(output: Path) -> Iterator[None]:
    """Turns an `OSError` in the block into a `UserError` about the output."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror})") from None


def _rows_path(output: Path, job: str) -> Path:
    digest = hashlib.sha256(job.encode()).hexdigest()[:16]
    return output.with_name(f".{output.name}.{digest}.partial")


def _opened(rows_path: Path, output: Path) -> BinaryIO:
    """The file of finished rows, made where there is none."""
    check_replaceable(rows_path)
    with _blaming(output):
        return rows_path.open("a+b", buffering=0)


def _end_other_jobs(rows_path: Path, output: Path) -> None:
    """Remove what killed jobs with other settings have kept: this one replaces their work."""
    prefix = f".{output.name}."
    for path in output.parent.iterdir():
        is_partial = path.name.startswith(prefix) and path.name.endswith(".partial")
        if is_partial and path != rows_path:
            path.unlink(missing_ok=True)


def _kept_rows(file: BinaryIO, n_columns: int) -> Iterator[tuple[str, list | None, list]]:
    """Name, signature and cells of each finished row; then what a kill left torn is cut off."""
    end = 0
    with os.fdopen(file.fileno(), "rb", closefd=False) as lines:
        lines.seek(0)
        for line in lines:
            try:
                name, signature, cells = json.loads(line)
                is_row = isinstance(name, str) and len(cells) == n_columns + 1
                is_row &= signature is None or isinstance(signature, list)
                is_row &= not any(isinstance(cell, (list, dict)) for cell in cells)
            except (ValueError, TypeError, RecursionError):
                break
            if not is_row or not line.endswith(b"\n"):
                break
            end += len(line)
            yield name, signature, cells
    file.truncate(end)


def _compute_missing(
    work: Callable[[Path], dict],
    columns: tuple[str, ...],
    names: dict[Path, str],
    file: BinaryIO,
    output: Path,
    n_workers: int,
    title: str,
    is_kept: Callable[[list], bool],
) -> None:
    """Adds to `file` the rows that it lacks, and those of images that have changed."""
    before = _kept_rows(file, len(columns))
    kept = {name: signature for name, signature, cells in before if is_kept(cells)}
    todo = [p for p, name in names.items() if name not in kept or kept[name] != _signature(p)]
    n_kept, n_workers = len(names) - len(todo), min(n_workers, os.cpu_count() or 1, len(todo))
    rows_of: Callable[..., Generator[_Row, None, None]] = _rows_here
    if n_workers > 1:
        rows_of = partial(_rows_in_processes, n_workers)
    found = rows_of(partial(_row, work, columns), todo)
    bar = progress(found, title, len(names), "image", initial=n_kept)
    with closing(found), closing(bar):
        for path, signature, cells in bar:
            line = (json.dumps([names[path], signature, cells]) + "\n").encode()
            with _blaming(output):
                while line:  # unbuffered: what the kernel has stays when this process is killed
                    line = line[file.write(line) :]


def _signature(path: Path) -> list | None:
    """Size and time of a file, None where there is none: while they stay, its row does."""
    with suppress(OSError):
        stat = path.stat()
        return [stat.st_size, stat.st_mtime_ns]
    return None


def _row(work: Callable[[Path], dict], columns: tuple[str, ...], path: Path) -> list:
    try:
        found = work(path)
    except ImageError as error:
        return [*(None for _ in columns), _plain(str(error))]
    if found.keys() != set(columns):
        raise ValueError(f"work gave {list(found)}: expected {list(columns)}")
    return [*(_plain(found[column]) for column in columns), "ok"]


def _plain(value: object) -> object:
    """The value as JSON and UTF-8 keep it unchanged: rounded; no NaN, no -0.0, no NumPy type."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, DECIMALS) + 0.0
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _rows_here(row: Callable, paths: list[Path]) -> Generator[_Row, None, None]:
    """The row of each path. OpenCV has one thread meanwhile, as in the worker processes."""
    n_threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        for path in paths:
            yield path, _signature(path), row(path)
    finally:
        cv2.setNumThreads(n_threads)


def _rows_in_processes(
    n_workers: int, row: Callable, paths: list[Path]
) -> Generator[_Row, None, None]:
    signatures = {}

    def taken() -> Iterator[Path]:
        for path in paths:
            signatures[path] = _signature(path)
            yield path

    for path, cells in answers(row, taken(), n_workers):
        yield path, signatures.pop(path), cells


def _csv_text(rows: list[list]) -> str:
    return "".join(",".join(map(_csv_cell, row)) + "\n" for row in rows)


def _csv_cell(value: object) -> str:
    """A cell's text. (The csv module leaves a lone carriage return unquoted before Python 3.13.)"""
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else guarded(str(value))
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text
