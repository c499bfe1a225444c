"""Numbers as a reader wants them: rounded to what is known, named, and never invented."""

import math
from typing import NamedTuple

_NARROW = "\u202f"  # a space that does not break, before a percent sign
NOT_DEFINED = "not defined"


class Metric(NamedTuple):
    """A metric's name for a reader, and its unit: `%` for shares, which are told in percent."""

    title: str
    unit: str


METRICS = {
    "malignant_recall": Metric("Sensitivity", "%"),
    "specificity": Metric("Specificity", "%"),
    "malignant_precision": Metric("Precision", "%"),
    "malignant_f1": Metric("F1", ""),
    "accuracy": Metric("Accuracy", "%"),
    "balanced_accuracy": Metric("Balanced accuracy", "%"),
    "false_positive_rate": Metric("False-positive rate", "%"),
    "false_negative_rate": Metric("False-negative rate", "%"),
    "true_positive_rate": Metric("Sensitivity", "%"),
    "selection_rate": Metric("Selection rate", "%"),
    "f1": Metric("F1", ""),
    "auroc": Metric("AUROC", ""),
    "auprc": Metric("AUPRC", ""),
    "sensitivity_at_specificity": Metric("Sensitivity at 90 % specificity", "%"),
    "specificity_at_sensitivity": Metric("Specificity at 90 % sensitivity", "%"),
    "brier": Metric("Brier score", ""),
    "log_loss": Metric("Log loss", ""),
    "ece": Metric("Calibration error", ""),
    "ece_equal_mass": Metric("Calibration error, bins of equal size", ""),
    "ece_malignant": Metric("Calibration error of the positive class", ""),
    "cohen_kappa": Metric("Cohen's κ", ""),
    "matthews": Metric("Matthews correlation", ""),
    "auroc_macro": Metric("AUROC, mean of the classes", ""),
    "precision_macro": Metric("Precision, mean of the classes", "%"),
    "recall_macro": Metric("Sensitivity, mean of the classes", "%"),
    "f1_macro": Metric("F1, mean of the classes", ""),
    "precision_weighted": Metric("Precision, weighted by class size", "%"),
    "recall_weighted": Metric("Sensitivity, weighted by class size", "%"),
    "f1_weighted": Metric("F1, weighted by class size", ""),
    "demographic_parity": Metric("Demographic parity (selection rate)", "%"),
    "equal_opportunity": Metric("Equal opportunity (sensitivity)", "%"),
    "equalized_odds": Metric("Equalized odds (sensitivity or false alarms)", "%"),
    "equal_opportunity_difference": Metric("Equal-opportunity difference", "%"),
    "equalized_odds_difference": Metric("Equalized-odds difference", "%"),
}


def metric(name: str) -> Metric:
    """What is known of a metric; one of another name is told under it, as a plain number."""
    return METRICS.get(name, Metric(name.replace("_", " "), ""))


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
    return _signed(scale * figure["value"], digits) + _after(unit)


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
    return "not enough is known of these images, such as probabilities"


def too_few(name: str, part: dict, least: int) -> bool:
    """Whether fewer than `least` rows count for sensitivity, specificity or another rate."""
    n, n_positive = part["n"], part["n_malignant"]
    counts = {"malignant_recall": n_positive, "specificity": n - n_positive}
    counts["auroc"] = min(n_positive, n - n_positive)
    return counts.get(name, n) < least
