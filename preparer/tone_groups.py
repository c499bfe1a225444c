"""Angles (ITA) and tone groups of the rows of a table: read, joined, written and reported."""

from pathlib import Path

import numpy as np
import pandas as pd

from src.core.cells import guarded
from src.core.errors import UserError
from src.core.files import write_text
from src.core.image_files import image_stem
from src.datasets.csv_files import (
    csv_encoding,
    csv_separator,
    line_of,
    numbers,
    read_csv,
    refuse_cells,
    shown,
)
from src.datasets.fitzpatrick import tone_column
from src.datasets.table import COLUMNS, IMAGE_COLUMNS
from src.datasets.tone_estimates import COLORS, read_estimates
from src.skin.tone import (
    GROUP_NAMES,
    ITA_METHODS,
    TONE_CATEGORIES,
    UNKNOWN_GROUP,
    ToneCategory,
    tone_category,
    tone_group,
)

# Index -1 is what has no angle.
CATEGORIES = (*TONE_CATEGORIES, ToneCategory("", np.nan, "", "", UNKNOWN_GROUP))
MOST_REASONS = 10
DECIMALS = 8  # of an angle, as in the ISIC 2020 skin-tone table


def read_metadata(csv: Path) -> tuple[pd.DataFrame, pd.Series]:
    """The rows of the table as text, and the stem of each row's image."""
    wanted = f"one of the columns {', '.join(IMAGE_COLUMNS)}"
    rows = read_csv(csv, (), (*COLUMNS, *IMAGE_COLUMNS))
    column = next((column for column in IMAGE_COLUMNS if column in rows), None)
    if column is None:
        found = repr(", ".join(map(str, rows.columns[:12])))[1:-1]
        raise UserError(f"{csv}: expected {wanted} (found: {found})")
    return rows, image_stems(rows, column, csv)


def new_tones(
    rows: pd.DataFrame, stems: pd.Series, csv: Path, ita_csv: Path | None, method: str
) -> pd.DataFrame:
    """`ita` of each row (degrees, NaN for none), the `reason` of invalid estimates, `tone_source`.

    Of the estimates in `ita_csv`, else of the table's colours by a method in `ITA_METHODS`. Where
    an angle comes from is what `ita_csv` says itself.
    """
    if ita_csv:
        tones = join_estimates(stems, ita_csv, csv)
    else:
        colors = read_colors(rows, csv)
        if colors is None:
            missing = f"no colours in {', '.join(COLORS)} to take angles from"
            raise UserError(f"{csv}: {missing}: give the estimates of its images with --ita_csv")
        source = f"assign_tone_groups(method={method})"
        tones = pd.DataFrame({"ita": angles_of(colors, method), "reason": None})
        tones = tones.assign(tone_source=source)
    sources = tones["tone_source"].where(tones["ita"].notna(), "")
    return tones.assign(ita=tones["ita"].to_numpy().round(DECIMALS), tone_source=sources)


def image_stems(rows: pd.DataFrame, column: str, csv: Path) -> pd.Series:
    """The stems of a column's images, none of which may be empty."""
    refuse_cells(csv, rows, column, rows[column].isna(), "the name of an image")
    stems = rows[column].map(image_stem)
    refuse_cells(csv, rows, column, stems == "", "the name of an image")
    return stems


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
    """`ita`, `tone_source`, `uncertain` if known, of invalid ones the `reason` by stem, else NaN.

    Raises `UserError` for an image with two estimates, and where no image of the table has one:
    the files are no pair.
    """
    rows = read_estimates(path)
    found = image_stems(rows, "image", path)
    again = found[found.duplicated()]
    if len(again):
        where = f"{path}: line {line_of(path, again.index[0])}"
        raise UserError(f"{where}: {shown(again.iloc[0])} has an estimate above: keep one of them")
    if not stems.isin(found).any():
        first = f"first: {shown(stems.iloc[0])} there, {shown(found.iloc[0])} here"
        raise UserError(
            f"{path}: no image of {csv} is in it ({first}): expected estimates of the same images"
        )
    ita, reason = rows["ita"].where(rows["valid"]), rows["reason"].mask(rows["valid"])
    unknown = f"{path.name} (options not recorded)"  # written by an earlier version
    source = rows.get("tone_source", pd.Series(unknown, rows.index)).fillna(unknown)
    tones = pd.DataFrame({"ita": ita, "reason": reason, "tone_source": source})
    if "uncertain" in rows:
        tones["uncertain"] = np.where(ita.notna(), rows["uncertain"].fillna(""), "")
    return tones.set_index(found).reindex(stems)


