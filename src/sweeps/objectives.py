"""Objectives compared on equal terms: the same splits and seeds, at the same specificity."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.cells import csv_text
from ..core.config import Config
from ..core.errors import UserError, require
from ..core.files import make_folder, write_text
from ..core.progress import progress
from ..datasets.csv_files import read_csv
from ..datasets.load import split_table
from ..datasets.splits import connected_units
from ..engine.checks import check_settings
from ..engine.resume import find_finished
from ..engine.run import train
from ..evaluation.thresholds import decide, threshold_at_specificity
from ..evaluation.weighted import Rows, rows_of
from ..evaluator.predictions_csv import read_predictions
from ..objectives.catalog import OBJECTIVES, takes_teacher
from ..runs.comparison import FIGURES, compare, compared_groups, plot_gain_against_gap
from .options import ComparisonOptions

_NO_TEST_ROWS = "no test rows; expected a split with some, to compare objectives on"


def compare_objectives(cfg: Config, options: ComparisonOptions) -> str:
    """The table of the comparison as Markdown; runs, table and figure are in `--output_dir`.

    Raises `UserError` for settings that a run could not have, before the first is trained.
    """
    objectives = options.objectives or every_objective()
    calls = list(map(OBJECTIVES.resolve, objectives))
    if any(calls.count(call) > 1 for call in calls):
        raise UserError("--objectives: expected different ones")
    planned = {
        objective: [settings_of_run(cfg, objective, seed) for seed in options.seeds]
        for objective in objectives
    }
    for run in itertools.chain(*planned.values()):
        check_settings(run)
    folder = make_folder(Path(cfg.run.output_dir))
    all_runs = [*itertools.chain(*planned.values())]
    if not all(map(find_finished, all_runs)):
        check_groups(planned[objectives[0]], options.min_positive)
    trained = progress(map(finished_run, all_runs), "runs", len(all_runs), "run")
    runs = {objective: list(itertools.islice(trained, len(options.seeds))) for objective in planned}
    clusters = clusters_of(itertools.chain(*runs.values()))
    tested = {
        objective: [read_rows(path, clusters, options.specificity) for path in paths]
        for objective, paths in runs.items()
    }
    names = next(iter(tested.values()))[0].predictions.group_names
    rows = compare(tested, names, options.min_positive, options.n_resamples)
    write_text(folder / "objectives.csv", csv_text(rows))
    write_text(folder / "objectives.md", to_markdown(rows))
    plot_gain_against_gap(rows, folder / "objectives.png")
    return f"{to_markdown(rows)}written to {folder}"


def every_objective() -> list[str]:
    """The names of all objectives that need no teacher, cross-entropy first."""
    names = [name for name in OBJECTIVES.names() if not takes_teacher(name)]
    return ["cross_entropy", *sorted(set(names) - {"cross_entropy"})]


def settings_of_run(cfg: Config, objective: str, seed: int) -> Config:
    """The configuration of one of the runs, with a folder and a split of its own."""
    name = re.sub(r"[^a-z0-9.]+", "_", f"{objective}_seed{seed}")
    return cfg.with_settings(
        objective=objective, seed=seed, split_seed=seed, run_name=name, resume="auto"
    )


def check_groups(runs: list[Config], min_positive: int) -> None:
    """Raise `UserError` where the test rows of `runs` will be too few to compare tone groups."""
    found: list[set[str]] = []
    for run in runs:
        table = split_table(run.data).split("test")
        found = found or [set() for _ in table.groups]
        require(len(table), f"seed {run.run.seed}: {_NO_TEST_ROWS}")
        for group, images in enumerate(found):
            chosen = (table.group_indices == group) & (table.labels == table.positive)
            images.update(table.rows["image"][chosen])
    compared_groups([len(images) for images in found], min_positive)


def finished_run(cfg: Config) -> Path:
    """The folder of a run that is complete: an earlier one of the same settings, or trained now."""
    folder = find_finished(cfg) or train(cfg)
    if not (folder / "predictions_test.csv").is_file():
        raise UserError(f"{folder}: {_NO_TEST_ROWS}")
    return folder


def clusters_of(folders: Iterable[Path]) -> dict[str, int]:
    """The number of the lesion or patient of each test image, by its path in the split files."""
    rows = pd.concat(map(_test_rows, folders)).drop_duplicates("image")
    return dict(zip(rows["image"], connected_units(rows).tolist(), strict=True))


def read_rows(folder: Path, clusters: dict[str, int], specificity: float) -> Rows:
    """The test rows of a run, decided at the threshold of its validation rows."""
    valid, test = (
        rows_of(read_predictions(folder / f"predictions_{split}.csv", None))
        for split in ("valid", "test")
    )
    threshold = threshold_at_specificity(valid.target, valid.score, specificity)
    images = _test_rows(folder)["image"].tolist()  # in the same order; file names may repeat
    found = test.predictions
    decisions = decide(found.probabilities, found.positive, threshold)
    decided = replace(found, names=images, decisions=decisions)
    return Rows(decided, np.array([clusters[image] for image in images]))


def _test_rows(folder: Path) -> pd.DataFrame:
    return read_csv(folder / "test_split.csv", ("image",)).fillna("")


def to_markdown(rows: pd.DataFrame) -> str:
    """The main figures as a table, each with its interval, under a line of counts."""
    first = rows.iloc[0]
    groups = ", ".join(
        f"{first[column]} {column.removeprefix('n_positive ').lower()}"
        for column in rows
        if column.startswith("n_positive ")
    )
    lines = [
        f"{first['n']} test images, {first['n_positive']} malignant ({groups}), in the test rows "
        f"of {first['n_runs']} runs.",
        "",
        f"| objective | {' | '.join(FIGURES.values())} |",
        "|---" * (len(FIGURES) + 1) + "|",
    ]
    for _, row in rows.iterrows():
        cells = [f"{row[f]:.3f} ({row[f + '_low']:.3f}–{row[f + '_high']:.3f})" for f in FIGURES]
        lines.append(f"| `{row['objective']}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
