"""All that was tried: the epochs of several runs on the same validation rows, and their winner."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..core.cells import visible
from ..core.errors import require
from ..core.progress import in_threads
from ..evaluation.bootstrap import resample_weights
from ..evaluation.metrics import METRICS, title_of
from ..evaluation.weighted import Rows, Weighted
from .kept import KeptEpochs
from .optimism import Optimism, best_first, folds_of, lead_by_chance, optimism_of

N_RESAMPLES = 1000


@dataclass(frozen=True)
class Tried:
    """`optimism` of the best epoch of all runs by `metric`, in the metric's own direction.

    `winner` and `runner_up` are (run, epoch from 0), the second the best epoch of another run or
    None; `lead` is how much better the first is, `lead_by_chance` what `is_told_apart` asks of it.
    """

    metric: str
    n_runs: int
    n_rows: int
    n_positive: int
    optimism: Optimism
    winner: tuple[str, int]
    runner_up: tuple[str, int] | None = None
    runner_up_value: float = float("nan")
    lead_by_chance: float = float("nan")

    @property
    def lead(self) -> float:
        """How much better the winner is than the runner-up on the rows that chose it."""
        return abs(self.optimism.naive - self.runner_up_value)

    @property
    def is_told_apart(self) -> bool:
        """Whether the winner is better than the runner-up, at the two-sided 5 % level."""
        return self.lead > self.lead_by_chance


def is_measured(metric: str) -> bool:
    """Whether a metric can be measured anew on resampled rows."""
    row = METRICS.get(metric)
    return row is not None and row.higher_is_better is not None and row.has_interval


def assess(runs: dict[str, KeptEpochs], metric: str) -> Tried:
    """What choosing the best by `metric` among all epochs of `runs` has brought, and what not.

    Raises `UserError` for a metric that cannot be measured on resampled rows, for runs with other
    validation rows than each other, and where the rows leave the metric undefined.
    """
    known = ", ".join(name for name in METRICS if is_measured(name))
    require(is_measured(metric), f"--metric {metric}: expected one of {known}")
    _require_same_rows(runs)
    first, candidates = next(iter(runs.values())), _candidates(runs)
    higher, rng = METRICS[metric].higher_is_better, np.random.default_rng(0)
    target = first.labels == first.positive
    held_out = folds_of(first.clusters, target, rng)
    weights = np.vstack([~held_out, held_out]).astype(np.float32)
    measured = in_threads(partial(_measured, metric, weights), candidates, "epochs")
    values, *others = np.array([*measured]).T
    order = best_first(values, higher)
    require(bool(order), f"--metric {metric}: undefined on these validation rows; choose another")
    resamples = resample_weights(held_out.shape[1], N_RESAMPLES, rng)
    winner = candidates[order[0]]
    defined = [candidates[place] for place in order]
    own = {one.epoch: _measured(metric, resamples, one) for one in defined if one.run == winner.run}
    inside, outside = np.split(np.array(others), 2)
    found = Tried(
        metric=metric,
        n_runs=len(runs),
        n_rows=len(target),
        n_positive=int(target.sum()),
        optimism=optimism_of(values, inside, outside, own[winner.epoch][1:], higher),
        winner=(winner.run, winner.epoch),
    )
    second = next((one for one in defined if one.run != winner.run), None)
    if second is None:
        return found
    sign, of_second = 1 if higher else -1, _measured(metric, resamples, second)
    return replace(
        found,
        runner_up=(second.run, second.epoch),
        runner_up_value=float(of_second[0]),
        lead_by_chance=lead_by_chance(sign * np.array([*own.values()]), sign * of_second),
    )


def _require_same_rows(runs: dict[str, KeptEpochs]) -> None:
    first = next(iter(runs))
    for name, kept in runs.items():
        require(
            _rows_of(kept) == _rows_of(runs[first]),
            f"{name}: its validation rows are not those of {first}: expected runs that chose "
            "their epochs on the same rows (the same data and --split_seed)",
        )


def _rows_of(kept: KeptEpochs) -> tuple:
    return kept.rows_digest, kept.classes, kept.labels.tobytes(), kept.clusters.tobytes()


@dataclass(frozen=True)
class _Candidate:
    run: str
    epoch: int
    kept: KeptEpochs
    place: int


def _candidates(runs: dict[str, KeptEpochs]) -> list[_Candidate]:
    return [
        _Candidate(run, epoch, kept, place)
        for run, kept in runs.items()
        for place, epoch in enumerate(kept.epochs.tolist())
    ]


def _measured(metric: str, weights: np.ndarray, one: _Candidate) -> np.ndarray:
    """[1 + B]: the metric of the rows as they are, and with each of the weights [B, clusters]."""
    rows = Rows(one.kept.predictions(one.place), one.kept.clusters.astype(np.int64))
    whole = np.ones((1, weights.shape[1]), np.float32)
    return METRICS[metric].measure(Weighted(rows, np.vstack([whole, weights])))


def sentences(tried: Tried) -> list[str]:
    """What a reader is told, one line each."""
    found, name = tried.optimism, title_of(tried.metric)
    runs = "1 run" if tried.n_runs == 1 else f"{tried.n_runs} runs"
    run, epoch = _named(tried.winner)
    lines = [
        f"Best of {found.n_candidates} (all epochs of {runs}) on {tried.n_rows:,} validation "
        f"images, {tried.n_positive:,} of them positive: {run}, epoch {epoch}.",
        f"{name}: {found.naive:.3f} on the images that chose it; {found.corrected:.3f} corrected "
        f"for the choice (95 % CI {found.low:.3f}–{found.high:.3f}).",
        f"Expected optimism of the best: {found.optimism:+.3f} "
        f"(95 % CI {found.naive - found.high:+.3f} to {found.naive - found.low:+.3f}).",
    ]
    if tried.runner_up is None:
        return lines
    run, epoch = _named(tried.runner_up)
    told = (
        "the winner can be told apart from it"
        if tried.is_told_apart
        else "the winner cannot be told apart from it"
    )
    lines.append(
        f"Runner-up: {run}, epoch {epoch}, {name} {tried.runner_up_value:.3f}; the winner is "
        f"better by {tried.lead:.3f} (by chance up to {tried.lead_by_chance:.3f}): {told}."
    )
    return lines


def _named(place: tuple[str, int]) -> tuple[str, int]:
    """A run as it can be shown, and its epoch from 1."""
    return visible(place[0], 120), place[1] + 1


def by_rows(runs: dict[str, KeptEpochs]) -> list[dict[str, KeptEpochs]]:
    """The runs by the validation rows that they share, the most runs first."""
    alike: dict[tuple, dict[str, KeptEpochs]] = {}
    for name, kept in runs.items():
        alike.setdefault(_rows_of(kept), {})[name] = kept
    return sorted(alike.values(), key=len, reverse=True)
