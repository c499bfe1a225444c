"""A new split of a table in the style of ISIC 2020, and what the given one is like."""

from pathlib import Path

import pandas as pd

from src.core.classes import BINARY_CLASSES
from src.core.errors import UserError
from src.core.files import write_text
from src.datasets.adapters import isic_rows
from src.datasets.splits import assign_splits, describe_crossings
from src.datasets.table import Table, csv_separator, make_table, read_csv


def read_rows(csv: Path) -> pd.DataFrame:
    """`isic_rows` of a CSV that has what a split is made of."""
    read_csv(csv, ("image_name", "target", "patient_id", "split"))
    return isic_rows(csv)


def write_split(
    csv: Path,
    rows: pd.DataFrame,
    output: Path,
    sizes: tuple[float, float],
    seed: int,
    keep_first: bool,
) -> str:
    """What the new split is like, once `output` has it; cells of other columns as they were.

    `rows` are `read_rows` of `csv`; `sizes` are the shares of validation and test rows.
    """
    sep = csv_separator(csv)
    text = pd.read_csv(csv, sep=sep, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    kept = distinct_rows(text, rows["stem"], csv, keep_first)
    stems = rows["stem"][kept]
    table = assign_splits(as_table(rows[kept], stems), *sizes, seed)
    splits = table.rows.set_index("image")["split"]
    new = text[kept].assign(split=stems.map(splits))
    write_text(output, new.to_csv(sep=sep, index=False))
    dropped = f"rows dropped as repeating the image of an earlier row: {(~kept).sum():,}"
    return f"{dropped}\n{describe_counts('after', table)}"


def report(rows: pd.DataFrame, csv: Path) -> tuple[str, str]:
    """(what the given split is like, what crosses it or an empty text)."""
    table = as_table(rows, [f"{stem} (line {i + 2})" for i, stem in enumerate(rows["stem"])])
    without = (table.rows["patient_id"] == "").sum()
    leaks = describe_crossings(table.rows)
    lines = (
        f"{csv}: {len(table):,} rows, {without:,} without a patient",
        leaks.replace("; ", "\n") or "no patient or lesion appears in more than one split",
        describe_counts("before", table),
    )
    return "\n".join(lines), leaks


def as_table(rows: pd.DataFrame, images) -> Table:
    """`isic_rows` as a `Table` with these names for its images."""
    return make_table(rows.assign(image=images), BINARY_CLASSES, 1)


def describe_counts(when: str, table: Table) -> str:
    """A text table: rows (positives) of every split, in all and by tone group."""
    names = {-1: "Unknown", **dict(enumerate(table.groups))}
    rows = table.rows.assign(group=table.rows["group"].map(names), positive=table.labels == 1)
    columns = ["all", *(name for name in names.values() if name in set(rows["group"]))]
    lines = [[when, *columns]]
    for split, part in rows.groupby("split"):
        parts = [part if c == "all" else part[part["group"] == c] for c in columns]
        cells = [f"{len(rows):,} ({rows['positive'].sum():,})" for rows in parts]
        lines.append([split or "no split", *cells])
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
