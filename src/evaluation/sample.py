"""Predictions with their bootstrap draws, and how they are judged."""

from dataclasses import dataclass

import numpy as np

from .bootstrap import unit_draws
from .draws import metrics_of_draws
from .fairness import subset
from .metrics import N_BINS
from .predictions import Predictions


@dataclass(frozen=True)
class Settings:
    """How an evaluation is made: draws of the bootstrap and their seed, the level of intervals,
    the rows that a group needs to enter a gap, the bins of calibration errors."""

    n_draws: int = 2000
    seed: int = 0
    level: float = 0.95
    min_group: int = 10
    n_bins: int = N_BINS


@dataclass(frozen=True)
class Sample:
    """Predictions, the patient, lesion or image that each row is of (int [N]), and draws of those
    (float32 [n_draws, units])."""

    predictions: Predictions
    units: np.ndarray
    draws: np.ndarray

    def part(self, keep: np.ndarray) -> "Sample":
        """The rows where `keep` [N] holds, with the units that they have."""
        kept, units = np.unique(self.units[keep], return_inverse=True)
        return Sample(subset(self.predictions, keep), units, self.draws[:, kept])

    def metrics(self) -> dict[str, np.ndarray]:
        """Each metric of each draw."""
        return metrics_of_draws(self.predictions, self.units, self.draws)

    def n_units(self, kind: str, positive: int) -> int:
        """Units that have rows of a kind: `all`, or `positive` or `negative` ones of a class."""
        target = self.predictions.labels == positive
        rows = {"all": slice(None), "positive": target, "negative": ~target}[kind]
        return len(np.unique(self.units[rows]))


def draw(predictions: Predictions, units: np.ndarray, settings: Settings) -> Sample:
    """The predictions with draws of their units, numbers from 0."""
    rng = np.random.default_rng(settings.seed)
    n_units = int(units.max(initial=-1)) + 1
    return Sample(predictions, units, unit_draws(n_units, settings.n_draws, rng))
