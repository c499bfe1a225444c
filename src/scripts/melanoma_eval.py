"""Evaluate a model or a predictions file, overall and by group; compare it with a second model."""

from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import nearest, require, run_main
from ..core.files import expect_file, expect_folder, expect_output_folder
from ..core.flags import parse_evaluation, resolve
from ..evaluator.flags import CsvColumns, EvaluationOptions, Source, check_written_model

_OWN = {f.name for f in fields(EvaluationOptions)}


def parse(argv: list[str] | None) -> list[Any]:
    """Settings of the model may be given, and must be those that it has."""
    sections = Source, CsvColumns, EvaluationOptions
    # --cielab is there of ONNX models
    return parse_evaluation(argv, __doc__, *sections, task="an evaluation", own=_OWN)


def main(argv: list[str] | None) -> None:
    given, source, columns, options = parse(argv)
    resolve({name: text for name, text in given.items() if name != "print_config"})
    check_paths(given, source, options)
    check_rules(options)

    from ..evaluator.run import run_evaluation

    if summary := run_evaluation(given, source, options, columns):
        print(summary)


def check_paths(given: dict[str, Any], source: Source, options: EvaluationOptions) -> None:
    """Raise `UserError` for a path on the command line that is not what it should be."""
    check_written_model(source, options)
    paths = [path for path in (source.path, options.compare) if path]
    for name, path in ((source.kind, source.path), ("compare", options.compare)):
        require(not path or Path(path).exists(), f"--{name} {path}: no such file")
    is_onnx = [Path(path).suffix.lower() == ".onnx" or Path(path).is_dir() for path in paths]
    needless = ", ".join(options.given)
    require(any(is_onnx) or not needless, f"{needless}: expected with ONNX models only")
    expect_file(options.metadata_csv, "--metadata_csv")
    expect_file(options.valid_predictions_csv, "--valid_predictions_csv")
    expect_file(given.get("skin_color_csv"), "--skin_color_csv")
    expect_folder(options.image_folder, "--image_folder")
    if "output_dir" in given:
        expect_output_folder(given["output_dir"], "--output_dir")


def check_rules(options: EvaluationOptions) -> None:
    """Raise `UserError` for an unknown rule or metric, having imported its registry alone."""
    if options.threshold:
        from ..evaluation.thresholds import THRESHOLDS

        THRESHOLDS.resolve(options.threshold)
    if options.calibration:
        from ..evaluation.calibration import CALIBRATIONS

        CALIBRATIONS.resolve(options.calibration)
    if options.table_metrics:
        from ..evaluation.metrics import METRICS

        for name in options.table_metrics:
            hint, known = nearest(name, METRICS), ", ".join(METRICS)
            require(
                name in METRICS, f"--table_metrics {name}: no such metric{hint} (known: {known})"
            )


run = partial(run_main, main)  # the command as an installed program

if __name__ == "__main__":
    run()
