"""The check of image files, and the record of it that spares reading unchanged files again."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from ..core.errors import UserError
from ..core.files import make_folder, write_text
from ..core.progress import in_threads
from ..preprocess.image import digest_and_fault

_FORMAT = f"1, OpenCV {cv2.__version__}"
Check = Callable[[str], tuple[str, str]]
_ENTRY = 4  # size, two times, digest
_UNSURE_NS = 2_000_000_000  # a file changed this recently may change again with the same times


def digests_and_faults(
    paths: Sequence[str], folder: Path | None = None, check: Check | None = None
) -> tuple[list[str], list[str]]:
    """(digests of the files' bytes, why each is no usable image), blank where there is none.

    Files that the record in `folder` knows by path, size and times are not read; without a folder
    nothing is recorded. Faulty files are read every time. `check` of a path is both, and may do
    more with the file than `digest_and_fault` does.
    """
    started = time.time_ns()
    names = [str(Path(path).absolute()) for path in paths] if folder else []
    record = _record_path(folder, names) if folder and names else None
    known, stamps = _read(record), [_stamp(name) for name in names]
    found = {
        row: (known[name][-1], "")
        for row, name in enumerate(names)
        if stamps[row] and known.get(name, [])[:-1] == stamps[row]
    }
    todo = [row for row in range(len(paths)) if row not in found]
    checks = in_threads(
        check or digest_and_fault, [paths[row] for row in todo], "checking images", "image"
    )
    found |= zip(todo, checks, strict=True)
    if record and todo:
        news = {
            names[row]: [*stamps[row], found[row][0]]
            for row in todo
            if not found[row][1] and stamps[row] and max(stamps[row][1:]) < started - _UNSURE_NS
        }
        _write(record, known | news)
    return [found[row][0] for row in range(len(paths))], [found[r][1] for r in range(len(paths))]


def _stamp(path: str) -> list[int]:
    """Size and times of change, of content and of anything; empty where there is no file."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _record_path(folder: Path, names: Sequence[str]) -> Path:
    """One record for all tables of a data folder."""
    root = os.path.commonpath([min(names), max(names)])
    return folder / f"checked_{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"


def _read(record: Path | None) -> dict[str, list]:
    """The entries of a record: path to [size, times, digest]; none of one that is not ours."""
    try:
        content = json.loads(record.read_text("utf-8")) if record else {}
        files = content["files"] if content["format"] == _FORMAT else {}
        return {name: entry for name, entry in files.items() if len(entry) == _ENTRY}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _write(record: Path, entries: dict[str, list]) -> None:
    try:
        make_folder(record.parent)
        write_text(record, json.dumps({"format": _FORMAT, "files": entries}))
    except (UserError, UnicodeEncodeError):  # it only saves time
        return
