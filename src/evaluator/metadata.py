"""What tables of any origin say of images, which they know by name: tone, patient, any column."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.cells import folded, says_nothing, tidy, visible
from ..core.errors import UserError, nearest
from ..core.image_files import image_stem
from ..datasets.csv_files import are_true, each_once, read_csv
from ..datasets.fitzpatrick import scale_of, tone_column, valid_angles, with_tone_groups
from ..datasets.splits import UNIT_COLUMNS, unit_numbers
from ..datasets.table import IMAGE_COLUMNS, groups_of
from ..evaluation.groupings import SKIN_TONE, Grouping, crossed, grouping_of_column
from ..evaluation.predictions import Predictions
from ..skin.tone import FORMER_NAMES
from .csv_cells import listed

KNOWN_COLUMNS = (*UNIT_COLUMNS, "group", "ita")


@dataclass(frozen=True)
class Metadata:
    """The rows of a CSV as text, indexed by what `key` makes of their images' names."""

    path: Path
    rows: pd.DataFrame
    key: Callable[[str], str] = image_stem

    def has_rows(self, names: Sequence[str]) -> np.ndarray:
        """Bool [names]: whether the images have a row."""
        return pd.Index([self.key(name) for name in names], dtype=object).isin(self.rows.index)

    def rows_of(self, names: Sequence[str], way_out: str = "") -> pd.DataFrame:
        """The rows of these images, in their order, numbered from 0.

        Raises `UserError` for images without a row, with the `way_out`, and for those with several
        that differ.
        """
        keys = [self.key(name) for name in names]
        is_repeat = self.rows.index.duplicated()
        first = self.rows[~is_repeat]
        places = first.index.get_indexer(pd.Index(keys, dtype=object))
        absent = [key for key, place in zip(keys, places, strict=True) if place < 0]
        if absent:
            raise UserError(
                f"{self.path}: no row for {len(absent)} images (first: {listed(absent[:1])})"
                f"{way_out and f': {way_out}'}"
            )
        twice = sorted(set(keys) & set(self.rows.index[is_repeat]))
        if twice:
            raise UserError(
                f"{self.path}: {len(twice)} images have several rows that differ (first: "
                f"{listed(twice[:1])}): expected one row for each image"
            )
        return first.iloc[places].reset_index(drop=True)

    def tone_groups(self, names: Sequence[str]) -> Grouping:
        """Skin tones that people gave, else by `group`, else by `ita`; unknown where none says."""
        return tone_groups_of(self.rows_of(names), names, self.path)

    def angle_groups(self, names: Sequence[str]) -> np.ndarray | None:
        """int [names]: the tone groups of angles, -1 unknown; None where the table has none."""
        rows = self.rows_of(names)
        is_typed = "group" in rows and scale_of(rows, "group")
        rows = rows.filter(["ita", "valid", *([] if is_typed else ["group"])])
        if not {"group", "ita"} & set(rows):
            return None
        return tone_groups_of(rows, names, self.path).codes

    def uncertain(self, names: Sequence[str]) -> np.ndarray | None:
        """Bool [names]: whose angles the column `uncertain` says to be so; None without one."""
        return are_true(self.rows_of(names)["uncertain"]) if "uncertain" in self.rows else None

    def clusters(self, names: Sequence[str], column: str = "") -> tuple[np.ndarray, str]:
        """(int64 [names], what): equal numbers, from 0, for images of one cluster; what that is.

        A cluster is a value of `column`; without one, all images that share, directly or over
        others, a `patient_id` or a `lesion_id`; else each image. A blank or unknown value makes a
        cluster of its own.
        """
        rows = self.rows_of(names)
        column = self._spelled(column)
        if column:
            require_columns(rows, (column,), self.path, "--resample_by")
            ids = {"patient_id": rows[column], "lesion_id": ""}
            return unit_numbers(pd.DataFrame(ids))[0], column
        return unit_numbers(pd.DataFrame({c: rows.get(c, "") for c in UNIT_COLUMNS}, rows.index))

    def grouping(self, names: Sequence[str], text: str) -> Grouping:
        """The grouping written as `column`, `column:30,50,70` or, crossed, `one*other`.

        `group`, `skin tone` and `skin_tone` are the tone groups (the latter two where no column
        has that name). Raises `UserError` for columns that are not there.
        """
        rows = self.rows_of(names)
        text = self._spelled(text)
        parts = [text] if text in rows else [part.strip() for part in text.split("*")]
        return functools.reduce(crossed, [self._grouping(rows, names, part) for part in parts])

    def _grouping(self, rows: pd.DataFrame, names: Sequence[str], text: str) -> Grouping:
        text = self._spelled(text)
        if text == "group" and text in rows:
            tones = rows.filter(["group", "ita", "valid"])
            return tone_groups_of(tones, names, self.path)
        if text == "group" or (text in ("skin tone", "skin_tone") and text not in rows):
            return self.tone_groups(names)
        column, edges = text, tuple[float, ...]()
        if text not in rows and ":" in text:
            column, _, written = text.rpartition(":")
            column, edges = self._spelled(column.strip()), _edges(text, written)
        require_columns(rows, (column,), self.path, "--group_by")
        texts = rows[column].replace(FORMER_NAMES) if column == "group_str" else rows[column]
        return grouping_of_column(column, texts, edges)

    def _spelled(self, column: str) -> str:
        """The known column that `column` is in another case, as `Patient_ID`; else `column`."""
        key = folded(column)
        return key if column not in self.rows and key in KNOWN_COLUMNS else column


