"""The predictions table: one line per row, which every metric and plot reads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from src.core.errors import UserError

MAX_CLASSES = 1000


@dataclass(frozen=True)
class Predictions:
    """`labels` int [N]; `groups` int [N], -1 unknown; `probabilities` float [N, classes].

    `decisions` int [N] are class indices. `names` are the images' file names.
    """

    names: list[str]
    labels: np.ndarray
    groups: np.ndarray
    probabilities: np.ndarray
    decisions: np.ndarray
    classes: tuple[str, ...]
    positive: int
    group_names: tuple[str, ...]

    def to_csv(self, path: Path) -> None:
        """`image_name,target,label,group,probability_<class>...`; reading it back is exact.

        `target` is the decision as a class index, as predict.py writes it.
        """
        frame = pd.DataFrame(
            {
                "image_name": self.names,
                "target": self.decisions,
                "label": self.labels,
                "group": self.groups,
            }
        )
        for index, name in enumerate(self.classes):
            frame[f"probability_{name}"] = self.probabilities[:, index].astype(np.float64)
        temporary = path.with_name(f".{path.name}.tmp")
        frame.to_csv(temporary, index=False)
        temporary.replace(path)


def probability_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of class probabilities, in order."""
    return [column for column in frame if str(column).startswith("probability_")]


def from_frame(
    frame: pd.DataFrame,
    labels: np.ndarray,
    groups: np.ndarray,
    positive: int | None,
    group_names: tuple[str, ...],
) -> Predictions:
    """Predictions of the lines of a CSV (`image_name,target[,probability_<class>...]`).

    Without probabilities each decision has probability 1: what needs a ranking is then NaN-free
    but coarse. Raises `UserError` for decisions and probabilities that are none, and for labels
    and groups beyond the classes and `group_names`.
    """
    columns = probability_columns(frame)
    decisions = pd.to_numeric(frame["target"], errors="coerce").to_numpy()
    highest = np.nanmax([*labels, *decisions, 1])
    n_classes = len(columns) or int(min(highest + 1, MAX_CLASSES))
    if not np.isin(decisions, np.arange(n_classes)).all():
        raise UserError(f"column 'target': expected class indices 0 to {n_classes - 1}")
    if not np.isin(labels, np.arange(n_classes)).all():
        raise UserError(f"labels: expected class indices 0 to {n_classes - 1}")
    if not np.isin(groups, np.arange(-1, len(group_names))).all():
        raise UserError(f"column 'group': expected -1 (unknown) to {len(group_names) - 1}")
    decisions = decisions.astype(np.int64)
    if columns:
        wrong = UserError(f"columns {columns[0]}...: expected probabilities, 0 to 1")
        try:  # not pandas' own parser: it is off by the last digit
            probabilities = frame[columns].map(float).to_numpy(np.float64)
        except ValueError:
            raise wrong from None
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise wrong
    else:
        probabilities = np.eye(n_classes)[decisions]
    classes = tuple(c.removeprefix("probability_") for c in columns) or tuple(
        map(str, range(n_classes))
    )
    usual = [classes.index(name) for name in ("malignant", "mel", "melanoma") if name in classes]
    return Predictions(
        frame["image_name"].astype(str).tolist(),
        labels,
        groups,
        probabilities,
        decisions,
        classes,
        positive if positive is not None else (usual or [n_classes - 1])[0],
        group_names,
    )
