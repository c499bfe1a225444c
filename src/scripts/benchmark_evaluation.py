"""Time an evaluation with bootstrap confidence intervals."""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from ..core.classes import BINARY_CLASSES
from ..core.errors import run_main
from ..core.options import Section, flag, parse_options
from ..evaluation.groupings import tone_groups
from ..evaluation.predictions import Predictions
from ..evaluation.results import Settings, all_results, bootstrapped

PREVALENCE = 0.018  # of melanoma in ISIC 2020
IMAGES_PER_PATIENT = 16


@dataclass(frozen=True)
class Options(Section):
    """benchmark"""

    n_rows: int = flag(33_000, "predictions", also=("--rows",), least=1)
    n_resamples: int = flag(2000, "bootstrap resamples", also=("--draws",), least=1)
    n_groups: int = flag(6, "groups of unequal size", also=("--groups",), least=1)
    n_runs: int = flag(5, "runs to time", also=("--runs",), least=1)


def random_predictions(n_rows: int, n_groups: int) -> tuple[Predictions, np.ndarray]:
    """Random predictions with about the prevalence of ISIC 2020, and the patient of each row."""
    rng = np.random.default_rng(0)
    labels = (rng.random(n_rows) < PREVALENCE).astype(np.int64)
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
    patients = rng.integers(max(1, n_rows // IMAGES_PER_PATIENT), size=n_rows)
    return predictions, np.unique(patients, return_inverse=True)[1]


def main(argv: list[str] | None) -> None:
    """None once the median of the runs' seconds is printed."""
    options = parse_options(argv, __doc__, Options)[0]
    predictions, patients = random_predictions(options.n_rows, options.n_groups)
    settings = Settings(n_resamples=options.n_resamples)
    seconds = []
    for _ in range(options.n_runs):
        started = time.perf_counter()
        w = bootstrapped(predictions, patients, settings)
        found = all_results(w, [tone_groups(predictions)], patients, settings)
        seconds.append(time.perf_counter() - started)
    n_metrics = len(found["overall"]["metrics"])
    print(
        f"{options.n_rows:,} predictions of {len(np.unique(patients)):,} patients x "
        f"{options.n_resamples:,} resamples x {n_metrics} metrics x {options.n_groups} groups: "
        f"median {statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f}) of "
        f"{options.n_runs} runs"
    )


if __name__ == "__main__":
    run_main(main)
