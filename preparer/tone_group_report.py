"""What new tone groups of a table are like: counts, and how images move between groups."""

from pathlib import Path

import numpy as np
import pandas as pd

from preparer.tone_groups import angles_of, join_estimates, own_tones, read_colors
from src.datasets.table import shown
from src.skin.tone import GROUP_NAMES, TONE_CATEGORIES, UNKNOWN_GROUP, tone_category, tone_group

# index -1 is what has no angle
CHARDON = np.array([*(category.chardon for category in TONE_CATEGORIES), ""])
MOST_REASONS = 10


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
