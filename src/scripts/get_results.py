"""python -m src.scripts.get_results ROOT: the runs below a folder as CSV, Markdown and LaTeX."""

import argparse
import sys
from pathlib import Path

from ..core.errors import UserError, nearest, refuse_in_words, run_main
from ..core.files import make_folder, write_text
from ..runs.results import COUNTS, MAX_DEPTH, Result, find_results, over_seeds
from ..runs.tables import (
    results_frame,
    results_table,
    spread_frame,
    spread_table,
    to_latex,
    to_markdown,
)

METRICS = ("auroc", "auprc", "malignant_recall", "specificity", "malignant_f1", "balanced_accuracy")
METRICS += ("demographic_parity_difference", "equal_opportunity_difference")


def main(argv: list[str] | None) -> int:
    """0 once the tables are written; 1 where some files could not be read."""
    args = parse_args(argv)
    if not args.root.is_dir():
        raise UserError(f"{args.root}: no such folder; expected one that holds runs")
    results, problems = find_results(args.root)
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    if not results:
        raise UserError(f"{args.root}: no run found in it, {MAX_DEPTH} folders deep")
    check_metrics(args.metrics, results)
    folder = make_folder(args.output_dir or args.root)
    groups = over_seeds(results)
    tables = [results_table(results, args.metrics)]
    write_text(folder / "results.csv", results_frame(results, args.metrics).to_csv(index=False))
    spread_path = folder / "results_over_seeds.csv"
    spread_path.unlink(missing_ok=True)  # of other runs
    if groups:
        tables.append(spread_table(groups, args.metrics))
        write_text(spread_path, spread_frame(groups, args.metrics).to_csv(index=False))
    markdown = "\n".join(map(to_markdown, tables))
    write_text(folder / "results.md", markdown)
    write_text(folder / "results.tex", "\n".join(map(to_latex, tables)))
    print(f"{markdown}\nwritten to {folder}")
    return 1 if problems else 0


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    refuse_in_words(parser)
    add = parser.add_argument
    add("root", type=Path, metavar="ROOT", help=f"searched {MAX_DEPTH} folders deep")
    add("--output_dir", "--output-dir", type=Path, help="folder to write to (default: ROOT)")
    metrics_help = "columns by their names in metrics.json (default: " + " ".join(METRICS) + ")"
    add("--metrics", nargs="+", default=list(METRICS), metavar="METRIC", help=metrics_help)
    args = parser.parse_args(argv)
    if len(set(args.metrics)) < len(args.metrics):
        raise UserError("--metrics: a metric is given twice; expected different ones")
    return args


def check_metrics(metrics: list[str], results: list[Result]) -> None:
    """Raise `UserError` for a metric that no run has, where runs have any."""
    known = sorted({name for result in results for name in result.metrics} - {*COUNTS})
    for name in metrics:
        if known and name not in known and name not in METRICS:
            raise UserError(
                f"--metrics {name}: no run has it{nearest(name, known)} (known: {', '.join(known)})"
            )


if __name__ == "__main__":
    run_main(main)
