"""The history of a run: loss, learning rate and validation metrics of each epoch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import UserError
from .run_folder import read_json


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
