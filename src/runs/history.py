"""The history of a run: where it is, and loss, learning rate and validation metrics by epoch."""

import gc
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import UserError

MAX_JSON_BYTES = 10_000_000  # of hostile ones of this size, reading takes up to 500 MB
HISTORY = "training_history.json"
CONFIG = "config.json"


@dataclass(frozen=True)
class History:
    """The epochs of a run, all arrays float [epochs], undefined is NaN.

    `valid` holds the metrics of the validation rows, `loss` among them, and is empty without such
    rows. `best` is the index of the epoch that the run keeps.
    """

    train_loss: np.ndarray
    learning_rate: np.ndarray
    valid: dict[str, np.ndarray]
    best: int

    @property
    def n_epochs(self) -> int:
        """How many epochs there are."""
        return len(self.train_loss)


def read_history(path: Path) -> History:
    """The history in a `training_history.json`. Raises `UserError` for a file that is none."""
    try:
        return history_of(read_json(path))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        reason = str(error).splitlines()[0][:80] if str(error) else "damaged"
        raise UserError(f"{path}: not the history of a run ({reason})") from None


def history_of(entries: list[dict]) -> History:
    """The `History` of the trainer's entries, one dict an epoch."""
    if not isinstance(entries, list) or not entries:
        raise ValueError("expected a list of epochs")
    valid = [entry["valid"] or {} for entry in entries]
    if [entry["epoch"] for entry in entries] != list(range(len(entries))):
        raise ValueError("epochs are not 0, 1, 2, ...")
    if len({bool(metrics) for metrics in valid}) > 1:
        raise ValueError("some epochs have validation metrics, others none")
    names = [name for name, value in valid[0].items() if is_number(value)]
    return History(
        train_loss=_column(entries, "train_loss"),
        learning_rate=_column(entries, "lr"),
        valid={name: _column(valid, name) for name in names},
        best=max((i for i, entry in enumerate(entries) if entry["is_best"]), default=0),
    )


def _column(entries: list[dict], name: str) -> np.ndarray:
    return np.array([to_float(entry[name]) for entry in entries])


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number, or null, which stands for an undefined one."""
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def to_float(value: Any) -> float:
    """A JSON number, null as NaN. Raises `TypeError` for anything else."""
    if not is_number(value):
        raise TypeError(f"expected a number, found {str(value)[:20]!r}")
    return float("nan") if value is None else float(value)


def history_path(run: Path) -> Path:
    """The history file of a run's folder, or the JSON file itself. Raises `UserError` for none."""
    path = run if run.suffix == ".json" and not run.is_dir() else run / HISTORY
    if not path.is_file() and (run / "kfold.json").is_file():
        raise UserError(f"{run}: holds folds; expected one of them, such as {run / 'fold_0'}")
    if not path.is_file():
        raise UserError(f"{run}: expected the folder of a run, with {HISTORY}, or such a file")
    return path


def _parsed(text: str) -> Any:
    """The content of JSON, without garbage collection, 10 s of millions of lists."""
    gc.disable()
    try:
        return json.loads(text)
    finally:
        gc.enable()


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises `UserError` for one that is too large or damaged."""
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise UserError(f"{path}: {size} bytes; expected at most {MAX_JSON_BYTES}")
        return _parsed(path.read_text(encoding="utf-8"))
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
