"""Tone groups for a table: `python preparer/assign_tone_groups.py --csv IN --output_csv OUT`.

Takes the angle (ITA) of each image from the table's colours, or from a CSV that
`python -m src.scripts.estimate_ita` wrote, sets the columns ita, fitzpatrick, group and group_str
and reports how images move between groups. Other cells stay as written.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from preparer.prepare_split import refuse_output, write_text
from src.core.errors import UserError, refuse_in_words, run_main
from src.datasets.table import csv_separator, numbers, read_csv
from src.preprocess.image import IMAGE_SUFFIXES
from src.skin.tone import (
    GROUP_NAMES,
    ITA_METHODS,
    TONE_CATEGORIES,
    UNKNOWN_GROUP,
    ToneCategory,
    tone_category,
    tone_group,
)

IMAGE_COLUMNS = ("image_name", "image_id", "image", "isic_id")
COLORS = ("color_r", "color_g", "color_b")
ESTIMATE_COLUMNS = ("image", "ita", "valid", "reason", "status")
# Index -1 is what has no angle.
CATEGORIES = (*TONE_CATEGORIES, ToneCategory("", np.nan, "", "", UNKNOWN_GROUP))
CHARDON = np.array([category.chardon for category in CATEGORIES])
DECIMALS = 8  # of an angle, as in the ISIC 2020 skin-tone table
MOST_REASONS = 10
LONGEST_CELL = 60


def main(argv: list[str] | None) -> None:
    """None once the report is printed and `--output_csv`, if given, is written."""
    args = parse_args(argv)
    rows, stems = read_metadata(args.csv)
    colors = read_colors(rows, args.csv)
    if args.ita_csv:
        new = join_estimates(stems, args.ita_csv, args.csv)
    elif colors is None:
        missing = f"no colours in {', '.join(COLORS)} to take angles from"
        raise UserError(f"{args.csv}: {missing}: give the estimates of its images with --ita_csv")
    else:
        new = pd.DataFrame({"ita": angles_of(colors, args.method or "cielab"), "reason": None})
    ita = new["ita"].to_numpy().round(DECIMALS)
    report = [describe_counts(args.csv, ita, new["reason"])]
    own_ita, own = own_tones(rows, args.csv)
    if (own != UNKNOWN_GROUP).any():
        report.append(describe_moves("the table's groups -> new groups", own, tone_group(ita)))
    if colors is not None:
        report.append(describe_methods(colors, own_ita))
    if args.compare_csv:
        other = join_estimates(stems, args.compare_csv, args.csv)
        report.append(describe_compared(other["ita"].to_numpy(), args.compare_csv, ita))
    for source in (args.csv, args.ita_csv, args.compare_csv):
        if args.output_csv and source:
            refuse_output(args.output_csv, source)
    print("\n\n".join(report))
    if args.output_csv:
        write_tones(args.csv, rows, stems, ita, args.output_csv)
        print(f"written to {args.output_csv}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The flags; `method` is None where it was not given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    refuse_in_words(parser)
    csv_help = f"; or , separated, with a column {', '.join(IMAGE_COLUMNS[:-1])} or isic_id"
    parser.add_argument("--csv", type=Path, required=True, help=csv_help)
    output_help = "where the table with tone groups goes; without it there is a report only"
    parser.add_argument("--output_csv", "--output-csv", type=Path, help=output_help)
    ita_help = "angles that src.scripts.estimate_ita wrote (default: from the table's colours)"
    parser.add_argument("--ita_csv", "--ita-csv", type=Path, help=ita_help)
    method_help = "from colour to angle (default cielab; opencv8 is that of earlier work)"
    parser.add_argument("--method", choices=list(ITA_METHODS), help=method_help)
    compare_help = "another output of src.scripts.estimate_ita to compare the new groups with"
    parser.add_argument("--compare_csv", "--compare-csv", type=Path, help=compare_help)
    args = parser.parse_args(argv)
    if args.method and args.ita_csv:
        raise UserError("--method is for the table's colours: leave it or --ita_csv out")
    return args


def read_metadata(csv: Path) -> tuple[pd.DataFrame, pd.Series]:
    """The rows of the table as text, and the stem of each row's image."""
    wanted = f"one of the columns {', '.join(IMAGE_COLUMNS)}"
    if not csv.is_file():
        raise UserError(f"{csv}: no such file; expected a CSV with {wanted}")
    rows = read_csv(csv, ())
    column = next((column for column in IMAGE_COLUMNS if column in rows), None)
    if column is None:
        found = repr(", ".join(map(str, rows.columns[:12])))[1:-1]
        raise UserError(f"{csv}: expected {wanted} (found: {found})")
    return rows, image_stems(rows, column, csv)


