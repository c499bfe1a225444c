"""Measuring rows by the metrics: estimates, bootstrap resamples, and their spread over runs."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .metrics import METRICS
from .predictions import Predictions
from .weighted import N_BINS, Rows, Weighted, rows_of

_CELLS_AT_A_TIME = 8_000_000  # resamples by clusters or thresholds: some hundreds of megabytes


def names_for(predictions: Predictions) -> list[str]:
    """The metrics of predictions of so many classes."""
    has_averages = len(predictions.classes) > 2
    return [name for name, row in METRICS.items() if has_averages or not row.of_classes]


def estimates(rows: Rows, names: Iterable[str]) -> dict[str, float]:
    """The metrics of the data as they are."""
    w = rows.as_they_are()
    return {name: float(METRICS[name].measure(w)[0]) for name in names}


def resampled(w: Weighted, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Those of the metrics that have intervals, float64 [n_resamples]; threads share the work."""
    names = [name for name in names if METRICS[name].has_interval]
    n_classes = len(w.rows.predictions.classes)
    has_curves = any(METRICS[name].needs == "probabilities" for name in names)
    ranked = [w.rows, *(w.rows.by_class if n_classes > 2 else [])] if has_curves else []
    n_thresholds = [rows.at_scores[0].shape[0] for rows in ranked]
    cells = max(1, w.weights.shape[1], n_classes**2, *n_thresholds)
    n_threads = os.cpu_count() or 1
    step = max(1, _CELLS_AT_A_TIME // n_threads // cells)

    def measure(start: int) -> list[np.ndarray]:
        part = Weighted(w.rows, w.weights[start : start + step])  # its curves end with it
        return [METRICS[name].measure(part) for name in names]

    with ThreadPoolExecutor(n_threads) as pool:
        found = list(pool.map(measure, range(0, len(w.weights), step)))
    return {n: np.concatenate([part[i] for part in found]) for i, n in enumerate(names)}


def compute_metrics(predictions: Predictions, n_bins: int = N_BINS) -> dict:
    """Every metric of a table without regard to groups, and its counts (`counts_of`)."""
    rows = rows_of(predictions, n_bins)
    return estimates(rows, names_for(predictions)) | counts_of(rows)


def counts_of(rows: Rows) -> dict:
    """`n`, `n_positive` and `confusion_matrix`, rows by [label][decision]."""
    confusion = rows.as_they_are().confusion[0].astype(int).tolist()
    return {
        "n": rows.count("all"),
        "n_positive": rows.count("positive"),
        "confusion_matrix": confusion,
    }


def scalars(metrics: dict) -> dict[str, float]:
    """The single numbers among metrics."""
    return {key: value for key, value in metrics.items() if isinstance(value, (int, float))}


def spread_of(runs: list[dict]) -> dict[str, dict]:
    """Each single number of the runs' metrics: `values`, `mean`, `sd` and `n`, defined ones.

    The sd is that of a sample (ddof 1), NaN of less than two; undefined values are NaN and not
    among the `n` that mean and sd are of.
    """
    names = [
        name
        for name in runs[0]
        if all(isinstance(run[name], (int, float, type(None))) for run in runs)
    ]
    found = {}
    for name in names:
        values = np.array([np.nan if run[name] is None else run[name] for run in runs], float)
        defined = values[~np.isnan(values)]
        found[name] = {
            "values": values.tolist(),
            "mean": float(defined.mean()) if len(defined) else float("nan"),
            "sd": float(defined.std(ddof=1)) if len(defined) > 1 else float("nan"),
            "n": len(defined),
        }
    return found
