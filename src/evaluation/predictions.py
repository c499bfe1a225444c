"""The predictions table: one line per row, which every metric and plot reads."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.cells import guarded
from ..core.classes import BINARY_CLASSES, MAX_CLASSES, look_like_indices, positive_index
from ..core.errors import UserError
from ..core.files import replacing
from ..skin.tone import group_texts


@dataclass(frozen=True)
class Predictions:
    """`labels` int [N]; `groups` int [N], -1 unknown; `probabilities` float [N, classes].

    `decisions` int [N] are class indices. Probabilities are NaN where only decisions are known.
    `names` are the images' file names.
    """

    names: list[str]
    labels: np.ndarray
    groups: np.ndarray
    probabilities: np.ndarray
    decisions: np.ndarray
    classes: tuple[str, ...]
    positive: int
    group_names: tuple[str, ...]

    def at(self, rows: np.ndarray) -> "Predictions":
        """The rows at these places, int [M], in their order; one may be there several times."""
        return replace(
            self,
            names=[self.names[row] for row in rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            probabilities=self.probabilities[rows],
            decisions=self.decisions[rows],
        )

    def where(self, keep: np.ndarray) -> "Predictions":
        """The rows where the boolean `keep` [N] holds."""
        return self.at(np.flatnonzero(keep))

    def to_csv(self, path: Path, tone_source: str = "") -> None:
        """`image_name,target,label,group,probability_<class>...`; reading it back is exact.

        `target` is the decision as a class index, as predict.py writes it. Where class names look
        like other indices, `target_class` and `label_class` hold the names. Where only decisions
        are known, there are no columns of probabilities. Tone groups but the usual are names. A
        column `tone_source` says where they are from, where that is given.
        """
        columns = {
            "image_name": [guarded(name) for name in self.names],
            "target": self.decisions,
            "label": self.labels,
            "group": group_texts(self.groups, self.group_names),
        }
        if look_like_indices(self.classes):
            columns |= {
                f"{column}_class": [guarded(self.classes[place]) for place in columns[column]]
                for column in ("target", "label")
            }
        if not np.isnan(self.probabilities).any():
            columns |= {
                f"probability_{name}": self.probabilities[:, index].astype(np.float64)
                for index, name in enumerate(self.classes)
            }
        if tone_source:
            columns["tone_source"] = guarded(tone_source)
        frame = pd.DataFrame(columns)
        with replacing(path) as temporary:
            frame.to_csv(temporary, index=False)


def mean_of_each(numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[units, columns]: the mean of the rows of `values` [N, columns] of each number, from 0."""
    sums = np.zeros((numbers.max() + 1, values.shape[1]))
    np.add.at(sums, numbers, values)
    return sums / np.bincount(numbers)[:, None]


def probability_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of class probabilities, in order."""
    return [column for column in frame if str(column).startswith("probability_")]


def from_frame(
    frame: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, group_names: tuple[str, ...]
) -> Predictions:
    """Predictions of the lines of a run's CSV (`image_name,target[,probability_<class>...]`).

    Raises `UserError` for decisions and probabilities that are invalid, as `from_columns` does.
    """
    columns = probability_columns(frame)
    return from_columns(
        names=frame["image_name"].astype(str).tolist(),
        labels=labels,
        groups=groups,
        decisions=pd.to_numeric(frame["target"], errors="coerce").to_numpy(),
        probabilities=_read_probabilities(frame[columns]) if columns else None,
        classes=tuple(column.removeprefix("probability_") for column in columns),
        group_names=group_names,
    )


def from_columns(
    names: list[str],
    labels: np.ndarray,
    groups: np.ndarray,
    decisions: np.ndarray,
    probabilities: np.ndarray | None,
    classes: tuple[str, ...],
    group_names: tuple[str, ...],
    positive: str = "",
) -> Predictions:
    """Predictions of these columns; without `probabilities` they are NaN.

    Without `classes` they are benign and malignant where there are two, else numbered. `positive`
    is as in `positive_index`. Raises `UserError` for decisions, labels and groups beyond the
    classes and `group_names`.
    """
    highest = np.nanmax([*labels, *decisions, 1])
    n_classes = len(classes) or int(min(highest + 1, MAX_CLASSES))
    _require_indices("column 'target'", decisions, 0, n_classes)
    _require_indices("column 'label'", labels, 0, n_classes)
    _require_indices("column 'group'", groups, -1, len(group_names))
    if probabilities is None:
        probabilities = np.full((len(names), n_classes), np.nan)
    numbered = BINARY_CLASSES if n_classes == 2 else tuple(map(str, range(n_classes)))
    classes = classes or numbered
    return Predictions(
        names=names,
        labels=labels,
        groups=groups,
        probabilities=probabilities,
        decisions=decisions.astype(np.int64),
        classes=classes,
        positive=positive_index(classes, positive),
        group_names=group_names,
    )


def _require_indices(what: str, values: np.ndarray, first: int, end: int) -> None:
    if not np.isin(values, np.arange(first, end)).all():
        raise UserError(f"{what}: expected whole numbers, {first} to {end - 1}")


def _read_probabilities(frame: pd.DataFrame) -> np.ndarray:
    """float64 [rows, classes], exactly as written: pandas' own parser is off by the last digit."""
    wrong = UserError(f"columns {frame.columns[0]}...: expected probabilities, 0 to 1")
    try:
        probabilities = frame.map(float).to_numpy(np.float64)
    except ValueError:
        raise wrong from None
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise wrong
    return probabilities
