"""Several ways of training side by side, each with several runs: figures with intervals."""

from collections.abc import Callable
from functools import partial
from itertools import chain, cycle
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from ..core.errors import UserError
from ..evaluation.bootstrap import percentile_interval, resample_weights
from ..evaluation.measure import resampled
from ..evaluation.weighted import Rows, Weighted, ratios
from ..report.style import SMALL, saved_figure

# the columns of `compare` that have an interval, and what a table calls them
FIGURES = {
    "auroc": "AUROC",
    "auroc_gain": "AUROC gain",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "worst_group_sensitivity": "worst-group sensitivity",
    "equal_opportunity_difference": "equal-opportunity difference",
}


def compare(
    runs: dict[str, list[Rows]], group_names: tuple[str, ...], min_positives: int, n_resamples: int
) -> pd.DataFrame:
    """A line for each name in `runs`, with `<figure>`, `<figure>_low` and `<figure>_high`.

    `runs` are the test rows of each run; a cluster has the same number in all of them.
    AUROC is the mean over runs; `auroc_gain` that minus the first name's; sensitivity, specificity
    and the sensitivity of each group are of the rows of all runs together. Worst-group sensitivity
    and equal-opportunity difference (highest minus lowest sensitivity) take the groups with
    `min_positives` different positive images or more. Intervals are 95 %: each of `n_resamples`
    resamples takes clusters and runs with replacement, the same for all names.

    Raises `UserError` where fewer than two groups have so many, and where the runs of a seed are
    not of the same rows.
    """
    _require_same_rows(runs)
    rng = np.random.default_rng(0)
    first = next(iter(runs.values()))
    n_clusters = 1 + max(int(run.clusters.max()) for run in first)
    # resample 0 is the data themselves
    resamples = resample_weights(n_clusters, n_resamples, rng)
    weights = np.vstack([np.ones(n_clusters, np.float32), resamples])
    picks = rng.integers(len(first), size=(n_resamples, len(first)))
    picks = np.vstack([np.arange(len(first)), picks])
    n_positives = [_n_positives(first, group) for group in range(len(group_names))]
    compared = compared_groups(n_positives, min_positives)
    counts = {
        "n": len({image for run in first for image in run.predictions.names}),
        "n_positive": sum(n_positives) + _n_positives(first, -1),
        **{f"n_positive {group_names[g]}": n for g, n in enumerate(n_positives)},
    }
    lines, baseline = [], None
    for name, rows in runs.items():
        figures, by_group = _figures(rows, weights, picks, len(group_names), compared)
        baseline = figures["auroc"] if baseline is None else baseline
        figures["auroc_gain"] = figures["auroc"] - baseline
        figures |= {f"sensitivity {g}": v for g, v in zip(group_names, by_group, strict=True)}
        lines.append({"objective": name, "n_runs": len(rows), **counts, **_summary(figures)})
    return pd.DataFrame(lines)


def _require_same_rows(runs: dict[str, list[Rows]]) -> None:
    first = next(iter(runs))
    for name, rows in runs.items():
        for run, other in zip(rows, runs[first], strict=True):
            if not all(map(np.array_equal, _identity(run), _identity(other))):
                raise UserError(
                    f"{name}: its test rows are not those of {first}: the data changed between "
                    "their runs; expected all runs of the same data"
                )


def _identity(run: Rows) -> tuple:
    return run.predictions.names, run.clusters, run.target, run.predictions.groups


def compared_groups(n_positives: list[int], min_positives: int) -> list[int]:
    """The groups with enough positive images. Raises `UserError` for fewer than two."""
    compared = [group for group, n in enumerate(n_positives) if n >= min_positives]
    if len(compared) < 2:
        raise UserError(
            f"groups with {min_positives} or more positive test images: expected two, found "
            f"{len(compared)} (there are {', '.join(map(str, n_positives))})"
        )
    return compared


def _of_group(run: Rows, group: int) -> np.ndarray:
    return run.predictions.groups == group


def _n_positives(runs: list[Rows], group: int) -> int:
    """Different positive images of a group in the test rows of all runs."""
    parts = [run.predictions.where(run.target & _of_group(run, group)) for run in runs]
    return len({name for part in parts for name in part.names})


def _figures(
    runs: list[Rows], weights: np.ndarray, picks: np.ndarray, n_groups: int, compared: list[int]
) -> tuple[dict, np.ndarray]:
    """(figure -> values [resamples], sensitivity of each group [groups, resamples])"""

    def rates(keep: Callable[[Rows], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Sensitivity and specificity of the kept rows of the runs that a resample takes."""
        parts = [Weighted(run, weights).part(keep(run)) for run in runs]
        each = [[w.tp, w.n_positive, w.n_negative - w.fp, w.n_negative] for w in parts]
        tp, n_positive, tn, n_negative = np.take_along_axis(
            np.array(each), picks.T[:, None], axis=0
        ).sum(axis=0)
        return ratios(tp, n_positive), ratios(tn, n_negative)

    auroc = [
        resampled(Weighted(run, weights).part(run.of_kind("all")), ["auroc"])["auroc"]
        for run in runs
    ]
    sensitivity, specificity = rates(lambda run: run.of_kind("all"))
    by_group = np.array([rates(partial(_of_group, group=group))[0] for group in range(n_groups)])
    lowest = by_group[compared].min(axis=0)
    return {
        "auroc": np.take_along_axis(np.stack(auroc, axis=1), picks, 1).mean(1),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "worst_group_sensitivity": lowest,
        "equal_opportunity_difference": by_group[compared].max(axis=0) - lowest,
    }, by_group


def _summary(figures: dict[str, np.ndarray]) -> dict[str, float]:
    """Of each figure the value (resample 0) and the interval of the other resamples."""
    line: dict[str, float] = {}
    for name, values in figures.items():
        low, high = percentile_interval(values[1:])
        line |= {name: values[0], f"{name}_low": low, f"{name}_high": high}
    return line


def plot_gain_against_gap(rows: pd.DataFrame, path: Path) -> None:
    """Save a PNG: AUROC against the equal-opportunity difference of each line of `compare`.

    Crosses are 95 % CIs; the first line, which others are compared with, is black.
    """
    with saved_figure((9, 5.4), path) as figure:
        axes = figure.subplots()
        colors = chain(["black"], cycle(matplotlib.colormaps["tab20"].colors))
        for (_, row), color in zip(rows.iterrows(), colors, strict=False):
            x, y = row["equal_opportunity_difference"], row["auroc"]
            reach = {
                side: [
                    [max(0, row[name] - row[f"{name}_low"])],
                    [max(0, row[f"{name}_high"] - row[name])],
                ]
                for side, name in (("xerr", "equal_opportunity_difference"), ("yerr", "auroc"))
            }
            axes.errorbar(x, y, **reach, fmt="none", color=color, alpha=0.35, linewidth=1)
            axes.plot(x, y, "o", color=color, markersize=7, label=row["objective"])
        axes.set(
            xlabel="equal-opportunity difference between tone groups (lower is fairer)",
            ylabel="AUROC",
            title="AUROC against equal-opportunity difference, with 95 % CIs",
        )
        figure.legend(loc="outside right upper", fontsize=SMALL, frameon=False)
