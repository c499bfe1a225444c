"""Several ways of training side by side, each with several runs: figures with intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..core.classes import BINARY_CLASSES
from ..core.errors import UserError
from ..evaluation.bootstrap import percentile_interval, resample_weights
from ..evaluation.measure import resampled
from ..evaluation.predictions import Predictions
from ..evaluation.weighted import Rows, Weighted, ratios

# the columns of `compare` that have an interval, and what a table calls them
FIGURES = {
    "auroc": "AUROC",
    "auroc_gain": "AUROC gain",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "worst_group_sensitivity": "worst-group sensitivity",
    "equal_opportunity_difference": "equal-opportunity difference",
}


@dataclass(frozen=True)
class Scores:
    """One run's test rows, all arrays [N].

    `clusters` int: the patient or lesion of the row, the same number in all runs; `target` bool;
    `score` float; `decision` bool; `groups` int, -1 unknown.
    """

    images: np.ndarray
    clusters: np.ndarray
    target: np.ndarray
    score: np.ndarray
    decision: np.ndarray
    groups: np.ndarray

    def rows(self) -> Rows:
        """The rows as predictions of two classes."""
        predictions = Predictions(
            names=self.images.tolist(),
            labels=self.target.astype(np.int64),
            groups=self.groups,
            probabilities=np.stack([1 - self.score, self.score], axis=1),
            decisions=self.decision.astype(np.int64),
            classes=BINARY_CLASSES,
            positive=1,
            group_names=(),
        )
        return Rows(predictions, self.clusters)


def compare(
    runs: dict[str, list[Scores]],
    group_names: tuple[str, ...],
    min_positives: int,
    n_resamples: int,
) -> pd.DataFrame:
    """A line for each name in `runs`, with `<figure>`, `<figure>_low` and `<figure>_high`.

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
    compared = _compared_groups(n_positives, min_positives)
    counts = {
        "n": len({image for run in first for image in run.images}),
        "n_positive": sum(n_positives) + _n_positives(first, -1),
        **{f"n_positive {group_names[g]}": n for g, n in enumerate(n_positives)},
    }
    lines, baseline = [], None
    for name, scores in runs.items():
        figures, by_group = _figures(scores, weights, picks, len(group_names), compared)
        baseline = figures["auroc"] if baseline is None else baseline
        figures["auroc_gain"] = figures["auroc"] - baseline
        figures |= {f"sensitivity {g}": v for g, v in zip(group_names, by_group, strict=True)}
        lines.append({"objective": name, "n_runs": len(scores), **counts, **_summary(figures)})
    return pd.DataFrame(lines)


def _require_same_rows(runs: dict[str, list[Scores]]) -> None:
    first = next(iter(runs.values()))
    for name, scores in runs.items():
        for run, other in zip(scores, first, strict=True):
            for what in ("images", "clusters", "target", "groups"):
                if not np.array_equal(getattr(run, what), getattr(other, what)):
                    raise UserError(
                        f"{name}: its test rows are not those of {next(iter(runs))}: the data "
                        "changed between their runs; expected all runs of the same data"
                    )


def _compared_groups(n_positives: list[int], min_positives: int) -> list[int]:
    compared = [group for group, n in enumerate(n_positives) if n >= min_positives]
    if len(compared) < 2:
        raise UserError(
            f"groups with {min_positives} or more positive test images: expected two, found "
            f"{len(compared)} (there are {', '.join(map(str, n_positives))})"
        )
    return compared


def _n_positives(scores: list[Scores], group: int) -> int:
    """Different positive images of a group in the test rows of all runs."""
    return len({i for run in scores for i in run.images[run.target & (run.groups == group)]})


def _figures(
    scores: list[Scores], weights: np.ndarray, picks: np.ndarray, n_groups: int, compared: list[int]
) -> tuple[dict, np.ndarray]:
    """(figure -> values [resamples], sensitivity of each group [groups, resamples])"""

    def of_rows(run: Scores, rows: np.ndarray) -> np.ndarray:
        return weights[:, run.clusters[rows]].sum(axis=1, dtype=np.float64)

    def rate(hit, of) -> np.ndarray:
        """Of the rows in `of` those in `hit`, both functions of a run."""
        parts = np.stack([of_rows(run, of(run) & hit(run)) for run in scores], axis=1)
        wholes = np.stack([of_rows(run, of(run)) for run in scores], axis=1)
        return ratios(*(np.take_along_axis(x, picks, 1).sum(1) for x in (parts, wholes)))

    auroc = [resampled(Weighted(run.rows(), weights), ["auroc"])["auroc"] for run in scores]
    by_group = np.stack(
        [
            rate(lambda run: run.decision, lambda run, g=g: run.target & (run.groups == g))
            for g in range(n_groups)
        ]
    )
    highest, lowest = by_group[compared].max(0), by_group[compared].min(0)
    return {
        "auroc": np.take_along_axis(np.stack(auroc, axis=1), picks, 1).mean(1),
        "sensitivity": rate(lambda run: run.decision, lambda run: run.target),
        "specificity": rate(lambda run: ~run.decision, lambda run: ~run.target),
        "worst_group_sensitivity": lowest,
        "equal_opportunity_difference": highest - lowest,
    }, by_group


def _summary(figures: dict[str, np.ndarray]) -> dict[str, float]:
    """Of each figure the value (resample 0) and the interval of the other resamples."""
    line = {}
    for name, values in figures.items():
        low, high = percentile_interval(values[1:])
        line |= {name: values[0], f"{name}_low": low, f"{name}_high": high}
    return line
