"""`run_evaluation`: from the flags of `melanoma_eval.py` to a report in a folder."""

from pathlib import Path
from typing import Any

from ..engine.evaluate import report_folder
from ..engine.log import log_to_console
from ..evaluation.evaluate import Fits, evaluate_model
from ..report.files import evaluation_summary, write_evaluation
from .flags import CsvColumns, EvaluationOptions, Source
from .inputs import Inputs
from .model_writer import write_model


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
    summary = f"{evaluation_summary(evaluation)}\nwritten to {folder}"
    if options.write_model:
        target = Path(options.write_model)
        contract = write_model(source.kind, source.path, target, model, evaluation)
        told = f"temperature {contract.temperature:.4g}, decision rule {contract.rule}"
        summary += f"\n{target}: {told}"
    return summary
