"""The one table that every data set becomes, and the checks that every table passes."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..core.cells import csv_text, known_id, one_spelling, visible
from ..core.classes import require_class_names
from ..core.errors import UserError
from ..skin.tone import GROUP_NAMES, UNKNOWN_GROUP, group_texts, tone_group
from .csv_files import are_true, shown

# image: path of the file; label: index into classes; group: index into groups (-1 unknown);
# ita: degrees; uncertain: whether its error may change the group; mask: path or empty;
# split: train, valid, test or empty; fold: -1 for none; content: digest of the image file's
# bytes, empty until `load.without_bad_images` has read it.
COLUMNS = (
    *("image", "label", "group", "ita", "uncertain", "patient_id", "lesion_id", "mask", "split"),
    *("fold", "content"),
)
# what tables of others call the column with the images' names
IMAGE_COLUMNS = (
    *("image_name", "image_id", "image", "isic_id", "DDI_file", "file_name", "img_id", "md5hash"),
)
# what they call the column with the classes
LABEL_COLUMNS = (
    *("label", "target", "dx", "diagnosis", "diagnostic", "benign_malignant", "malignant"),
    *("class", "disease", "three_partition_label"),
)
USUAL_COLUMNS = (*COLUMNS, *IMAGE_COLUMNS, *LABEL_COLUMNS)
SPLITS = ("train", "valid", "test")
SPLIT_ALIASES = {"val": "valid", "validation": "valid", "training": "train", "testing": "test"}
REST_MEL = ("rest", "mel")  # melanoma against all else
ITA_RANGE = (-180, 180)  # degrees


class Tones(NamedTuple):
    """The names of tone groups, lightest first, and, if people gave these, where they are."""

    names: tuple[str, ...] = GROUP_NAMES
    source: str = ""


ANGLES = Tones()


def usual_column(columns: Iterable[str], names: Sequence[str]) -> str:
    """The first of the `names` that is a column, `""` for none."""
    return next((name for name in names if name in columns), "")


@dataclass(frozen=True)
class Table:
    """Rows in the schema `COLUMNS`, with the names of classes and groups.

    `positive` is the index of the class to be detected (melanoma, malignant).
    `bad` lists (image, reason) of rows that were left out because their file is missing,
    `unlabelled` the images that were left out since their class is unknown.
    `is_split_drawn` tells that the split is not the data set's own: other rows, another split.
    `tone_source` tells which table the groups are of, and by which method and options.
    """

    rows: pd.DataFrame
    classes: tuple[str, ...]
    positive: int
    groups: tuple[str, ...] = GROUP_NAMES
    bad: tuple[tuple[str, str], ...] = ()
    unlabelled: tuple[str, ...] = ()
    is_split_drawn: bool = False
    tone_source: str = ""

    def split(self, name: str) -> "Table":
        """The rows of one split, in order."""
        return self.with_rows(self.rows[self.rows["split"] == name])

    def with_rows(self, rows: pd.DataFrame) -> "Table":
        """A table of other rows with the same names."""
        return replace(self, rows=rows.reset_index(drop=True))

    def against_rest(self, classes: tuple[str, ...], names: tuple[str, str]) -> "Table":
        """The table of two classes, the second of which, the positive one, joins `classes`."""
        is_positive = np.isin(self.labels, [self.classes.index(name) for name in classes])
        rows = self.rows.assign(label=is_positive.astype(int))
        return replace(self, rows=rows, classes=names, positive=1)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """int64 [rows]"""
        return self.rows["label"].to_numpy(np.int64)

    @property
    def group_indices(self) -> np.ndarray:
        """int64 [rows], -1 where the tone group is unknown"""
        return self.rows["group"].to_numpy(np.int64)

    @property
    def angle_groups(self) -> np.ndarray:
        """int64 [rows] by the rows' angles, whatever the groups are; -1 where there is none"""
        return tone_group(self.rows["ita"])


