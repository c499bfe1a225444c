"""Numbers as a reader wants them: rounded to what is known, named, and never invented."""

import math
from typing import NamedTuple

from ..evaluation.fairness import RATES
from ..evaluation.metrics import METRICS, MULTICLASS_METRICS

_NARROW = "\u202f"  # a space that does not break, before a percent sign
NOT_DEFINED = "not defined"
# what decisions alone do not give
_OF_PROBABILITIES = ("auroc", "auprc", "brier", "log_loss", "ece", "ece_equal_mass")
_OF_PROBABILITIES += ("ece_malignant", "sensitivity_at_specificity", "specificity_at_sensitivity")
_OF_PROBABILITIES += ("auroc_macro",)


class Named(NamedTuple):
    """A figure's name for a reader, and its unit: `%` for shares, which are told in percent."""

    title: str
    unit: str


GAPS = {
    "demographic_parity": "demographic parity (selection rate)",
    "equal_opportunity": "equal opportunity (sensitivity)",
    "equalized_odds": "equalized odds (sensitivity or false alarms)",
    "equal_opportunity_difference": "equal-opportunity difference",
    "equalized_odds_difference": "equalized-odds difference",
}


def metric(name: str) -> Named:
    """What a metric, a rate or a gap is called; another is told under its name, as a number."""
    metrics = METRICS | MULTICLASS_METRICS
    if name in metrics:
        label, _, unit = metrics[name]
    elif name in RATES:
        label, unit = RATES[name].label, "" if name == "f1" else "%"
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
    """`64–80 %`, in the digits of `value_of`; empty where it is not known."""
    if not (is_known(figure["value"]) and _has_interval(figure)):
        return ""
    scale, digits = _precision(figure, unit)
    low, high = (_signed(scale * figure[end], digits) for end in ("low", "high"))
    return f"{low}{' to ' if figure['low'] < 0 else '–'}{high}{_after(unit)}"


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
    n, n_positive = part["n"], part["n_malignant"]
    if not n:
        return "no images"
    if not n_positive and name not in ("specificity", "false_positive_rate", "selection_rate"):
        return f"no {positives}"
    if n == n_positive and name in ("specificity", "false_positive_rate", "auroc"):
        return f"only {positives}"
    if name in ("malignant_precision", "malignant_f1"):
        return "no image was judged positive"
    return "no probabilities are known" if name in _OF_PROBABILITIES else "too little varies"


def too_few(name: str, part: dict, least: int) -> bool:
    """Whether fewer than `least` rows count for sensitivity, specificity or another rate."""
    n, n_positive = part["n"], part["n_malignant"]
    counts = {"malignant_recall": n_positive, "specificity": n - n_positive}
    counts["auroc"] = min(n_positive, n - n_positive)
    return counts.get(name, n) < least
