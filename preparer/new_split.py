"""A new split of a table, and what the given one is like."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from src.core.cells import folded
from src.core.errors import UserError, nearest
from src.core.files import write_text
from src.core.image_files import image_keys, image_stem
from src.datasets.csv_files import (
    csv_encoding,
    csv_separator,
    lines_of,
    numbers,
    read_csv,
    refuse_cells,
)
from src.datasets.fitzpatrick import tone_column, valid_angles, with_tone_groups
from src.datasets.labels import (
    column_classes,
    is_unlabelled,
    numbered,
    one_hot_classes,
    one_hot_columns,
)
from src.datasets.splits import assign_folds, assign_splits, describe_doubts, describe_leaks
from src.datasets.table import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    USUAL_COLUMNS,
    Table,
    Tones,
    make_table,
    usual_column,
)


@dataclass(frozen=True)
class Rows:
    """What a split is made of: `stem`, `label`, units, tones, split and fold of a CSV's rows.

    `label` counts into `classes`, of which there is none in a table without labels.
    """

    csv: Path
    frame: pd.DataFrame
    classes: tuple[str, ...]
    positive: int
    tones: Tones

    @property
    def stems(self) -> pd.Series:
        """The name of each row's image, after its folder where several folders have one."""
        return self.frame["stem"]

    def table(self, images, kept=slice(None)) -> Table:
        """The `kept` rows as a `Table` with these names for its images."""
        rows = self.frame[kept].assign(image=images)
        return make_table(rows, self.classes or ("all",), self.positive, tones=self.tones)


def read_rows(csv: Path, image: str, label: str, patient: str, lesion: str) -> Rows:
    """The rows of a CSV, whose columns are those named, else those with usual names.

    Raises `UserError` for a named column that is not there and for a table without images.
    """
    named = {"image": image, "label": label, "patient": patient, "lesion": lesion}
    rows = read_csv(csv, (), USUAL_COLUMNS, named.values())
    for option, column in named.items():
        if column and column not in rows:
            found = ", ".join(rows.columns[:12])
            raise UserError(
                f"--{option}_column: {csv} has no column '{column}'{nearest(column, rows.columns)} "
                f"(found: {found})"
            )
    image = image or usual_column(rows, IMAGE_COLUMNS)
    if not image:
        raise UserError(
            f"{csv}: no column of images (found: {', '.join(rows.columns[:12])}): name it with "
            "--image_column"
        )
    names = rows[image].fillna("")
    refuse_cells(csv, rows, image, names.map(image_stem) == "", "the name of an image")
    frame = pd.DataFrame({"stem": image_keys(names)[0]})
    for column, given in {"patient_id": patient, "lesion_id": lesion, "split": ""}.items():
        frame[column] = rows.get(given or column, "")
    others = rows.drop(columns=[label], errors="ignore")
    others, tones = with_tone_groups(others, tone_column(others), csv)
    frame["group"] = others.get("group", -1)
    for column, read in {"ita": valid_angles, "fold": numbers}.items():
        frame[column] = read(rows, column, csv) if column in rows else float("nan")
    names = _class_names(rows, label, csv, image)
    frame["label"], classes, positive = (0, (), 0) if names is None else numbered(names)
    return Rows(csv, frame, classes, positive, tones)


def _class_names(rows: pd.DataFrame, label: str, csv: Path, image: str) -> pd.Series | None:
    label = label or usual_column(rows, LABEL_COLUMNS)
    if label:
        known = rows[~is_unlabelled(rows[label].fillna(""))]
        return column_classes(known, label, csv).reindex(rows.index, fill_value=UNKNOWN_CLASS)
    columns = one_hot_columns(rows.drop(columns=image))
    names = one_hot_classes(rows, columns, csv) if columns else None
    return None if names is None else names.mask(names == "", UNKNOWN_CLASS)