def read_metadata(
    path: Path, image_column: str = "", key: Callable[[str], str] = image_stem
) -> Metadata:
    """The table in a CSV, whose images `key` tells apart.

    Raises `UserError` where no column has the names of images.
    """
    rows = read_csv(path, (), (*KNOWN_COLUMNS, *IMAGE_COLUMNS), (image_column,))
    column = find_image_column(rows, path, image_column, "--metadata_image_column")
    rows = rows.fillna("").astype(str).apply(lambda texts: each_once(tidy, texts))
    keys = pd.Index([key(name) for name in rows.pop(column)], dtype=object)
    in_small = rows.apply(lambda texts: texts.str.casefold())
    is_repeat = in_small.assign(**{"": keys}).duplicated().to_numpy()
    return Metadata(path, rows.set_axis(keys)[~is_repeat & (keys != "")], key)


def known_images(
    names: Sequence[str], metadata: Metadata | None, paths: Sequence[Path], image_column: str = ""
) -> Metadata | None:
    """What the metadata say of these images and, in cells where they say nothing, their CSVs.

    The predictions CSVs at `paths` name the images, each as `names` do. None where neither can say
    anything: without metadata, for a run's files in which several images may have one name.
    """
    if len(set(names)) < len(names):
        return metadata
    tables = [read_metadata(path, image_column, key=str.strip) for path in paths]
    rows = pd.concat([table.rows for table in tables]).fillna("")
    own = Metadata(paths[0], rows, key=str.strip)
    if metadata is None:
        return own
    said, others = metadata.rows_of(names), own.rows_of(names)
    both = [*said, *others.columns.difference(said.columns, sort=False)]
    said = said.reindex(columns=both, fill_value="")
    silent = said.apply(lambda texts: each_once(says_nothing, texts)).astype(bool)
    tones = [column for column in ("group", "ita") if column in silent]
    if tones:  # a group would come before the angle that the metadata give
        silent[tones] = np.outer(silent[tones].all(axis=1), np.ones(len(tones), bool))
    for column in others:
        said[column] = said[column].mask(silent[column], others[column])
    return Metadata(metadata.path, said.set_axis(pd.Index(names, dtype=object)), key=str.strip)


def tone_groups_of(rows: pd.DataFrame, names: Sequence[str], path: Path) -> Grouping:
    """Skin tones that people gave, else by `group`, else by `ita`; unknown where none says.

    Raises `UserError` for groups that do not exist.
    """
    rows, tones = with_tone_groups(rows, tone_column(rows), path)
    ita = valid_angles(rows, "ita", path) if "ita" in rows else np.nan
    named = {"image": list(names), "group": rows.get("group", np.nan), "ita": ita}
    codes = groups_of(pd.DataFrame(named), tones.names)
    return Grouping(SKIN_TONE, codes.to_numpy(np.int64), tones.names)


def find_image_column(rows: pd.DataFrame, path: Path, wanted: str, flag: str) -> str:
    """The column `wanted`, else the first of `IMAGE_COLUMNS` that is there; `flag` sets it."""
    usual = [column for column in IMAGE_COLUMNS if column in rows]
    if not wanted and not usual:
        raise UserError(
            f"{path}: no column 'image_name' (found: {listed(rows.columns)}): name the column "
            f"with the images' names with {flag}"
        )
    require_columns(rows, (wanted or usual[0],), path, flag)
    return wanted or usual[0]


def require_columns(rows: pd.DataFrame, wanted: Iterable[str], path: Path, what: str) -> None:
    """Raise `UserError` that begins with `what` for the first column that `rows` lack."""
    for column in wanted:
        if column not in rows:
            raise UserError(
                f"{what}: {path} has no column '{listed([column])}'{nearest(column, rows.columns)} "
                f"(found: {listed(rows.columns)})"
            )


def require_apart(valid: Predictions, evaluated: Predictions) -> None:
    """Raise `UserError` where images to fit on are among those evaluated, or have other classes."""
    fitted, known = ({image_stem(name) for name in t.names} for t in (valid, evaluated))
    shared = fitted & known
    if shared:
        raise UserError(
            f"--valid_predictions_csv: {len(shared)} of its images are evaluated too (first: "
            f"'{visible(min(shared), 60)}'): expected others, or the fit would know the answers"
        )
    if valid.classes != evaluated.classes:
        raise UserError("--valid_predictions_csv: expected the same classes as --predictions_csv")
    tones = [t.group_names for t in (valid, evaluated) if (t.groups >= 0).any()]
    if len(set(tones)) > 1:
        raise UserError(
            f"--valid_predictions_csv: its tone groups are {listed(tones[0])}, those evaluated "
            f"{listed(tones[1])}: expected the same"
        )


def require_clusters_apart(
    known: Metadata | None, valid: Predictions, evaluated: Predictions
) -> None:
    """Raise `UserError` where patients or lesions to fit on are among those evaluated."""
    if known is None:
        return
    clusters, what = known.clusters(valid.names + evaluated.names)
    fitted, rest = (set(part.tolist()) for part in np.split(clusters, [len(valid.names)]))
    shared = len(fitted & rest)
    if shared:
        raise UserError(
            f"--valid_predictions_csv: {shared:,} of its {len(fitted):,} clusters ({what}) are "
            "evaluated too: expected others, or the fit would know them; to fit all the same: "
            "--allow_leakage"
        )


def _edges(text: str, written: str) -> tuple[float, ...]:
    try:
        return tuple(float(edge) for edge in written.split(","))
    except ValueError:
        raise UserError(
            f"--group_by {text!r}: expected numbers behind the colon, as in age_approx:30,50,70"
        ) from None
