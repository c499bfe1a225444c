"""Skin tones of two sources side by side, and where those of a predictions CSV come from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.cells import visible
from ..datasets.csv_files import read_csv
from ..datasets.fitzpatrick import tone_column, with_tone_groups
from ..datasets.tone_estimates import tone_source
from ..evaluation.groupings import SKIN_TONE, Grouping, known_tones
from ..evaluation.predictions import Predictions
from ..skin.tone import GROUP_NAMES
from .metadata import Metadata


def angle_groups_in(names: Sequence[str], *tables: Metadata | None) -> np.ndarray | None:
    """int [names]: the tone groups of angles in the first of the tables that has some, or None."""
    found = (table.angle_groups(names) for table in tables if table is not None)
    return next((groups for groups in found if groups is not None), None)


def tone_source_of_csv(csv: Path, predictions: Predictions, metadata: Metadata | None) -> str:
    """The table with the tone groups of the predictions in a CSV, empty where none is known.

    Of people's tones it is the CSV where it has some, of angles the metadata.
    """
    if not known_tones(predictions):
        return ""
    if predictions.group_names == GROUP_NAMES:
        has_tones = metadata is not None and {"group", "ita"} & set(metadata.rows)
        return tone_source(metadata.path if has_tones else csv)
    tables = {csv: read_csv(csv, ())} | ({metadata.path: metadata.rows} if metadata else {})
    return next(filter(None, (_by_people(rows, path) for path, rows in tables.items())), "")


def _by_people(rows: pd.DataFrame, path: Path) -> str:
    """What the table at `path` tells of tones that people gave, empty where it has none."""
    return with_tone_groups(rows.reset_index(drop=True), tone_column(rows), path)[1].source


def apart_from(tones: list[Grouping], other: Grouping, source: str) -> Grouping:
    """The `other` grouping; skin tones on another scale than `tones` name their `source`."""
    is_other_scale = tones and other.name == SKIN_TONE and other.levels != tones[0].levels
    return replace(other, name=f"{SKIN_TONE} in {visible(source, 60)}") if is_other_scale else other


def is_same(tones: Grouping, other: Grouping) -> bool:
    """Whether two groupings have one name, or group all rows alike by skin tone."""
    is_alike = tones.levels == other.levels and np.array_equal(tones.codes, other.codes)
    return tones.name == other.name or (is_alike and other.name.startswith(SKIN_TONE))
