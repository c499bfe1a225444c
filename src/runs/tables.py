"""Tables of runs as files: as CSV with all digits, as Markdown and LaTeX to read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.cells import csv_text
from ..core.errors import UserError, nearest
from ..core.files import write_text
from ..evaluation.measure import spread_of
from ..evaluation.metrics import METRICS, MONITORED, title_of
from ..report.text_tables import UNDEFINED, Cell, Table, markdown_text, to_latex, to_markdown
from .results import COUNTS, DIGESTS, Result, over_seeds

_TEXTS: tuple[str, ...] = ("run", "model", "objective", "seed", "split", "rows")
_TEXTS += ("epochs", "best_epoch", "n", "n_positive")
_SHOWN_DIGITS = 8  # of a digest


def results_frame(results: list[Result], metrics: Sequence[str]) -> pd.DataFrame:
    """A line for each run; what is undefined or unknown is NaN or None."""
    groups = groups_of(results)
    return pd.DataFrame([_line(result, metrics, groups) for result in results], dtype=object)


def _line(result: Result, metrics: Sequence[str], groups: list[str]) -> dict:
    settings = {key: result.setting(key) or None for key in ("objective", "seed")}
    line: dict[str, Any] = {
        "run": result.name,
        "model": result.model,
        **settings,
        "split": result.split,
    }
    line |= {name: getattr(result, name) or None for name in DIGESTS}
    line |= {"epochs": result.n_epochs, "best_epoch": result.best_epoch}
    line |= {name: result.metrics.get(name) for name in ("n", "n_positive", *metrics)}
    for group in groups:
        sensitivity, n_positive = result.groups.get(group, (None, None))
        line |= {f"sensitivity {group}": sensitivity, f"n_positive {group}": n_positive}
    return line


def groups_of(results: list[Result]) -> list[str]:
    """The groups that any run knows, `unknown` last."""
    names = dict.fromkeys(name for result in results for name in result.groups)
    return sorted(names, key="unknown".__eq__)


def results_table(results: list[Result], metrics: Sequence[str]) -> Table:
    """A row for each run; the best of those evaluated on the same rows is marked.

    What is told of tone groups is compared between runs with the same groups only.
    """
    frame, groups = results_frame(results, metrics), groups_of(results)
    frame["rows"] = frame["rows_digest"].str[:_SHOWN_DIGITS]
    columns = {title_of(name): [Cell(_text(value)) for value in frame[name]] for name in _TEXTS}
    for name in metrics:
        key = "rows_digest" if name in METRICS else "groups_digest"
        best = _best(frame, name, MONITORED.get(name), key)
        columns[title_of(name)] = list(map(Cell, map(_number, frame[name]), best))
    for group in groups:
        sensitivity, counts = frame[f"sensitivity {group}"], frame[f"n_positive {group}"]
        texts = [_sensitivity_text(*pair) for pair in zip(sensitivity, counts, strict=True)]
        columns[f"sensitivity {group}"] = list(
            map(Cell, texts, _best(frame, sensitivity.name, True, "groups_digest"))
        )
    caption = (
        "Runs; bold is the best of those evaluated on the same images, labels and split (equal "
        "rows), where they differ. Sensitivity by group with the number of positive images."
    )
    return Table(caption, [*columns], [list(row) for row in zip(*columns.values(), strict=True)])


def _best(frame: pd.DataFrame, name: str, is_better_higher: bool | None, key: str) -> list[bool]:
    """Whether each line is the best of those with the same `key`; of equal lines none."""
    if is_better_higher is None:
        return [False] * len(frame)
    values = frame[name].astype(float) * (1 if is_better_higher else -1)
    comparable = values.groupby(frame[key])  # lines without a key are in no group
    best, worst = comparable.transform("max"), comparable.transform("min")
    return ((values == best) & (best > worst)).tolist()


def spread_frame(groups: list[list[Result]], metrics: Sequence[str]) -> pd.DataFrame:
    """A line for each group of runs: mean, sd (n − 1) and n of each metric, defined ones."""
    lines = [
        _alike(runs)
        | {
            f"{name}_{key}": of[key]
            for name, of in _spread(runs, metrics).items()
            for key in ("mean", "sd", "n")
        }
        for runs in groups
    ]
    return pd.DataFrame(lines, dtype=object)


def spread_table(groups: list[list[Result]], metrics: Sequence[str]) -> Table:
    """A row for each group of runs that differ in their seeds alone: mean ± standard deviation."""
    lines = [
        {title_of(name): _text(value) for name, value in _alike(runs).items()}
        | {
            title_of(name): _spread_text(of, len(runs))
            for name, of in _spread(runs, metrics).items()
        }
        for runs in groups
    ]
    headings = list(dict.fromkeys(name for line in lines for name in line))
    rows = [[Cell(line.get(name, UNDEFINED)) for name in headings] for line in lines]
    caption = "Mean ± standard deviation (n − 1) over runs that differ in their seeds alone."
    return Table(caption, headings, rows)


def _alike(runs: list[Result]) -> dict:
    first, seeds = runs[0], ", ".join(run.setting("seed") for run in runs)
    line = {"runs": ", ".join(run.name for run in runs), "model": first.model}
    line |= {"objective": first.setting("objective"), "split": first.split}
    return line | {"n_runs": len(runs), "seeds": seeds}


def _spread(runs: list[Result], metrics: Sequence[str]) -> dict[str, dict]:
    values = [
        {name: run.metrics.get(name) for name in metrics}
        | {f"sensitivity {name}": run.groups.get(name, (None, 0))[0] for name in groups_of(runs)}
        for run in runs
    ]
    return spread_of(values)


def _spread_text(of: dict, n_runs: int) -> str:
    """Mean ± sd, and of how many runs where not all; without the sd of a single one."""
    if not of["n"]:
        return UNDEFINED
    sd = f" ± {of['sd']:.3f}" if of["n"] > 1 else ""
    return f"{of['mean']:.3f}{sd}" + (f" ({of['n']} of {n_runs})" if of["n"] < n_runs else "")


def _number(value: float | None) -> str:
    return UNDEFINED if value is None or np.isnan(value) else f"{value:.3f}"


def _sensitivity_text(sensitivity: float | None, n_positive: int | None) -> str:
    return _number(sensitivity) + ("" if n_positive is None else f" (n={n_positive})")


def _text(value: object) -> str:
    return UNDEFINED if value is None or value == "" else str(value)


def write_tables(results: list[Result], metrics: Sequence[str], folder: Path) -> str:
    """The tables as Markdown, once they are in `folder` in every format."""
    groups = over_seeds(results)
    tables = [results_table(results, metrics)]
    write_text(folder / "results.csv", csv_text(results_frame(results, metrics)))
    spread_path = folder / "results_over_seeds.csv"
    spread_path.unlink(missing_ok=True)  # of other runs
    if groups:
        tables.append(spread_table(groups, metrics))
        write_text(spread_path, csv_text(spread_frame(groups, metrics)))
    markdown = "\n".join([*map(to_markdown, tables), *_not_compared(results)])
    write_text(folder / "results.md", markdown)
    write_text(folder / "results.tex", "\n".join(map(to_latex, tables)))
    return markdown


def _not_compared(results: list[Result]) -> list[str]:
    """A line on the runs that do not state which rows they were evaluated on, if there are any."""
    names = [markdown_text(result.name) for result in results if not result.rows_digest]
    told = "Not compared, since they do not state their rows (written by an earlier version)"
    return [f"{told}: {', '.join(names)}.\n"] if names else []


def check_metrics(metrics: Sequence[str], results: list[Result]) -> None:
    """Raise `UserError` for a metric that no run has, where runs have any."""
    known = sorted({name for result in results for name in result.metrics} - {*COUNTS})
    for name in metrics:
        if known and name not in known:
            raise UserError(
                f"--metrics {name}: no run has it{nearest(name, known)} (known: {', '.join(known)})"
            )
