"""A split that keeps patients whole: `python preparer/prepare_split.py --csv IN --output_csv OUT`.

Reports who crosses the `split` of a CSV in the style of ISIC 2020, drops rows equal to an earlier
one and writes it with a new split, stratified by class and tone group; other cells stay as written.
"""

import argparse
import os
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.classes import BINARY_CLASSES
from src.core.errors import UserError, refuse_in_words, run_main
from src.core.files import replacing
from src.datasets.adapters import isic_rows
from src.datasets.splits import assign_splits, describe_crossings
from src.datasets.table import Table, csv_separator, make_table, read_csv


def main(argv: list[str] | None) -> int:
    """0 once `--output_csv` is written; with `--audit` 2 where the split leaks, else 0."""
    args = parse_args(argv)
    read_csv(args.csv, ("image_name", "target", "patient_id", "split"))
    rows = isic_rows(args.csv)
    leaks = report(rows, args.csv)
    if args.audit:
        return 2 if leaks else 0
    refuse_output(args.output_csv, args.csv)
    sep = csv_separator(args.csv)
    text = pd.read_csv(args.csv, sep=sep, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    kept = distinct_rows(text, rows["stem"], args.csv, args.keep_first)
    table = as_table(rows[kept], rows["stem"][kept])
    table = assign_splits(table, args.valid_size, args.test_size, args.seed)
    print(f"rows dropped, since an earlier one has their image: {(~kept).sum():,}")
    print(describe_counts("after", table))
    splits = table.rows.set_index("image")["split"]
    write_text(text[kept].assign(split=rows["stem"][kept].map(splits)), args.output_csv, sep)
    print(f"written to {args.output_csv}")
    return 0


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The flags, with sizes that leave rows for training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    refuse_in_words(parser)
    parser.add_argument("--csv", type=Path, required=True, help="; or , separated, ISIC 2020 style")
    parser.add_argument("--output_csv", "--output-csv", type=Path, help="where the new CSV goes")
    for name, default in (("valid", 0.15), ("test", 0.15)):
        size_help = f"share of {name} rows (default {default})"
        flags = (f"--{name}_size", f"--{name}-size")
        parser.add_argument(*flags, type=float, default=default, help=size_help)
    parser.add_argument("--seed", type=int, default=0, help="same seed, same split (default 0)")
    parser.add_argument("--audit", action="store_true", help="report only: exit code 2 for a leak")
    keep_help = "where rows of an image differ, keep the first"
    parser.add_argument("--keep_first", "--keep-first", action="store_true", help=keep_help)
    args = parser.parse_args(argv)
    valid, test = args.valid_size, args.test_size
    if not (0 < valid < 1 and 0 <= test < 1 - valid):
        raise UserError(f"--valid_size {valid}, --test_size {test}: expected a sum below 1")
    if not 0 <= args.seed < 2**32:
        raise UserError(f"--seed {args.seed}: expected 0 to {2**32 - 1}")
    if not (args.audit or args.output_csv):
        raise UserError("nowhere to write to: give --output_csv FILE, or --audit to report only")
    return args


def report(rows: pd.DataFrame, csv: Path) -> str:
    """Prints what the given split is like; what crosses it, or an empty text."""
    table = as_table(rows, [f"{stem} (line {i + 2})" for i, stem in enumerate(rows["stem"])])
    print(f"{csv}: {len(table):,} rows, {(table.rows['patient_id'] == '').sum():,} of no patient")
    leaks = describe_crossings(table.rows)
    print(leaks.replace("; ", "\n") or "no patient or lesion crosses the splits")
    print(describe_counts("before", table))
    return leaks


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


def refuse_output(output: Path, csv: Path) -> None:
    """Raise `UserError` for an output that is the input, or a place that takes no file."""
    if output.exists() and output.samefile(csv):
        raise UserError(f"{output} is the input: choose another --output_csv")
    if output.is_dir() or not os.access(output.parent, os.W_OK | os.X_OK):
        raise UserError(f"{output}: cannot write there; expected a file in a writable folder")


def write_text(text: pd.DataFrame, output: Path, sep: str) -> None:
    """None once `output` holds all rows; it never holds a part of them."""
    try:
        with replacing(output) as temporary:
            text.to_csv(temporary, sep=sep, index=False)
    except OSError as error:
        raise UserError(f"{output}: cannot write there ({error.strerror})") from None


if __name__ == "__main__":
    run_main(main)
