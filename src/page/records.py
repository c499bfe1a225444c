"""How well a model did, by skin tone: read from the CSV that its evaluation wrote."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UserError, first_line
from ..evaluation.groupings import SKIN_TONE

MAX_BYTES = 5_000_000
ALL = "all"
_NEEDED = ("attribute", "group", "n", "n_positive", "sensitivity")


@dataclass(frozen=True)
class Record:
    """Of `n_positive` images of a group the share `sensitivity` was detected, with its 95 % CI.

    Shares are NaN where they are not defined, `n` counts all its images.
    """

    group: str
    n: int
    n_positive: int
    sensitivity: float
    low: float
    high: float


def read_records(path: Path) -> dict[str, Record]:
    """The records by group, `ALL` among them. Raises `UserError` for a file of another kind."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in _NEEDED if name not in (reader.fieldnames or ())]:
                raise ValueError(f"no column {missing[0]}")
            rows = [row for row in reader if row["attribute"] in (ALL, SKIN_TONE)]
        return {row["group"]: _record(row) for row in rows}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise UserError(
            f"--results_csv {path}: expected the metrics_by_group_*.csv of a run or an evaluation, "
            f"with the columns {', '.join(_NEEDED)} ({first_line(error)})"
        ) from None


def beside(model: Path) -> Path | None:
    """The CSV in the folder of a model: that of the test rows, else of the validation rows."""
    folder = model if model.is_dir() else model.parent
    names = ("metrics_by_group_test.csv", "metrics_by_group.csv", "metrics_by_group_valid.csv")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _record(row: dict[str, str]) -> Record:
    shares = (row.get(f"sensitivity{end}") or math.nan for end in ("", "_low", "_high"))
    return Record(row["group"], int(row["n"]), int(row["n_positive"]), *map(float, shares))
