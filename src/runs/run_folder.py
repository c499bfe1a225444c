"""The folder of a run: where its history is, and its JSON files."""

import json
import os
from pathlib import Path
from typing import Any

from ..core.errors import UserError

MAX_JSON_BYTES = 32_000_000
HISTORY = "training_history.json"
CONFIG = "config.json"


def history_path(run: Path) -> Path:
    """The history file of a run's folder, or the JSON file itself. Raises `UserError` for none."""
    path = run if run.suffix == ".json" and not run.is_dir() else run / HISTORY
    if not path.is_file() and (run / "kfold.json").is_file():
        raise UserError(f"{run}: holds folds; expected one of them, such as {run / 'fold_0'}")
    if not path.is_file():
        raise UserError(f"{run}: expected the folder of a run, with {HISTORY}, or such a file")
    return path


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises `UserError` for one that is too large or damaged."""
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise UserError(f"{path}: {size} bytes; expected at most {MAX_JSON_BYTES}")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):  # of these are damaged JSON and text that is not UTF-8
        raise UserError(f"{path}: not JSON, or damaged") from None


def run_names(paths: list[Path]) -> list[str]:
    """A name for each history file: its folder's path below the one that all have in common.

    Raises `UserError` where a run is given twice.
    """
    folders = [path.resolve().parent for path in paths]
    if len(set(folders)) < len(folders):
        raise UserError("a run is given twice: expected different ones")
    shared = os.path.commonpath([folder.parent for folder in folders])
    return [folder.relative_to(shared).as_posix() for folder in folders]
