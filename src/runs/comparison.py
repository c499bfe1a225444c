"""Several ways of training side by side, each with several runs: figures with intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..core.errors import UserError
from ..evaluation.bootstrap import auroc_of_draws, percentile_interval, ratios, unit_draws

# the columns of `compare` that have an interval, and what a table calls them
FIGURES = {
    "auroc": "AUROC",
    "auroc_gain": "against the first",
    "recall": "recall",
    "specificity": "specificity",
    "worst_group_recall": "worst-group recall",
    "equal_opportunity_difference": "equal-opportunity difference",
}


@dataclass(frozen=True)
class Scores:
    """One run's test rows, all arrays [N].

    `units` int: the patient or lesion of the row, the same number in all runs; `target` bool;
    `score` float; `decision` bool; `groups` int, -1 unknown.
    """

    images: np.ndarray
    units: np.ndarray
    target: np.ndarray
    score: np.ndarray
    decision: np.ndarray
    groups: np.ndarray


def compare(
    runs: dict[str, list[Scores]], group_names: tuple[str, ...], min_positives: int, n_draws: int
) -> pd.DataFrame:
    """A line for each name in `runs`, with `<figure>`, `<figure>_low` and `<figure>_high`.

    AUROC is the mean over runs; `auroc_gain` that minus the first name's; recall, specificity and
    the recall of each group are of the rows of all runs together. Worst-group recall and
    equal-opportunity difference (largest minus least recall) take the groups with `min_positives`
    different positive images or more. Intervals are 95 %: each of `n_draws` draws takes units and
    runs with replacement, the same for all names.

    Raises `UserError` where fewer than two groups have so many, and where the runs of a seed are
    not of the same rows.
    """
    _require_same_rows(runs)
    rng = np.random.default_rng(0)
    first = next(iter(runs.values()))
    n_units = 1 + max(int(run.units.max()) for run in first)
    # draw 0 is the data themselves
    draws = np.vstack([np.ones(n_units, np.float32), unit_draws(n_units, n_draws, rng)])
    picks = rng.integers(len(first), size=(n_draws, len(first)))
    picks = np.vstack([np.arange(len(first)), picks])
    n_positives = [_n_positives(first, group) for group in range(len(group_names))]
    judged = _judged_groups(n_positives, min_positives)
    counts = {
        "n": len({image for run in first for image in run.images}),
        "n_malignant": sum(n_positives) + _n_positives(first, -1),
        **{f"n_malignant {group_names[g]}": n for g, n in enumerate(n_positives)},
    }
    lines, baseline = [], None
    for name, scores in runs.items():
        figures, by_group = _figures(scores, draws, picks, len(group_names), judged)
        baseline = figures["auroc"] if baseline is None else baseline
        figures["auroc_gain"] = figures["auroc"] - baseline
        figures |= {f"recall {g}": v for g, v in zip(group_names, by_group, strict=True)}
        lines.append({"objective": name, "n_runs": len(scores), **counts, **_summary(figures)})
    return pd.DataFrame(lines)


def _require_same_rows(runs: dict[str, list[Scores]]) -> None:
    first = next(iter(runs.values()))
    for name, scores in runs.items():
        for run, other in zip(scores, first, strict=True):
            for what in ("images", "units", "target", "groups"):
                if not np.array_equal(getattr(run, what), getattr(other, what)):
                    raise UserError(
                        f"{name}: its test rows are not those of {next(iter(runs))}: the data "
                        "changed between their runs; expected all runs of the same data"
                    )


def _judged_groups(n_positives: list[int], min_positives: int) -> list[int]:
    judged = [group for group, n in enumerate(n_positives) if n >= min_positives]
    if len(judged) < 2:
        raise UserError(
            f"groups with {min_positives} or more positive test images: expected two, found "
            f"{len(judged)} (there are {', '.join(map(str, n_positives))})"
        )
    return judged


def _n_positives(scores: list[Scores], group: int) -> int:
    """Different positive images of a group in the test rows of all runs."""
    return len({i for run in scores for i in run.images[run.target & (run.groups == group)]})


def _figures(scores, draws, picks, n_groups: int, judged: list[int]) -> tuple[dict, np.ndarray]:
    """(figure -> values [draws], recall of each group [groups, draws])"""

    def of_rows(run: Scores, rows: np.ndarray) -> np.ndarray:
        return draws[:, run.units[rows]].sum(axis=1, dtype=np.float64)

    def rate(hit, of) -> np.ndarray:
        """Of the rows in `of` those in `hit`, both functions of a run."""
        parts = np.stack([of_rows(run, of(run) & hit(run)) for run in scores], axis=1)
        wholes = np.stack([of_rows(run, of(run)) for run in scores], axis=1)
        return ratios(*(np.take_along_axis(x, picks, 1).sum(1) for x in (parts, wholes)))

    auroc = [auroc_of_draws(run.target, run.score, draws[:, run.units]) for run in scores]
    by_group = np.stack(
        [
            rate(lambda run: run.decision, lambda run, g=g: run.target & (run.groups == g))
            for g in range(n_groups)
        ]
    )
    return {
        "auroc": np.take_along_axis(np.stack(auroc, axis=1), picks, 1).mean(1),
        "recall": rate(lambda run: run.decision, lambda run: run.target),
        "specificity": rate(lambda run: ~run.decision, lambda run: ~run.target),
        "worst_group_recall": by_group[judged].min(0),
        "equal_opportunity_difference": by_group[judged].max(0) - by_group[judged].min(0),
    }, by_group


def _summary(figures: dict[str, np.ndarray]) -> dict[str, float]:
    """Of each figure the value (draw 0) and the interval of the other draws."""
    line = {}
    for name, values in figures.items():
        low, high = percentile_interval(values[1:])
        line |= {name: values[0], f"{name}_low": low, f"{name}_high": high}
    return line