def image_stems(rows: pd.DataFrame, column: str, csv: Path) -> pd.Series:
    """Names without folders and without the suffix of an image (they may hold other dots)."""
    refuse_cells(csv, rows, column, rows[column].isna(), "the name of an image")
    suffix = f"({'|'.join(map(re.escape, IMAGE_SUFFIXES))})$"
    names = rows[column].str.rpartition("/")[2].str.replace(suffix, "", case=False, regex=True)
    refuse_cells(csv, rows, column, names == "", "the name of an image")
    return names


def read_colors(rows: pd.DataFrame, csv: Path) -> np.ndarray | None:
    """[rows, 3] RGB of 0 to 255, NaN in rows without; None where there is no colour at all."""
    if not set(COLORS) <= set(rows):
        return None
    colors = np.column_stack([numbers(rows, column, csv).to_numpy(float) for column in COLORS])
    wrong = ~np.isin(colors, np.arange(256)) & ~np.isnan(colors)
    for column, cells in zip(COLORS, wrong.T, strict=True):
        refuse_cells(csv, rows, column, cells, "a whole number from 0 to 255")
    incomplete = np.isnan(colors).any(axis=1)
    colors[incomplete] = np.nan
    return None if incomplete.all() else colors


def angles_of(colors: np.ndarray, method: str) -> np.ndarray:
    """float64 [rows] degrees of `read_colors`, NaN without a colour."""
    known = ~np.isnan(colors[:, 0])
    angles = np.full(len(colors), np.nan)
    angles[known] = ITA_METHODS[method](colors[known].astype(np.uint8))
    return angles


def join_estimates(stems: pd.Series, path: Path, csv: Path) -> pd.DataFrame:
    """`ita` and, of invalid estimates, the `reason` for each stem; both NaN without an estimate.

    Raises `UserError` for an estimate of no image of the table: the files are no pair.
    """
    estimates = read_estimates(path)
    if not stems.isin(estimates.index).any():
        first = f"first: {shown(stems.iloc[0])} there, {shown(estimates.index[0])} here"
        raise UserError(
            f"{path}: no image of {csv} is in it ({first}): expected estimates of the same images"
        )
    return estimates.reindex(stems)


def read_estimates(path: Path) -> pd.DataFrame:
    """`ita` (NaN where invalid) and `reason` (NaN where valid), by the stem of the image."""
    rows = read_csv(path, ESTIMATE_COLUMNS)
    failed = rows["status"] != "ok"  # an image that could not be read has no other cells
    told = rows["valid"].mask(failed, "false").str.strip().str.lower()
    refuse_cells(path, rows, "valid", ~told.isin(("true", "false")), "true or false")
    valid = told == "true"
    ita = numbers(rows, "ita", path)
    no_angle = valid & ~ita.between(-180, 180)
    refuse_cells(path, rows, "ita", no_angle, "an angle from -180 to 180, since it is valid")
    stems = image_stems(rows, "image", path)
    again = stems[stems.duplicated()]
    if len(again):
        where = f"{path}: line {again.index[0] + 2}"
        raise UserError(f"{where}: {shown(again.iloc[0])} has an estimate above: keep one of them")
    reason = rows["status"].where(failed, rows["reason"]).fillna("no reason given")
    estimates = pd.DataFrame({"ita": ita.where(valid), "reason": reason.mask(valid)})
    return estimates.set_index(stems)


def own_tones(rows: pd.DataFrame, csv: Path) -> tuple[np.ndarray, np.ndarray]:
    """The angle (NaN) and the group (-1) that each row has already; the group may follow from it.

    A `group` that is no tone group raises `UserError`, so that no other column is replaced.
    """
    ita = np.full(len(rows), np.nan)
    if "ita" in rows:
        ita = numbers(rows, "ita", csv).to_numpy(float)
    if "group" not in rows:
        return ita, tone_group(ita)
    given = numbers(rows, "group", csv).fillna(UNKNOWN_GROUP)
    known = f"0 to {len(GROUP_NAMES) - 1}, or {UNKNOWN_GROUP} for unknown"
    wrong = ~given.isin(range(UNKNOWN_GROUP, len(GROUP_NAMES)))
    refuse_cells(csv, rows, "group", wrong, known)
    return ita, np.where(given == UNKNOWN_GROUP, tone_group(ita), given).astype(np.int64)


def refuse_cells(csv: Path, rows: pd.DataFrame, column: str, wrong, expected: str) -> None:
    """Raise `UserError` for the first cell of a column that is `wrong` (bool [rows])."""
    if np.any(wrong):
        row = int(np.argmax(wrong))
        found = shown(rows[column].fillna("").iloc[row])
        raise UserError(f"{csv}: line {row + 2}: {column} {found}: expected {expected}")


def shown(cell: str) -> str:
    """A cell of a stranger's file in quotes on one line, cut to `LONGEST_CELL` characters."""
    return repr(cell[:LONGEST_CELL])


