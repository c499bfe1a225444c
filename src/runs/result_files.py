"""The tables of runs as files: `results.csv`, `.md` and `.tex`, and `results_over_seeds.csv`."""

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import UserError, nearest
from ..core.files import write_text
from .results import COUNTS, Result, over_seeds
from .tables import results_frame, results_table, spread_frame, spread_table, to_latex, to_markdown


def write_tables(results: list[Result], metrics: Sequence[str], folder: Path) -> str:
    """The tables as Markdown, once they are in `folder` in every format."""
    groups = over_seeds(results)
    tables = [results_table(results, metrics)]
    write_text(folder / "results.csv", results_frame(results, metrics).to_csv(index=False))
    spread_path = folder / "results_over_seeds.csv"
    spread_path.unlink(missing_ok=True)  # of other runs
    if groups:
        tables.append(spread_table(groups, metrics))
        write_text(spread_path, spread_frame(groups, metrics).to_csv(index=False))
    markdown = "\n".join(map(to_markdown, tables))
    write_text(folder / "results.md", markdown)
    write_text(folder / "results.tex", "\n".join(map(to_latex, tables)))
    return markdown


def check_metrics(metrics: Sequence[str], results: list[Result]) -> None:
    """Raise `UserError` for a metric that no run has, where runs have any."""
    known = sorted({name for result in results for name in result.metrics} - {*COUNTS})
    for name in metrics:
        if known and name not in known:
            raise UserError(
                f"--metrics {name}: no run has it{nearest(name, known)} (known: {', '.join(known)})"
            )