def make_table(
    rows: pd.DataFrame, classes: tuple[str, ...], positive: int, bad=(), tones: Tones = ANGLES
) -> Table:
    """A `Table` from rows that have at least `image` and `label`; missing columns are filled.

    Ids that differ in blanks, in case or as `1` and `1.0` are one, and those that name nobody are
    empty. Raises `UserError` for duplicate images, folds that are no numbers, unknown split names
    and classes whose names are empty or alike.
    """
    if rows.empty:
        why = f"{len(bad)} bad images (first: {bad[0][0]}: {bad[0][1]}) and no other" if bad else ""
        raise UserError(f"{why or 'the data set has no rows'}: expected at least one image")
    require_class_names(classes, "the data set")
    texts = ("patient_id", "lesion_id", "mask", "split")
    blank = {
        "group": UNKNOWN_GROUP,
        "ita": np.nan,
        "uncertain": "",
        "fold": -1,
        **dict.fromkeys(texts, ""),
    }
    filled = {c: v for c, v in blank.items() if c not in rows}
    rows = rows.assign(**filled, content="").loc[:, list(COLUMNS)]
    rows = rows.assign(**{column: rows[column].fillna("").astype(str) for column in texts})
    for column in ("patient_id", "lesion_id"):
        rows[column] = _ids_of(rows[column])
    splits = {text: known_id(text) for text in rows["split"].unique()}
    rows["split"] = rows["split"].map(splits).replace(SPLIT_ALIASES)
    rows["ita"] = rows["ita"].astype(float)
    rows["uncertain"] = are_true(rows["uncertain"])
    rows["fold"] = _folds_of(rows)
    rows["group"] = groups_of(rows, tones.names)
    rows = rows.sort_values("image", kind="stable").reset_index(drop=True)
    _refuse_repeats_and_splits(rows)
    return Table(
        rows, tuple(classes), positive, tones.names, bad=tuple(bad), tone_source=tones.source
    )


def _refuse_repeats_and_splits(rows: pd.DataFrame) -> None:
    """Raise `UserError` for an image that is there twice, and for an unknown split."""
    repeated = rows["image"][rows["image"].duplicated()]
    if len(repeated):
        raise UserError(
            f"{len(repeated)} rows repeat an image (first: {Path(repeated.iloc[0]).name}): "
            "expected one row for each image"
        )
    strange = rows[~rows["split"].isin((*SPLITS, ""))]
    if len(strange):
        image, split = Path(strange["image"].iloc[0]).name, shown(strange["split"].iloc[0])
        raise UserError(f"{visible(image)}: split {split}: expected {', '.join(SPLITS)}")


def _ids_of(texts: pd.Series) -> pd.Series:
    known = {text for text in texts.unique() if known_id(text)}
    used = one_spelling(text for text in texts if text in known)[0]
    return texts.map(lambda text: used.get(text, ""))


def _folds_of(rows: pd.DataFrame) -> pd.Series:
    folds = rows["fold"].fillna(-1)
    strange = folds[(folds % 1 != 0) | (folds < -1)]
    if len(strange):
        raise UserError(
            f"fold {strange.iloc[0]:g}: expected whole numbers from 0, or an empty cell"
        )
    return folds.astype(int)


def groups_of(rows: pd.DataFrame, names: tuple[str, ...] = GROUP_NAMES) -> pd.Series:
    """The given tone groups, int; of `GROUP_NAMES`, where there is none, that of the row's ITA.

    Of `rows` are read `group` and `ita`, numbers, and `image`. Raises `UserError` for groups that
    have no name and for what is no angle.
    """
    least, most = ITA_RANGE
    no_angle = rows["ita"].notna() & ~rows["ita"].between(least, most)
    if no_angle.any():
        raise UserError(
            f"{visible(Path(rows['image'][no_angle].iloc[0]).name)}: ita "
            f"{rows['ita'][no_angle].iloc[0]:g}: expected an angle, {least} to {most} degrees, or "
            "an empty cell"
        )
    given = rows["group"].fillna(UNKNOWN_GROUP)
    strange = ~given.isin(range(UNKNOWN_GROUP, len(names)))
    if strange.any():
        raise UserError(
            f"{Path(rows['image'][strange].iloc[0]).name}: group {given[strange].iloc[0]:g}: "
            f"expected 0 to {len(names) - 1} ({', '.join(names)}), or -1 for unknown"
        )
    given = given.astype(int)
    if names != GROUP_NAMES:
        return given
    return given.where(given != UNKNOWN_GROUP, pd.Series(tone_group(rows["ita"]), rows.index))


def split_csv(table: Table, split: str, data_path: str) -> str:
    """The rows of a split as the text of a CSV that the data set `table(csv=...)` reads.

    Labels are class names and so are tone groups but the usual; paths are relative to `data_path`.
    """
    rows = table.split(split).rows
    relative = {
        column: [path and os.path.relpath(path, data_path) for path in rows[column]]
        for column in ("image", "mask")
    }
    names = [table.classes[label] for label in rows["label"]]
    tones = {"group": group_texts(rows["group"], table.groups)}
    return csv_text(rows.assign(**relative, label=names, **tones).drop(columns="content"))
