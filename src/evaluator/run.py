"""`run_evaluation`: from the flags of `melanoma_eval.py` to a report in a folder."""

from pathlib import Path
from typing import Any

import pandas as pd

from ..core.cells import guarded
from ..core.files import write_text
from ..engine.evaluate import report_folder
from ..engine.log import log_to_console
from ..evaluation.evaluate import Fits, evaluate_model
from ..report.files import evaluation_summary, write_evaluation
from .flags import CsvColumns, EvaluationOptions, Source
from .inputs import Inputs
from .model_writer import write_model

LISTS = ("overlap.csv", "unlabelled.csv")


def run_evaluation(
    given: dict[str, Any], source: Source, options: EvaluationOptions, columns: CsvColumns
) -> str:
    """A summary of the report that is written on the source, empty in processes that only help.

    `given` are settings of the trainer as text. Raises `UserError` for what is wrong with them or
    with the files that they name.
    """
    inputs = Inputs(given, options, columns)
    inputs.check(source.kind, source.path)
    log_to_console()
    opened = inputs.open(source.kind, source.path)
    other = inputs.open_other() if options.compare else None
    if opened is None or (options.compare and other is None):
        return ""
    model, evaluation = evaluate_model(
        opened.model,
        inputs.groupings(opened),
        inputs.settings(),
        Fits(options.calibration, options.threshold, options.group_thresholds),
        other.model if other else None,
    )
    folder = report_folder(opened.cfg, Path(source.path), "eval")
    write_evaluation(folder, model, evaluation)
    for name in LISTS:
        (folder / name).unlink(missing_ok=True)  # of an earlier evaluation
    for name, rows in opened.lists.items():
        write_text(folder / name, guarded_rows(rows).to_csv(index=False))
    summary = f"{evaluation_summary(evaluation)}\nwritten to {folder}"
    if options.write_model:
        target = Path(options.write_model)
        contract = write_model(source.kind, source.path, target, model, evaluation)
        told = f"temperature {contract.temperature:.4g}, decision rule {contract.rule}"
        summary += f"\n{target}: {told}"
    return summary


def guarded_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as spreadsheets may open them."""
    return rows.map(lambda cell: guarded(cell) if isinstance(cell, str) else cell)
