"""python -m src.scripts.compare_objectives --config YAML ...: objectives side by side, by tone.

Trains every objective with every seed, each seed on a split of its own, and judges the test rows
at the threshold that has the wanted specificity on the validation rows. A run that is complete in
`--output_dir` is read, not repeated. Writes `objectives.csv`, `objectives.md`, `objectives.png`.
"""

import argparse
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.config import Config
from ..core.errors import UserError, run_main
from ..core.files import make_folder, write_text
from ..core.flags import make_parser, resolve
from ..core.options import parse_flags
from ..datasets.splits import connected_units
from ..engine.checkpoint import find_finished
from ..engine.checks import check_settings
from ..engine.run import train
from ..evaluation.thresholds import threshold_at_specificity
from ..evaluator.predictions_csv import read_predictions
from ..objectives.catalog import OBJECTIVES
from ..report.run_figure import plot_gain_against_gap
from ..runs.comparison import FIGURES, Scores, compare
from ..skin.tone import GROUP_NAMES


@dataclass(frozen=True)
class Options:
    """What is compared, and how."""

    objectives: list[str]
    seeds: list[int]
    specificity: float
    min_malignant: int
    n_draws: int


def main(argv: list[str] | None) -> None:
    given = parse_flags(make_comparison_parser(), argv)
    options = take_options(given)
    cfg = resolve(given)
    planned = {
        objective: [settings_of_run(cfg, objective, seed) for seed in options.seeds]
        for objective in options.objectives
    }
    for run in itertools.chain(*planned.values()):
        check_settings(run)
    folder = make_folder(Path(cfg.run.output_dir))
    runs = {objective: list(map(finished_run, each)) for objective, each in planned.items()}
    units = units_of(itertools.chain(*runs.values()))
    scores = {
        objective: [read_scores(path, units, options.specificity) for path in paths]
        for objective, paths in runs.items()
    }
    rows = compare(scores, GROUP_NAMES, options.min_malignant, options.n_draws)
    write_text(folder / "objectives.csv", rows.to_csv(index=False))
    write_text(folder / "objectives.md", to_markdown(rows))
    plot_gain_against_gap(rows, folder / "objectives.png")
    print(f"{to_markdown(rows)}written to {folder}")


def make_comparison_parser() -> argparse.ArgumentParser:
    """The trainer's flags and those of the comparison."""
    parser = make_parser(__doc__.splitlines()[0])
    group = parser.add_argument_group("Comparison")
    group.add_argument(
        "--objectives",
        nargs="+",
        metavar="CALL",
        help="call strings of --objective; the first is what others are compared with "
        "(default: cross_entropy, then every other one)",
    )
    group.add_argument(
        "--seeds", nargs="+", metavar="N", help="a run and a split for each (default: 0 1 2)"
    )
    group.add_argument(
        "--specificity", help="wanted on the validation rows, at which recall is judged (0.9)"
    )
    group.add_argument(
        "--min_malignant", help="positive test images of a group to judge its recall by (10)"
    )
    group.add_argument("--n_draws", help="draws of the bootstrap (2000)")
    return parser


def take_options(given: dict) -> Options:
    """The comparison's own flags, taken out of `given`. Raises `UserError` for wrong values."""
    for name in ("objective", "seed", "split_seed", "run_name", "resume"):
        if name in given:
            raise UserError(f"--{name}: set for each run; expected --objectives and --seeds")
    others = sorted(set(OBJECTIVES.names()) - {"cross_entropy"})
    options = Options(
        objectives=given.pop("objectives", ["cross_entropy", *others]),
        seeds=[_number("seeds", int, text) for text in given.pop("seeds", (0, 1, 2))],
        specificity=_number("specificity", float, given.pop("specificity", 0.9)),
        min_malignant=_number("min_malignant", int, given.pop("min_malignant", 10)),
        n_draws=_number("n_draws", int, given.pop("n_draws", 2000)),
    )
    calls = list(map(OBJECTIVES.resolve, options.objectives))
    for name, fits in (
        ("--specificity: expected 0 to 1, less than 1", 0 <= options.specificity < 1),
        ("--min_malignant: expected 1 or more", options.min_malignant >= 1),
        ("--n_draws: expected 100 or more", options.n_draws >= 100),
        ("--seeds: expected 0 or more", min(options.seeds) >= 0),
        ("--seeds: expected different ones", len(set(options.seeds)) == len(options.seeds)),
        ("--objectives: expected different ones", all(calls.count(call) == 1 for call in calls)),
    ):
        if not fits:
            raise UserError(name)
    return options


def _number(name: str, kind: type, text) -> float:
    try:
        return kind(text)
    except ValueError:
        wanted = "whole numbers" if kind is int else "a number"
        raise UserError(f"--{name} '{text}': expected {wanted}") from None


def settings_of_run(cfg: Config, objective: str, seed: int) -> Config:
    """The configuration of one of the runs, with a folder and a split of its own."""
    name = re.sub(r"[^a-z0-9.]+", "_", f"{objective}_seed{seed}")
    return cfg.with_settings(
        objective=objective, seed=seed, split_seed=seed, run_name=name, resume="auto"
    )


def finished_run(cfg: Config) -> Path:
    """The folder of a run that is complete: an earlier one of the same settings, or trained now."""
    folder = find_finished(cfg) or train(cfg)
    if not (folder / "predictions_test.csv").is_file():
        raise UserError(f"{folder}: no test rows, which are judged; expected a split with some")
    return folder


def units_of(folders: Iterable[Path]) -> dict[str, int]:
    """The number of the lesion or patient of each test image, by its path in the split files."""
    rows = pd.concat(map(_test_rows, folders)).drop_duplicates("image")
    _, units = np.unique(connected_units(rows), return_inverse=True)
    return dict(zip(rows["image"], units.tolist(), strict=True))


def read_scores(folder: Path, units: dict[str, int], specificity: float) -> Scores:
    """The test rows of a run, decided at the threshold of its validation rows."""
    valid, test = (
        read_predictions(folder / f"predictions_{split}.csv", None) for split in ("valid", "test")
    )
    scores = [p.probabilities[:, p.positive] for p in (valid, test)]
    threshold = threshold_at_specificity(valid.labels == valid.positive, scores[0], specificity)
    images = _test_rows(folder)["image"].to_numpy()  # in the same order; file names may repeat
    return Scores(
        images=images,
        units=np.array([units[image] for image in images]),
        target=test.labels == test.positive,
        score=scores[1],
        decision=scores[1] >= threshold,
        groups=test.groups,
    )


def _test_rows(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "test_split.csv", dtype=str).fillna("")


def to_markdown(rows: pd.DataFrame) -> str:
    """The main figures as a table, each with its interval, under a line of counts."""
    first = rows.iloc[0]
    groups = ", ".join(
        f"{first[column]} {column.removeprefix('n_malignant ').lower()}"
        for column in rows
        if column.startswith("n_malignant ")
    )
    lines = [
        f"{first['n']} test images, {first['n_malignant']} malignant ({groups}), in the test rows "
        f"of {first['n_runs']} runs.",
        "",
        f"| objective | {' | '.join(FIGURES.values())} |",
        "|---" * (len(FIGURES) + 1) + "|",
    ]
    for _, row in rows.iterrows():
        cells = [f"{row[f]:.3f} ({row[f + '_low']:.3f}–{row[f + '_high']:.3f})" for f in FIGURES]
        lines.append(f"| `{row['objective']}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_main(main)
