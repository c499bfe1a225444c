"""python -m src.scripts.benchmark_evaluation: seconds that an evaluation with intervals takes."""

import argparse
import statistics
import time

import numpy as np
from tqdm import tqdm

from ..core.classes import BINARY_CLASSES
from ..core.errors import UserError, refuse_in_words, run_main
from ..evaluation.groupings import tone_groups
from ..evaluation.judge import judge
from ..evaluation.predictions import Predictions
from ..evaluation.sample import Settings, draw

PREVALENCE = 0.018  # of melanoma in ISIC 2020
IMAGES_OF_A_PATIENT = 16


def main(argv: list[str] | None) -> None:
    args = parse_args(argv)
    for name in ("rows", "draws", "groups", "runs"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} {getattr(args, name)}: expected 1 or more")
    predictions, units = drawn_predictions(args.rows, args.groups)
    settings = Settings(n_draws=args.draws)
    seconds = []
    for _ in tqdm(range(args.runs), "runs", disable=None, leave=False):
        started = time.perf_counter()
        found = judge(draw(predictions, units, settings), [tone_groups(predictions)], settings)
        seconds.append(time.perf_counter() - started)
    n_metrics = len(found["overall"]["metrics"])
    print(
        f"{args.rows:,} predictions of {len(np.unique(units)):,} patients x {args.draws:,} draws x "
        f"{n_metrics} metrics x {args.groups} groups: median {statistics.median(seconds):.1f} s "
        f"({min(seconds):.1f} to {max(seconds):.1f}) of {args.runs} runs"
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    refuse_in_words(parser)
    add = parser.add_argument
    add("--rows", type=int, default=33_000, help="predictions (default: 33000)")
    add("--draws", type=int, default=2000, help="draws of the bootstrap (default: 2000)")
    add("--groups", type=int, default=6, help="groups of unequal size (default: 6)")
    add("--runs", type=int, default=5, help="times to measure (default: 5)")
    return parser.parse_args(argv)


def drawn_predictions(n_rows: int, n_groups: int) -> tuple[Predictions, np.ndarray]:
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
    patients = rng.integers(max(1, n_rows // IMAGES_OF_A_PATIENT), size=n_rows)
    return predictions, np.unique(patients, return_inverse=True)[1]


if __name__ == "__main__":
    run_main(main)
