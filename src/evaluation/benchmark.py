"""Seconds that an evaluation with confidence intervals takes, of random predictions."""

import statistics
import time
from dataclasses import replace

import numpy as np

from ..core.classes import BINARY_CLASSES
from ..core.memory import peak_megabytes
from .groupings import tone_groups
from .predictions import Predictions
from .results import Settings, all_results, bootstrapped

PREVALENCE = 0.018  # of melanoma in ISIC 2020
IMAGES_PER_PATIENT = 16


def time_evaluation(
    n_rows: int,
    n_resamples: int,
    n_groups: int,
    n_runs: int,
    n_patients: int = 0,
    n_positive: int = 0,
    n_groupings: int = 1,
) -> str:
    """A sentence with the median of the seconds that runs took, and the most memory."""
    predictions, patients = random_predictions(n_rows, n_groups, n_patients, n_positive)
    tones = tone_groups(predictions)
    groupings = [
        replace(tones, name=f"{tones.name} {i}", codes=np.roll(tones.codes, i))
        for i in range(n_groupings)
    ]
    settings = Settings(n_resamples=n_resamples)
    seconds = []
    for _ in range(n_runs):
        started = time.perf_counter()
        w = bootstrapped(predictions, patients, settings)
        found = all_results(w, groupings, patients, settings)
        seconds.append(time.perf_counter() - started)
    n_metrics = len(found["overall"]["metrics"])
    times = f" x {n_groupings} groupings" * (n_groupings > 1)
    return (
        f"{n_rows:,} predictions of {len(np.unique(patients)):,} patients x {n_resamples:,} "
        f"resamples x {n_metrics} metrics x {n_groups} groups{times}: median "
        f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f}) of "
        f"{n_runs} runs; peak memory {peak_megabytes():,.0f} MB"
    )


def random_predictions(
    n_rows: int, n_groups: int, n_patients: int = 0, n_positive: int = 0
) -> tuple[Predictions, np.ndarray]:
    """Random predictions and the patient of each row.

    About 1.8 % are positive, as in ISIC 2020, and a patient has 16, unless their numbers are given.
    """
    rng = np.random.default_rng(0)
    labels = (rng.random(n_rows) < PREVALENCE).astype(np.int64)
    if n_positive:
        labels = rng.permutation(np.arange(n_rows) < n_positive).astype(np.int64)
    score = 1 / (1 + np.exp(-(1.5 * rng.normal(size=n_rows) + 2.5 * labels - 3)))
    shares = 1 / np.arange(1, n_groups + 1)
    predictions = Predictions(
        names=[f"image_{row}.jpg" for row in range(n_rows)],
        labels=labels,
        groups=rng.choice(n_groups, size=n_rows, p=shares / shares.sum()),
        probabilities=np.stack([1 - score, score], axis=1),
        decisions=(score >= 0.5).astype(np.int64),
        classes=BINARY_CLASSES,
        positive=1,
        group_names=tuple(f"group {group}" for group in range(n_groups)),
    )
    patients = rng.integers(n_patients or max(1, n_rows // IMAGES_PER_PATIENT), size=n_rows)
    return predictions, np.unique(patients, return_inverse=True)[1]
