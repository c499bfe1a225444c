"""Files: checked before anything is loaded, written so that a kill leaves the old or the new."""

import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .config import Config
from .errors import UserError, require


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its name when the block ends without error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def copy_whole(source: Path, path: Path) -> None:
    """Replace `path` by a copy of `source`."""
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)


def expect_folder(path: Path | str | None, name: str) -> None:
    """Raise `UserError` where the path of the flag `name`, if given, is no folder."""
    found = "found a file" if path and Path(path).exists() else "no such folder"
    require(not path or Path(path).is_dir(), f"{name} {path}: expected a folder; {found}")


def expect_file(path: Path | str | None, name: str) -> None:
    """Raise `UserError` where the path of the flag `name`, if given, is no file."""
    found = "found a folder" if path and Path(path).is_dir() else "no such file"
    require(not path or Path(path).is_file(), f"{name} {path}: expected a file; {found}")


def expect_output_folder(path: Path | str, name: str) -> None:
    """Raise `UserError` where no folder can be made, since a part of the path is a file."""
    existing = next(p for p in (Path(path), *Path(path).absolute().parents) if p.exists())
    require(existing.is_dir(), f"{name} {path}: cannot be written to ({existing} is a file)")


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
    resume = cfg.run.resume
    is_path = resume in ("", "auto") or Path(resume).exists()
    require(is_path, f"--resume {resume}: expected auto or the folder of a run; no such path")
    expect_output_folder(cfg.run.output_dir, "--output_dir")
    expect_output_folder(cfg.run.log_dir, "--log_dir")


def check_output(path: Path, *inputs: Path) -> None:
    """Make the folder of a file to write. Raises `UserError` where it cannot be written.

    `inputs` are files that it must not replace.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: cannot be written, a folder or device has this name")
    if any(other.exists() and path.exists() and path.samefile(other) for other in inputs):
        raise UserError(f"{path}: is also an input; expected another file to write")
    make_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace a file by `text` as a whole. Raises `UserError` where it cannot be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None


def make_folder(path: Path) -> Path:
    """An existing, writable folder. Raises `UserError` where there can be none."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
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