def write_split(
    rows: Rows, output: Path, shares: tuple[float, float], n_folds: int, seed: int, keep_first: bool
) -> str:
    """What the new split is like, once `output` has it; cells of other columns as they were.

    `shares` are those of validation and test rows. With `n_folds` there is a column `fold` too,
    empty for test rows, and the first fold is the validation split.
    """
    csv, sep = rows.csv, csv_separator(rows.csv)
    text = pd.read_csv(csv, sep=sep, dtype=str, keep_default_na=False, encoding=csv_encoding(csv))
    kept = distinct_rows(text, rows.stems, csv, keep_first)
    stems = rows.stems[kept]
    table = new_table(rows.table(stems, kept), shares, n_folds, seed)
    found = table.rows.set_index("image")
    folds = found["fold"].astype(str).replace("-1", "")
    columns = {"split": found["split"]} | ({"fold": folds} if n_folds else {})
    # a fold of before says nothing of the new split
    old = [name for name in text if folded(name) == "fold" and not n_folds]
    named = {c: next((n for n in text if folded(n) == c), c) for c in columns}
    new = text[kept].drop(columns=old)
    new = new.assign(**{named[column]: stems.map(cells) for column, cells in columns.items()})
    write_text(output, new.to_csv(sep=sep, index=False))
    dropped = f"rows dropped as repeating the image of an earlier row: {(~kept).sum():,}"
    by_fold = [describe_counts("fold", table, "fold")] if n_folds else []
    return "\n".join([dropped, describe_counts("after", table), *by_fold])


def new_table(table: Table, shares: tuple[float, float], n_folds: int, seed: int) -> Table:
    """The table in a new split, and with `n_folds` in new folds, of which the first validates.

    Test rows are in no fold: new ones, or without a share for them those of the table's own split.
    """
    valid, test = shares
    if valid or test:
        table = assign_splits(table, valid, test, seed)
    return assign_folds(table, n_folds, 0, seed) if n_folds else table


def report(rows: Rows) -> tuple[str, str]:
    """(what the given split is like, what crosses it, that there is none, or an empty text)."""
    lines = zip(rows.stems, lines_of(rows.csv), strict=True)
    table = rows.table([f"{stem} (line {line})" for stem, line in lines])
    without = table.rows["patient_id"] == ""
    lines = [f"{rows.csv}: {len(table):,} rows, {without.sum():,} without a patient"]
    if (without & (table.rows["lesion_id"] == "")).all():
        lines.append(
            "no patients and no lesions are known, so that each image counts alone: name their "
            "columns with --patient_column, --lesion_column"
        )
    lines += [f"WARNING: {doubt}" for doubt in describe_doubts(table.rows)]
    if not rows.classes:
        lines.append("no classes are known: name their column with --label_column")
    has_folds = bool((table.rows["fold"] >= 0).any())
    leaks = describe_leaks(table, has_folds)
    if (table.rows["split"] == "").all() and not has_folds:
        leaks = NO_SPLIT
    lines.append(leaks.replace("; ", "\n") or NO_LEAK + has_folds * " or fold")
    return "\n".join([*lines, describe_counts("before", table)]), leaks


NO_SPLIT = "the table has no column 'split' or 'fold' in which patients or lesions could leak"
UNKNOWN_CLASS = "unknown class"
NO_LEAK = "no patient or lesion appears in more than one split"


def describe_counts(when: str, table: Table, by: str = "split") -> str:
    """A text table: rows (positives) of every split or fold, in all and by tone group."""
    names = {-1: "Unknown", **dict(enumerate(table.groups))}
    positive = table.labels == table.positive
    rows = table.rows.assign(group=table.rows["group"].map(names), positive=positive)
    columns = ["all", *(name for name in names.values() if name in set(rows["group"]))]
    lines = [[when, *columns]]
    for split, part in rows.groupby(by):
        parts = [part if c == "all" else part[part["group"] == c] for c in columns]
        cells = [f"{len(rows):,} ({rows['positive'].sum():,})" for rows in parts]
        lines.append([{"": "no split", -1: "test"}.get(split, str(split)), *cells])
    return "\n".join("".join(f"{cell:>15}" for cell in line) for line in lines)


def distinct_rows(text: pd.DataFrame, stems: pd.Series, csv: Path, keep_first: bool) -> pd.Series:
    """bool [rows]: one row of each image. Raises `UserError` where an image's rows differ."""
    other = text[stems.duplicated() & ~text.duplicated()]
    if len(other) and not keep_first:
        stem = stems[other.index[0]]
        cells = text[stems == stem]
        differing = ", ".join(column for column in text if cells[column].nunique() > 1)
        raise UserError(
            f"{csv}: {len(other)} rows have the image of an earlier row and differ from it "
            f"(first: {stem} in {differing}): correct them, or keep the first with --keep_first"
        )
    return ~stems.duplicated()