def own_tones(rows: pd.DataFrame, csv: Path) -> tuple[np.ndarray, np.ndarray]:
    """The angle (NaN) and the group (-1) that each row has already; the group may follow from it.

    A `group` that is no tone group raises `UserError`, so that no other column is replaced.
    """
    ita = np.full(len(rows), np.nan)
    if "ita" in rows:
        ita = numbers(rows, "ita", csv).to_numpy(float)
    by_people = tone_column(rows)
    if by_people == "fitzpatrick":
        told = f"{csv}: column 'fitzpatrick' holds types that people gave"
        raise UserError(
            f"{told}, and would be replaced by pairs of angles: rename it fitzpatrick_type"
        )
    if "group" not in rows:
        return ita, tone_group(ita)
    given = numbers(rows, "group", csv).fillna(UNKNOWN_GROUP)
    known = f"0 to {len(GROUP_NAMES) - 1}, or {UNKNOWN_GROUP} for unknown"
    wrong = ~given.isin(range(UNKNOWN_GROUP, len(GROUP_NAMES)))
    refuse_cells(csv, rows, "group", wrong, known)
    return ita, np.where(given == UNKNOWN_GROUP, tone_group(ita), given).astype(np.int64)


def write_tones(
    csv: Path, rows: pd.DataFrame, stems: pd.Series, tones: pd.DataFrame, output: Path
) -> None:
    """Write the table with its tone columns to `output`; every other cell as it was.

    `tones` are the `new_tones` of its rows.
    """
    ita = tones["ita"].to_numpy()
    sep = csv_separator(csv)
    options = {"sep": sep, "dtype": str, "keep_default_na": False, "encoding": csv_encoding(csv)}
    # The header is read as a row: pandas would rename columns that are empty or there twice.
    text = pd.read_csv(csv, header=None, **options)
    header = dict(zip(rows.columns, text.iloc[0], strict=True))
    text = text[1:].set_axis(rows.columns, axis=1)
    cells = "".join(rows["ita"].dropna()) if "ita" in rows else ""
    # as in the table's own angles; without any, a comma in a table separated by ;
    sign = "," if "," in cells or (sep == ";" and "." not in cells) else "."
    found = [CATEGORIES[index] for index in tone_category(ita)]
    text = text.assign(
        ita=[angle_text(angle, sign) for angle in ita],
        fitzpatrick=[category.fitzpatrick for category in found],
        group=[str(category.group) for category in found],
        group_str=[(*GROUP_NAMES, "")[category.group] for category in found],
        tone_source=tones["tone_source"].to_numpy(),
    )
    if "uncertain" in tones or "uncertain" in text:  # what an old angle was is no more
        known = tones["uncertain"].fillna("").to_numpy() if "uncertain" in tones else ""
        text = text.assign(uncertain=known)
    if "image_name" not in text:  # what a data set looks for in its --skin_color_csv
        text = text.assign(image_name=stems.map(guarded).to_numpy())
    write_text(output, text.rename(columns=header).to_csv(sep=sep, index=False))


def angle_text(angle: float, sign: str) -> str:
    """An angle in plain decimals, empty for NaN."""
    if np.isnan(angle):
        return ""
    return f"{angle:.{DECIMALS}f}".rstrip("0").rstrip(".").replace(".", sign)


def report(
    rows: pd.DataFrame, stems: pd.Series, tones: pd.DataFrame, csv: Path, compare_csv: Path | None
) -> str:
    """Counts, and the moves from the table's own groups, between methods and from other estimates.

    `rows` are the table's and `tones` their `new_tones`; what it lacks is left out.
    """
    ita, colors = tones["ita"].to_numpy(), read_colors(rows, csv)
    parts = [describe_counts(csv, ita, tones["reason"])]
    own_ita, own = own_tones(rows, csv)
    if (own != UNKNOWN_GROUP).any():
        parts.append(describe_moves("the table's groups -> new groups", own, tone_group(ita)))
    if colors is not None:
        parts.append(describe_methods(colors, own_ita))
    if compare_csv:
        other = join_estimates(stems, compare_csv, csv)
        parts.append(describe_compared(other["ita"].to_numpy(), compare_csv, ita))
    return "\n\n".join(parts)


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
    chardon = np.array([category.chardon for category in CATEGORIES])
    moved = (chardon[tone_category(old)] != chardon[tone_category(new)])[known]
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
