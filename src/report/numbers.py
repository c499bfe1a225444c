"""Numbers as a reader wants them: rounded to what is known, named, and never invented."""

import math
from typing import NamedTuple

from ..evaluation.metrics import METRICS

_NARROW = "\u202f"  # a space that does not break, before a percent sign
NOT_DEFINED = "not defined"


class Named(NamedTuple):
    """A figure's name for a reader, and its unit: `%` for shares, which are told in percent."""

    title: str
    unit: str


GAPS = {
    "demographic_parity": "demographic parity (selection rate)",
    "equal_opportunity": "equal opportunity (sensitivity)",
    "equalized_odds": "equalized odds (sensitivity or false-positive rate)",
    "equal_opportunity_difference": "equal-opportunity difference",
    "equalized_odds_difference": "equalized-odds difference",
}


def metric(name: str) -> Named:
    """What a metric or a gap is called; another is told under its name, as a number."""
    if name in METRICS:
        label, unit = METRICS[name].label, METRICS[name].unit
    else:
        label, unit = GAPS.get(name, name.replace("_", " ")), "%" if name in GAPS else ""
    return Named(label[:1].upper() + label[1:], unit)


def is_known(value: float | None) -> bool:
    """Whether a number is defined: neither NaN nor, as in JSON, null."""
    return value is not None and math.isfinite(value)


def count(value: int) -> str:
    """`6,562`."""
    return f"{value:,}"


def percent(value: float | None, digits: int | None = None) -> str:
    """`72 %`; one more digit near 0 and 1, where it matters."""
    if not is_known(value):
        return NOT_DEFINED
    if digits is None:
        digits = int(0 < abs(value) < 0.0995 or 0.9 < abs(value) < 1)
    return f"{_signed(100 * value, digits)}{_NARROW}%"


def decimal(value: float | None, digits: int = 3) -> str:
    """`0.902`."""
    return _signed(value, digits) if is_known(value) else NOT_DEFINED


def p_value(value: float | None) -> str:
    """`p = 0.12`, `p < 0.001`."""
    if not is_known(value):
        return f"p {NOT_DEFINED}"
    return (
        "p < 0.001" if value < 0.001 else f"p = {value:.2g}" if value < 0.1 else f"p = {value:.2f}"
    )


def value_of(figure: dict, unit: str) -> str:
    """`72 %` or `0.90`, with a digit more where the interval is narrow.

    `unit` is `%`, `points` (percentage points, of a difference of shares) or empty.
    """
    if not is_known(figure["value"]):
        return NOT_DEFINED
    if unit == "%" and not _has_interval(figure):
        return percent(figure["value"])
    scale, digits = _precision(figure, unit)
    text = _signed(scale * figure["value"], digits)
    return text + (" point" if unit == "points" and text in ("1", "−1") else _after(unit))


def interval_of(figure: dict, unit: str) -> str:
    """`64–80 %`, `−3 to 12 points`, in the digits of `value_of`; empty where it is not known."""
    if not (is_known(figure["value"]) and _has_interval(figure)):
        return ""
    scale, digits = _precision(figure, unit)
    low, high = (_signed(scale * figure[end], digits) for end in ("low", "high"))
    between = " to " if figure["low"] < 0 or unit == "points" else "–"
    return f"{low}{between}{high}{_after(unit)}"


def ci_of(figure: dict, unit: str, confidence: float) -> str:
    """`95 % CI 64–80 %`; empty where it is not known."""
    bounds = interval_of(figure, unit)
    return f"{percent(confidence, 0)} CI {bounds}" if bounds else ""


def difference_unit(unit: str) -> str:
    """The unit of a difference of figures in `unit`."""
    return "points" if unit == "%" else unit


def _after(unit: str) -> str:
    return {"%": f"{_NARROW}%", "points": " points", "": ""}[unit]


def _has_interval(figure: dict) -> bool:
    return is_known(figure["low"]) and is_known(figure["high"])


def _precision(figure: dict, unit: str) -> tuple[int, int]:
    """Factor and digits: one digit more where the interval is narrower than 0.05."""
    is_narrow = _has_interval(figure) and figure["high"] - figure["low"] < 0.05
    return (100, int(is_narrow)) if unit else (1, 2 + is_narrow)


def _signed(value: float, digits: int) -> str:
    """Rounded, with a true minus sign and never a negative zero."""
    text = f"{value:.{digits}f}"
    is_negative = text.startswith("-") and float(text) != 0
    return ("−" if is_negative else "") + text.removeprefix("-")


def why_undefined(name: str, part: dict, positives: str) -> str:
    """Why a metric of these rows has no value, in a few words; `positives` as in "melanomas"."""
    n, n_positive, row = part["n"], part["n_positive"], METRICS[name]
    if not n:
        return "no images"
    if not n_positive and row.counts in ("positive", "both"):
        return f"no {positives}"
    if name == "precision":
        return "no positive decision"
    if n == n_positive and row.counts in ("negative", "both"):
        return f"only {positives}"
    return "no probabilities" if row.needs == "probabilities" else "no variation"


def too_few(name: str, part: dict, least: int) -> bool:
    """Whether there are fewer than `least` of the rows that a metric counts."""
    n, n_positive = part["n"], part["n_positive"]
    counts = {"all": n, "positive": n_positive, "negative": n - n_positive}
    return counts.get(METRICS[name].counts, min(n_positive, n - n_positive)) < least
