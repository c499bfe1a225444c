"""The folder of a report: a new one each time, there as a whole or not at all."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

from ..core.errors import UserError
from ..core.files import clear_unfinished, make_folder, unfinished

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def require_new(folder: Path) -> None:
    """Raise `UserError` where a folder that `--run_name` names holds something already."""
    if not _is_free(folder):
        raise UserError(
            f"--run_name {folder.name}: {folder} exists; expected a new name, since nothing is "
            "replaced"
        )


def claim_folder(root: Path, name: str, is_given: bool) -> Path:
    """A new, empty folder in `root`, named as that of `write_folder`."""
    make_folder(root)
    if is_given:
        require_new(root / name)
        return make_folder(root / name)
    folder = next(folder for folder in _numbered(root, name) if not folder.exists())
    folder.mkdir()
    return folder


def write_folder(root: Path, name: str, is_given: bool, write: Callable[[Path], None]) -> Path:
    """The new folder in `root` with what `write` puts into the one that it is given.

    It is `name`, or, unless the name `is_given` by the user, the first of `name_2`, `name_3`, ...
    that is free; nothing is replaced. Until all is written it has a hidden name: those that killed
    processes left in `root` are removed first.
    """
    make_folder(root)
    clear_unfinished(root)
    temporary = unfinished(root / name)
    try:
        temporary.mkdir()
        write(temporary)
        for path in temporary.rglob("*"):
            if path.is_file():
                _sync(path)
        return _renamed(temporary, [root / name] if is_given else _numbered(root, name))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _numbered(root: Path, name: str) -> Iterator[Path]:
    return (root / (f"{name}_{number}" if number > 1 else name) for number in count(1))


def _renamed(temporary: Path, folders: Iterable[Path]) -> Path:
    for folder in filter(_is_free, folders):
        try:
            return temporary.rename(folder)
        except OSError as error:  # another process was faster
            if error.errno not in _TAKEN:
                raise
    raise UserError("--run_name: the folder was written by another process; expected a new name")


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
