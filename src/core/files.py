"""Files: checked before anything is loaded, written so that a kill leaves the old or the new."""

import csv
import hashlib
import json
import math
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .config import Config
from .errors import NO_SPACE, UserError, require

# of a file that is being written: its name, the machine and the process that writes it
_UNFINISHED = re.compile(r"\.(.+)\.(\w*)-(\d+)\.tmp", re.DOTALL)
_HOST = re.sub(r"\W", "_", platform.node())
_ABANDONED_S = 86_400  # of a file on another machine, whose processes cannot be asked


@contextmanager
def replacing(path: Path, one_of_many: bool = False) -> Iterator[Path]:
    """An empty file beside `path`, which takes its name when the block ends without error.

    What killed processes have left of `path` is removed. With `one_of_many`, files that can be made
    again, that and waiting for the disk are left out: each takes as long as a small file. Raises
    `UserError` where `path` is anything but a new name or a regular file, or cannot be written.
    """
    check_replaceable(path)
    if not one_of_many:
        clear_unfinished(path.parent, path.name)
    temporary = unfinished(path)
    try:
        temporary.unlink(missing_ok=True)  # of a process that had our number
        temporary.touch(exist_ok=False)  # never through a link
        yield temporary
        if not one_of_many:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if str(error.filename) != str(temporary) and error.errno not in NO_SPACE:
            raise
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with suppress(OSError):  # its folder may be gone
            temporary.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Where this process writes the file or folder `path` before it takes its name."""
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.tmp")


def clear_unfinished(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left in `folder`: of the file or folder `name`, or of all."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _UNFINISHED.fullmatch(entry.name)
            if not found or (name is not None and found[1] != name) or _is_written(entry, found):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink()


def _is_written(entry: os.DirEntry, found: re.Match) -> bool:
    """Whether a process may still be at work on an unfinished file."""
    if found[2] != _HOST or os.name == "nt":  # os.kill would end the process there
        return time.time() - entry.stat(follow_symlinks=False).st_mtime < _ABANDONED_S
    try:
        os.kill(int(found[3]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return int(found[3]) != os.getpid()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_whole(source: Path, path: Path) -> None:
    """Replace `path` by a copy of `source`."""
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)


def expect_folder(path: Path | str | None, name: str) -> None:
    """Raise `UserError` where the path of the flag `name`, if given, is no folder."""
    found = "found a file" if path and Path(path).exists() else "no such folder"
    require(not path or Path(path).is_dir(), f"{name} {path}: expected a folder; {found}")


def expect_file(path: Path | str | None, name: str) -> None:
    """Raise `UserError` where the path of the flag `name`, if given, is no regular file.

    A pipe or device may never answer, or never end.
    """
    if not path or Path(path).is_file():
        return
    exists, is_folder = Path(path).exists(), Path(path).is_dir()
    other = "found a folder" if is_folder else "found a device or pipe"
    raise UserError(f"{name} {path}: expected a file; {other if exists else 'no such file'}")


def require_regular(path: Path, message: str) -> None:
    """Raise `UserError` with this message for what is no regular file.

    A pipe or device may never answer, or never end.
    """
    found = "; found a folder, pipe or device" if path.exists() else ""
    require(path.is_file(), message + found)


def expect_output_folder(path: Path | str, name: str, images: Path | None = None) -> None:
    """Raise `UserError` where no folder can be made, since a part of the path is a file.

    Also where it is the folder of the `images`, among which what is written would lie.
    """
    existing = next(p for p in (Path(path), *Path(path).absolute().parents) if p.exists())
    require(existing.is_dir(), f"{name} {path}: cannot be written to ({existing} is a file)")
    is_input = images is not None and Path(path).resolve() == images.resolve()
    require(not is_input, f"{name}: is the folder of images; expected another one")


def check_training_paths(cfg: Config) -> None:
    """Raise `UserError` for a path that is not what a training needs."""
    require(
        not cfg.run.checkpoint,
        "--checkpoint: expected with --test; resume a run with --resume FOLDER, start from "
        "weights with --weights FILE",
    )
    expect_folder(cfg.data.data_path, "--data_path")
    expect_file(cfg.data.skin_color_csv, "--skin_color_csv")
    expect_file(cfg.model.weights, "--weights")
    expect_file(cfg.model.finetune, "--finetune")
    resume = cfg.run.resume
    is_path = resume in ("", "auto") or Path(resume).exists()
    require(is_path, f"--resume {resume}: expected auto or the folder of a run; no such path")
    expect_output_folder(cfg.run.output_dir, "--output_dir")
    expect_output_folder(cfg.data.cache_dir, "--cache_dir")
    expect_output_folder(cfg.run.log_dir, "--log_dir")


def check_output(path: Path, *inputs: Path) -> None:
    """Make the folder of a file to write. Raises `UserError` where it cannot be written.

    `inputs` are files that it must not replace, under whichever of their names.
    """
    check_replaceable(path)
    make_folder(path.parent)
    if not path.exists():
        return
    own = path.stat()
    for other in inputs:
        with suppress(OSError):
            if os.path.samestat(own, other.stat()):
                raise UserError(f"{path}: is also an input; expected another file to write")


def check_replaceable(path: Path) -> None:
    """Raise `UserError` for a path that is neither a new name nor a regular file.

    A link may lead to an input; a device or pipe would be gone for all its users.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):  # making its folder will tell
        return
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}
        kind = kinds.get(stat.S_IFMT(mode), "a device or pipe")
        raise UserError(f"{path}: cannot be written, it is {kind}; expected a file or a new name")


@contextmanager
def csv_lines(path: Path, header: list[str]) -> Iterator[Callable[[list], Any]]:
    """What writes a line of a CSV that takes the place of `path` when the block ends."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        yield writer.writerow


def write_text(path: Path, text: str) -> None:
    """Replace a file by `text` as a whole. Raises `UserError` where it cannot be written."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def make_folder(path: Path) -> Path:
    """An existing, writable folder. Raises `UserError` where there can be none."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"{path}: cannot be written to ({error.strerror})") from None
    return path


def to_strict_json(value: Any, **options: Any) -> str:
    """JSON text in which undefined numbers are null."""
    return json.dumps(_null_nan(value), allow_nan=False, ensure_ascii=False, **options)


def _null_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _null_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_null_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
