"""`run_evaluation`: from the flags of `melanoma_eval.py` to a report in a folder."""

from pathlib import Path
from typing import Any

from ..core.cells import csv_text
from ..core.files import make_folder, write_text
from ..engine.evaluate import report_name
from ..engine.log import log_to_console
from ..evaluation.evaluate import EvaluatedModel, Fits, evaluate_model
from ..report.files import write_evaluation
from ..report.folder import require_new, write_folder
from ..report.paper_table import IN_PAPER
from ..report.summary import evaluation_summary
from .case_details import with_case_details
from .flags import CsvColumns, EvaluationOptions, Source
from .inputs import Inputs, Opened
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
    run = inputs.config().run
    if run.run_name:
        require_new(Path(run.output_dir) / run.run_name)
    log_to_console()
    opened = inputs.open(source.kind, source.path)
    other = inputs.open_other() if options.compare else None
    if opened is None or (options.compare and other is None):
        return ""
    fits = Fits(options.calibration, options.threshold, options.group_thresholds)
    found = [
        _evaluated(inputs, opened, other, by_lesion, fits)
        for by_lesion in ([True, False] if options.aggregate == "lesion" else [False])
    ]
    model, evaluation = found[0]
    place = report_name(opened.cfg, Path(source.path), "eval")

    def write(into: Path) -> None:
        for name, of in zip((".", "per_image"), found, strict=False):
            write_evaluation(make_folder(into / name), *of, options.table_metrics or IN_PAPER)
        for name, rows in opened.lists.items():
            write_text(into / name, csv_text(rows))

    folder = write_folder(*place, write)
    summary = f"{evaluation_summary(evaluation)}\nwritten to {folder}"
    for _, of_images in found[1:]:
        summary = f"by image:\n{evaluation_summary(of_images)}\n\nby lesion:\n{summary}"
    if options.write_model:
        target = Path(options.write_model)
        contract = write_model(source.kind, source.path, target, model, evaluation)
        told = f"temperature {contract.temperature:.4g}, decision rule {contract.rule}"
        summary += f"\n{target}: {told}"
    return summary


def _evaluated(
    inputs: Inputs, opened: Opened, other: Opened | None, by_lesion: bool, fits: Fits
) -> tuple[EvaluatedModel, dict[str, Any]]:
    """The evaluation of images or of lesions, beside that of the `other` model if there is one."""
    model, second = (of and (of.by_lesion if by_lesion else of.model) for of in (opened, other))
    detailed = with_case_details(model, opened.known or inputs.metadata(opened.cfg))
    groupings = inputs.groupings(opened._replace(model=model))
    return evaluate_model(detailed, groupings, inputs.settings(), fits, second)