def describe_counts(csv: Path, ita: np.ndarray, reason: pd.Series) -> str:
    """A line of how many rows have an angle, and one for each reason why others have none."""
    angle, invalid = np.isfinite(ita).sum(), reason.notna().sum()
    without = len(ita) - angle - invalid
    counts = f"{angle:,} with an angle, {invalid:,} invalid, {without:,} without an estimate"
    reasons = reason.value_counts()
    lines = [f"{n:>8,} {shown(text)}" for text, n in reasons[:MOST_REASONS].items()]
    if len(reasons) > MOST_REASONS:
        lines.append(f"{reasons[MOST_REASONS:].sum():>8,} of other reasons")
    return "\n".join([f"{csv}: {len(ita):,} rows, {counts}", *lines])


def describe_methods(colors: np.ndarray, own_ita: np.ndarray) -> str:
    """How images move between the methods' groups, and how many between Chardon's categories.

    Where the table has angles too, how far they are from opencv8's.
    """
    old, new = (angles_of(colors, method) for method in ("opencv8", "cielab"))
    table = describe_moves("opencv8 -> cielab on the colours", tone_group(old), tone_group(new))
    known = ~np.isnan(old)
    moved = (CHARDON[tone_category(old)] != CHARDON[tone_category(new)])[known]
    lines = [table, f"Chardon categories: {share(moved)} move"]
    both = known & ~np.isnan(own_ita)
    if both.any():
        largest = f"at most {np.abs(old - own_ita)[both].max():.1e} degrees from opencv8's"
        lines.append(f"the table's ita is {largest} on {both.sum():,} rows")
    return "\n".join(lines)


def describe_compared(other: np.ndarray, path: Path, ita: np.ndarray) -> str:
    """How images that have an angle in both estimates move between their groups."""
    both = ~np.isnan(other) & ~np.isnan(ita)
    title = f"{path.name} -> new groups"
    table = describe_moves(title, tone_group(other[both]), tone_group(ita[both]))
    median = np.median(np.abs(other - ita)[both]) if both.any() else np.nan
    counted = f"{median:.2f} degrees on {both.sum():,} rows"
    return f"{table}\nmedian absolute difference of ita: {counted}"


def describe_moves(title: str, before: np.ndarray, after: np.ndarray) -> str:
    """A text table of rows by group before (down) and after (across), under the share moved.

    The share is of the rows that have a group before and after.
    """
    known = (before != UNKNOWN_GROUP) & (after != UNKNOWN_GROUP)
    names = dict(enumerate(GROUP_NAMES))
    if not known.all():
        names[UNKNOWN_GROUP] = "Unknown"
    lines = [["", *names.values()]]
    for group, name in names.items():
        counts = [np.sum((before == group) & (after == other)) for other in names]
        lines.append([name, *(f"{count:,}" for count in counts)])
    table = ["".join(f"{cell:>15}" for cell in line) for line in lines]
    moved = (before != after)[known]
    return "\n".join([f"{title}: {share(moved)} move", *table])


def share(moved: np.ndarray) -> str:
    """Count and percentage of True; `nan` of nothing."""
    percent = f"{100 * moved.mean():.1f}" if len(moved) else "nan"
    return f"{moved.sum():,} of {len(moved):,} ({percent} %)"


def write_tones(csv: Path, rows: pd.DataFrame, stems: pd.Series, ita, output: Path) -> None:
    """None once `output` holds the table with its tone columns; every other cell as written."""
    sep = csv_separator(csv)
    options = {"sep": sep, "dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}
    # The header is read as a row: pandas would rename columns that are empty or there twice.
    text = pd.read_csv(csv, header=None, **options)
    header = dict(zip(rows.columns, text.iloc[0], strict=True))
    text = text[1:].set_axis(rows.columns, axis=1)
    sign = decimal_sign(rows, sep)
    found = [CATEGORIES[index] for index in tone_category(ita)]
    text = text.assign(
        ita=[angle_text(angle, sign) for angle in ita],
        fitzpatrick=[category.fitzpatrick for category in found],
        group=[str(category.group) for category in found],
        group_str=[(*GROUP_NAMES, "")[category.group] for category in found],
    )
    if "image_name" not in text:  # what a data set looks for in its --skin_color_csv
        text = text.assign(image_name=stems.to_numpy())
    write_text(text.rename(columns=header), output, sep)


def decimal_sign(rows: pd.DataFrame, sep: str) -> str:
    """The sign in the table's own angles; without any, a comma in a table separated by `;`."""
    cells = "".join(rows["ita"].dropna()) if "ita" in rows else ""
    return "," if "," in cells or (sep == ";" and "." not in cells) else "."


def angle_text(angle: float, sign: str) -> str:
    """An angle in plain decimals, empty for NaN."""
    if np.isnan(angle):
        return ""
    return f"{angle:.{DECIMALS}f}".rstrip("0").rstrip(".").replace(".", sign)


if __name__ == "__main__":
    run_main(main)
