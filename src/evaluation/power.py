"""What a group's size allows to say: exact intervals, detectable differences, and in words."""

import numpy as np
from scipy.stats import binomtest, norm


def detectable_rates(
    n_group: int, n_rest: int, rate_rest: float, power: float = 0.8, confidence: float = 0.95
) -> tuple[float, float]:
    """(the highest rate below, the lowest above `rate_rest`) that a two-sided test distinguishes.

    The test compares a rate of `n_group` rows with `rate_rest` of `n_rest` others, and detects
    such a rate with this power. By Cohen (1988): 2 arcsin √rate must differ by
    (z₁₋α⸝₂ + z_power) √(1/n_group + 1/n_rest). NaN where even 0, or 1, would not be detected, and
    without rows.
    """
    if not n_group or not n_rest:
        return float("nan"), float("nan")
    distance = norm.ppf((1 + confidence) / 2) + norm.ppf(power)
    distance *= np.sqrt(1 / n_group + 1 / n_rest)
    angle = 2 * np.arcsin(np.sqrt(rate_rest))
    below = np.sin((angle - distance) / 2) ** 2 if angle >= distance else np.nan
    above = np.sin((angle + distance) / 2) ** 2 if angle + distance <= np.pi else np.nan
    return float(below), float(above)


def exact_interval(n_hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a rate (Clopper & Pearson 1934) of which `n_hits` of `n` were observed.

    NaN without rows.
    """
    if not n:
        return float("nan"), float("nan")
    interval = binomtest(int(n_hits), int(n)).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def power_notes(groups: dict[str, tuple[int, int]], positive: str, min_group: int) -> list[str]:
    """A sentence on each group with fewer than `min_group` positive images.

    `groups` are (positive images, how many of them were detected) by name. A last sentence says how
    large a difference could be detected between the two smallest groups that do have enough,
    where there are two.
    """
    total, found = (sum(counts[place] for counts in groups.values()) for place in (0, 1))
    notes = [
        _note(f"{name}: {_images(n, positive)}.", n, n_hits, total - n, found - n_hits)
        for name, (n, n_hits) in groups.items()
        if n < min_group
    ]
    enough = {name: counts for name, counts in groups.items() if counts[0] >= max(min_group, 1)}
    smallest = sorted(enough, key=lambda name: enough[name][0])[:2]
    if len(smallest) < 2:
        return notes
    return [*notes, _pair_note(smallest, [enough[name] for name in smallest], positive)]


def _note(start: str, n: int, n_hits: int, n_rest: int, n_rest_hits: int) -> str:
    if not n:
        return f"{start} Its sensitivity could not be calculated."
    low, high = exact_interval(n_hits, n)
    note = (
        f"{start} Too few to compare: {n_hits} of {n} were detected, so the sensitivity may be "
        f"anywhere from {low:.2f} to {high:.2f} (95 % exact CI)"
    )
    if not n_rest:
        return f"{note}."
    rest = n_rest_hits / n_rest
    below, above = detectable_rates(n, n_rest, rest)
    told = [
        f"at {end} {rate:.2f}"
        for rate, end in ((below, "most"), (above, "least"))
        if not np.isnan(rate)
    ]
    if not told:
        return f"{note}; no difference from the other groups ({rest:.2f}) could be detected."
    return (
        f"{note}; only a sensitivity of {' or '.join(told)} could be distinguished from that "
        f"of the other groups ({rest:.2f}; 80 % power)."
    )


def _pair_note(names: list[str], counts: list[tuple[int, int]], positive: str) -> str:
    (n, n_hits), (n_other, n_other_hits) = counts
    rate = (n_hits + n_other_hits) / (n + n_other)
    gaps = [abs(rate - found) for found in detectable_rates(n, n_other, rate)]
    known = [gap for gap in gaps if not np.isnan(gap)]
    told = (
        f"only differences in sensitivity of {min(known):.2f} or more could be detected"
        if known
        else "no difference in sensitivity could be detected"
    )
    return (
        f"{names[0]} and {names[1]}, the smallest groups compared, have {n:,} and "
        f"{_images(n_other, positive)}: {told} (80 % power)."
    )


def _images(n: int, positive: str) -> str:
    return f"{n:,} {positive} image{'' if n == 1 else 's'}" if n else f"no {positive} image"
