"""The files of an evaluation: metrics, metrics by group, predictions and a figure."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from ..evaluation.predictions import Predictions
from .run_figure import plot_by_group


def write_report(folder: Path, split: str, predictions: Predictions, metrics: dict) -> None:
    """Write what `evaluate` found of one split into an existing folder.

    `predictions_<split>.csv`, `metrics_by_group_<split>.csv` and `by_group_<split>.png`.
    """
    predictions.to_csv(folder / f"predictions_{split}.csv")
    by_group_frame(metrics).to_csv(folder / f"metrics_by_group_{split}.csv", index=False)
    plot_by_group(predictions, metrics, folder / f"by_group_{split}.png")


def by_group_frame(metrics: dict) -> pd.DataFrame:
    """One line for all rows and one for each group, a column for each single number."""
    lines = {"all": metrics, **metrics["groups"]}
    return pd.DataFrame([{"group": name, **scalars(values)} for name, values in lines.items()])


def scalars(metrics: dict) -> dict[str, float]:
    """The single numbers among metrics."""
    return {key: value for key, value in metrics.items() if isinstance(value, (int, float))}


def to_strict_json(value: Any, **options: Any) -> str:
    """JSON text in which undefined numbers are null."""
    return json.dumps(_null_nan(value), allow_nan=False, ensure_ascii=False, **options)


def _null_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _null_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_null_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary(metrics: dict) -> str:
    """A few lines of text: overall, then each group with its counts, then the gaps."""
    groups = metrics["groups"]
    lines = [
        _line("all", metrics),
        f"accuracy {metrics['accuracy']:.3f}  balanced accuracy {metrics['balanced_accuracy']:.3f}"
        f"  precision {metrics['malignant_precision']:.3f}  AUPRC {metrics['auprc']:.3f}",
    ]
    if list(groups) == ["unknown"]:
        return "\n".join([*lines, "tone groups are unknown: no figures by group"])
    lines += [_line(name, values) for name, values in groups.items()]
    lines.append(
        f"gaps between groups: demographic parity {metrics['demographic_parity_difference']:.3f}, "
        f"equal opportunity {metrics['equal_opportunity_difference']:.3f}"
    )
    return "\n".join(lines)


def _line(name: str, m: dict) -> str:
    return (
        f"{name:<13} n {m['n']:>6}  malignant {m['n_malignant']:>5}  AUROC {m['auroc']:.3f}  "
        f"sensitivity {m['malignant_recall']:.3f}  specificity {m['specificity']:.3f}  "
        f"F1 {m['malignant_f1']:.3f}"
    )
