"""Summarise all runs under a folder in CSV, Markdown and LaTeX tables."""

import sys
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import require, run_main
from ..core.files import expect_folder, make_folder
from ..core.options import REQUIRED, flag, parse_options

METRICS: tuple[str, ...] = (
    "auroc",
    "auprc",
    "sensitivity",
    "specificity",
    "f1",
    "balanced_accuracy",
)
METRICS += ("demographic_parity_difference", "equal_opportunity_difference")


@dataclass(frozen=True)
class Options:
    """tables"""

    root: Path = flag(REQUIRED, "folder searched for runs", positional=True, metavar="ROOT")
    output_dir: Path | None = flag(None, "folder to write to (default: ROOT)")
    metrics: tuple[str, ...] = flag(
        (),
        f"columns, by their names in metrics.json (default: {' '.join(METRICS)})",
        metavar="METRIC",
    )

    def __post_init__(self):
        require(
            len(set(self.metrics)) >= len(self.metrics),
            "--metrics: a metric is given twice; expected different ones",
        )


def main(argv: list[str] | None) -> int:
    """0 once the tables are written; 1 where some files could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_folder(options.root, "ROOT")

    from ..runs.results import MAX_DEPTH, find_results
    from ..runs.selection import selection_text
    from ..runs.tables import check_metrics, write_tables

    results, problems = find_results(options.root)
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    require(results, f"{options.root}: no run found in it, {MAX_DEPTH} folders deep")
    check_metrics(options.metrics, results)
    folder = make_folder(options.output_dir or options.root)
    print(write_tables(results, options.metrics or METRICS, folder))
    if optimism := selection_text([options.root]):
        print(f"{optimism}\n")
    print(f"written to {folder}")
    return 1 if problems else 0


if __name__ == "__main__":
    run_main(main)
