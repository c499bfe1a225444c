"""Fit a temperature on the validation rows, report its effect on the test rows, write the model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import run_main
from ..core.files import expect_file
from ..core.flags import parse_evaluation, resolve
from ..core.options import REQUIRED, Section, flag


@dataclass(frozen=True)
class Options(Section):
    """calibration"""

    onnx_model_path: Path = flag(REQUIRED, "exported model, evaluated on the data it is from")
    write_model: Path | None = flag(None, "ONNX file to write: the model with the temperature")


def parse(argv: list[str] | None) -> list[Any]:
    """The settings that are given and the options."""
    return parse_evaluation(argv, __doc__, Options, task="a calibration")


def main(argv: list[str] | None) -> None:
    """None once the report of `melanoma_eval.py --calibration temperature` is written."""
    given, options = parse(argv)
    resolve({name: text for name, text in given.items() if name != "print_config"})
    expect_file(options.onnx_model_path, "--onnx_model_path")

    from ..evaluator.flags import CsvColumns, EvaluationOptions, Source, check_written_model
    from ..evaluator.run import run_evaluation

    source = Source(onnx_model_path=str(options.onnx_model_path))
    evaluation = EvaluationOptions(
        calibration="temperature", write_model=str(options.write_model or "")
    )
    check_written_model(source, evaluation)
    print(run_evaluation(given, source, evaluation, CsvColumns()))


if __name__ == "__main__":
    run_main(main)
