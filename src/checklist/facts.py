"""What the files of a run say, each figure with the file that it is from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ..core.errors import UserError, require
from ..core.files import file_sha256
from ..datasets.csv_files import read_csv
from ..runs.history import CONFIG, HISTORY, read_json

SPLITS = ("train", "valid", "test")
_SHOWN = 12  # digits of a hash


@dataclass(frozen=True)
class Run:
    """A run's folder. A file that is not there is empty; a damaged one raises `UserError`."""

    folder: Path

    def __post_init__(self):
        known = self.folder / CONFIG
        require(known.is_file(), f"{self.folder}: expected the folder of a run, with {CONFIG}")

    def source(self, *names: str) -> str:
        """The files as a reader finds them again: name and first digits of the SHA-256."""
        told = []
        for name in names:
            path = self.folder / name
            if path.is_file():
                told.append(f"{name} (SHA-256 {file_sha256(path)[:_SHOWN]})")
        return ", ".join(told)

    def _json(self, name: str, empty: Any, fits: Callable[[Any], bool] = bool) -> Any:
        """A file of the type of `empty` with what `fits`, or that where there is none."""
        path = self.folder / name
        found = read_json(path) if path.is_file() else empty
        is_whole = type(found) is type(empty) and (not found or fits(found))
        require(is_whole, f"{path}: not the file of a run, or damaged")
        return found

    @cached_property
    def settings(self) -> dict:
        """The run's settings."""
        return self._json(CONFIG, {})

    @cached_property
    def environment(self) -> dict:
        """Versions, platform and commit."""
        return self._json("environment.json", {}, _has_packages)

    @cached_property
    def metrics(self) -> dict[str, dict]:
        """Metrics by split."""
        return self._json("metrics.json", {}, _has_counts)

    @cached_property
    def history(self) -> list[dict]:
        """The epochs."""
        return self._json(HISTORY, [], _has_epochs)

    @cached_property
    def rows(self) -> dict[str, pd.DataFrame]:
        """The images of each split that has any."""
        found = {}
        for split in SPLITS:
            path = self.folder / f"{split}_split.csv"
            if path.is_file():
                try:
                    found[split] = read_csv(path, ("image", "label"))
                except UserError as error:
                    if "no rows" not in str(error):
                        raise
        return found

    @cached_property
    def by_group(self) -> dict[str, pd.DataFrame]:
        """Metrics of all rows and of each group, by split."""
        found = {}
        for split in SPLITS:
            path = self.folder / f"metrics_by_group_{split}.csv"
            if path.is_file():
                frame = read_csv(path, ("attribute", "group", "n", "n_positive"))
                require(
                    "all" in set(frame["attribute"]), f"{path}: no row of all images, or damaged"
                )
                found[split] = frame
        return found

    @cached_property
    def table(self) -> str:
        """The digest of the table of all rows, empty where it is unknown."""
        return str(self._json("training_rows.json", {}).get("table", ""))

    @property
    def evaluated(self) -> str:
        """The split whose results are reported: test, else validation, else none."""
        return next((split for split in ("test", "valid") if split in self.metrics), "")

    def setting(self, name: str, usual: Any = "") -> Any:
        """A setting, or what stands for one that an older version lacks."""
        return self.settings.get(name, usual)

    def figure(self, split: str, name: str) -> str:
        """A metric of all rows of a split with its 95 % CI, empty where it is undefined."""
        frame = self.by_group.get(split)
        if frame is None or name not in frame:
            return ""
        row = frame[frame["attribute"] == "all"].iloc[0]
        return _with_interval(row, name, split)

    def groups(self, split: str, name: str) -> str:
        """A metric of each skin-tone group of a split, with counts and intervals."""
        frame = self.by_group.get(split)
        if frame is None:
            return ""
        own = frame[frame["attribute"] == "skin tone"]
        told = []
        for _, row in own.iterrows():
            value = _with_interval(row, name, split) or "not defined"
            told.append(f"{row['group']} {value} (n = {row['n']}, {row['n_positive']} positive)")
        return "; ".join(told)

    def counts(self, column: str) -> str:
        """How many rows of each split have each value of a column."""
        told = []
        for split, frame in self.rows.items():
            values = frame[column].fillna("unknown") if column in frame else pd.Series(dtype=str)
            values = values.replace("-1", "unknown")
            parts = ", ".join(f"{n} {name}" for name, n in values.value_counts().items())
            told.append(f"{split}: {parts}")
        return "; ".join(told)

    def n_unknown(self, column: str) -> int:
        """How many rows of all splits name no value of this column."""
        return sum(
            int((frame[column].isna() | (frame[column] == "-1")).sum())
            if column in frame
            else len(frame)
            for frame in self.rows.values()
        )

    def known(self, column: str) -> bool:
        """Whether any row names a value of this column."""
        return self.n_unknown(column) < sum(map(len, self.rows.values()))

    def hashed(self) -> str:
        """The run's best checkpoint or ONNX files with their hashes."""
        names = ["best_checkpoint.pth", *sorted(p.name for p in self.folder.glob("*.onnx"))]
        return self.source(*names)


def _has_packages(environment: dict) -> bool:
    return isinstance(environment.get("packages", {}), dict)


def _has_counts(metrics: dict) -> bool:
    return all(isinstance(one, dict) and type(one.get("n")) is int for one in metrics.values())


def _has_epochs(history: list) -> bool:
    return all(isinstance(one, dict) and type(one.get("epoch")) is int for one in history)


def _with_interval(row: pd.Series, name: str, split: str) -> str:
    cells = [row.get(f"{name}{end}") for end in ("", "_low", "_high")]
    try:
        numbers = [float(cell) if isinstance(cell, str) else float("nan") for cell in cells]
    except ValueError:
        raise UserError(f"metrics_by_group_{split}.csv: {name}: no number, or damaged") from None
    if numbers[0] != numbers[0]:
        return ""
    value = f"{numbers[0]:.3f}"
    return (
        f"{value} (95 % CI {numbers[1]:.3f}–{numbers[2]:.3f})"
        if numbers[1] == numbers[1]
        else value
    )
