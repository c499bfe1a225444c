"""What a group's size allows to say: exact intervals, detectable differences, and in words."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, norm


def detectable_rates(
    n_group: int, n_rest: int, rate_rest: float, power: float = 0.8, level: float = 0.95
) -> tuple[float, float]:
    """(the highest rate below, the lowest above `rate_rest`) that a two-sided test tells apart.

    The test compares a rate of `n_group` rows with `rate_rest` of `n_rest` others, and finds such
    a rate with this power. By Cohen (1988): 2 arcsin √rate must differ by
    (z₁₋α⸝₂ + z_power) √(1/n_group + 1/n_rest). NaN where even 0, or 1, would not be found, and
    without rows.
    """
    if not n_group or not n_rest:
        return float("nan"), float("nan")
    distance = norm.ppf((1 + level) / 2) + norm.ppf(power)
    distance *= np.sqrt(1 / n_group + 1 / n_rest)
    angle = 2 * np.arcsin(np.sqrt(rate_rest))
    below = np.sin((angle - distance) / 2) ** 2 if angle >= distance else np.nan
    above = np.sin((angle + distance) / 2) ** 2 if angle + distance <= np.pi else np.nan
    return float(below), float(above)


def exact_interval(n_hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of a rate (Clopper & Pearson 1934) of which `n_hits` of `n` were observed.

    NaN without rows.
    """
    if not n:
        return float("nan"), float("nan")
    interval = binomtest(int(n_hits), int(n)).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)


def power_notes(
    levels: Sequence[str], n_positive: Sequence[int], n_hits: Sequence[int], min_group: int
) -> list[str]:
    """What to say of each level with fewer than `min_group` malignant images, in plain words.

    `n_positive` of each level, of which `n_hits` were found. A last sentence says how large a gap
    would stand out between the two smallest levels that do have enough, where there are two.
    """
    rows = list(zip(levels, map(int, n_positive), map(int, n_hits), strict=True))
    total, found = sum(n for _, n, _ in rows), sum(hits for *_, hits in rows)
    notes = [
        _note(level, n, hits, total - n, found - hits) for level, n, hits in rows if n < min_group
    ]
    enough = sorted((row for row in rows if row[1] >= max(min_group, 1)), key=lambda row: row[1])
    return [*notes, _pair_note(*enough[:2])] if len(enough) > 1 else notes


def _note(level: str, n: int, n_hits: int, n_rest: int, n_rest_hits: int) -> str:
    if not n:
        return f"{level}: no malignant image. Nothing can be said of the sensitivity."
    low, high = exact_interval(n_hits, n)
    note = (
        f"{level}: {_images(n)}. Too few to judge: with {n_hits} of {n} found the sensitivity may "
        f"be anywhere from {low:.2f} to {high:.2f} (95 % exact interval)"
    )
    if not n_rest:
        return note + "."
    rest = n_rest_hits / n_rest
    below, above = detectable_rates(n, n_rest, rest)
    told = [
        f"{rate:.2f} or {word}"
        for rate, word in ((below, "less"), (above, "more"))
        if not np.isnan(rate)
    ]
    if not told:
        return f"{note}, and no sensitivity would stand out from the others' {rest:.2f}."
    return (
        f"{note}, and only a sensitivity of {' or of '.join(told)} would stand out from the "
        f"others' {rest:.2f}."
    )


def _pair_note(one: tuple[str, int, int], other: tuple[str, int, int]) -> str:
    (level, n, n_hits), (other_level, n_other, n_other_hits) = one, other
    rate = (n_hits + n_other_hits) / (n + n_other)
    gaps = [abs(rate - found) for found in detectable_rates(n, n_other, rate)]
    known = [gap for gap in gaps if not np.isnan(gap)]
    size = f"only a gap of {min(known):.2f} or more" if known else "no gap"
    return (
        f"Between {level} ({_images(n)}) and {other_level} ({n_other}), the smallest with enough, "
        f"{size} in sensitivity would stand out."
    )


def _images(n: int) -> str:
    return f"{n} malignant image{'s' if n > 1 else ''}"
