"""Watch whether a model still holds: compare a day's images, and later outcomes, with a reference.

With --reference and --write_model, first write a copy of the model whose contract describes the
images of a folder. Then, day by day, --input_folder compares images without labels, and --outcomes
tests the sensitivity of each tone group as diagnoses arrive. False alarms stay below 5 %, for the
images and for each watch of outcomes, however often one looks. No PyTorch needed; no image is kept.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import require, run_main
from ..core.files import check_output, expect_file, expect_folder
from ..core.image_files import images_below
from ..core.options import REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """watch"""

    onnx_model_path: Path = flag(REQUIRED, "ONNX file with a contract")
    reference: Path | None = flag(None, "folder of images to describe in --write_model")
    write_model: Path | None = flag(None, "file to write the model with its reference to")
    input_folder: Path | None = flag(None, "folder of the day's images")
    outcomes: Path | None = flag(
        None, "CSV image_name,target,label[,group]: decisions, and diagnoses that have arrived"
    )
    state: Path | None = flag(None, "JSON file that the watch keeps between calls")
    least_sensitivity: float | None = flag(
        None,
        "sensitivity below which to raise an alarm (default: lower end of the reference's 95 % CI)",
        above=0,
        below=1,
    )

    def __post_init__(self):
        super().__post_init__()
        is_written = self.reference is not None
        require(
            is_written == (self.write_model is not None),
            "--reference and --write_model: expected both, or none of them",
        )
        require(
            is_written or bool(self.input_folder or self.outcomes),
            "expected --input_folder or --outcomes, or --reference to begin with",
        )
        require(
            not is_written or not (self.input_folder or self.state),
            "--reference: expected without --input_folder and --state, which compare with it",
        )
        require(is_written or self.state is not None, "--state: expected a file to keep the watch")


def main(argv: list[str] | None) -> int:
    """0 where nothing has changed; 1 for an alarm, and where some images could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.onnx_model_path, "--onnx_model_path")
    expect_file(options.outcomes, "--outcomes")
    expect_folder(options.reference, "--reference")
    expect_folder(options.input_folder, "--input_folder")

    for path in (options.write_model, options.state):
        if path:
            inputs = [path for path in (options.onnx_model_path, options.outcomes) if path]
            check_output(path, *inputs)

    from ..inference.predictor import OnnxPredictor

    predictor = OnnxPredictor(options.onnx_model_path)
    require(
        not predictor.is_foreign,
        f"{options.onnx_model_path}: holds no contract; expected an exported model",
    )
    return _describe(options, predictor) if options.reference else _compare(options, predictor)


def _describe(options: Options, predictor) -> int:
    from ..watch.compare import read_outcomes, sensitivities_of
    from ..watch.reference import measure, reference_of
    from ..watch.write import write_reference

    outcomes = [read_outcomes(options.outcomes, predictor.contract)] if options.outcomes else []
    found = measure(predictor, images_below(options.reference))
    _tell(found.failed)
    reference = reference_of(found, [s for one in outcomes for s in sensitivities_of(one)])
    write_reference(options.onnx_model_path, predictor, reference, options.write_model)
    print(f"{reference.n} images described in {options.write_model}")
    return 1 if found.failed else 0


def _compare(options: Options, predictor) -> int:
    from ..watch.compare import compare_day, count_outcomes, read_outcomes
    from ..watch.reference import measure, reference_from_json
    from ..watch.state import read_state, write_state

    contract = predictor.contract
    reference = reference_from_json(contract.reference, str(options.onnx_model_path))
    state = read_state(options.state, reference)
    lines: list[str] = []
    failed: list[str] = []
    is_alarm = False
    if options.outcomes:
        outcomes = read_outcomes(options.outcomes, contract)
        least = options.least_sensitivity
        state, lines, is_alarm = count_outcomes(reference, state, outcomes, least)
    if options.input_folder:
        found = measure(predictor, images_below(options.input_folder))
        failed = found.failed
        _tell(failed)
        state, told = compare_day(reference, state, found)
        lines = [*told, *lines]
        is_alarm = is_alarm or state.days[-1].is_alarm
    write_state(options.state, state)
    print("\n".join([*lines, contract.notice]))
    return 1 if is_alarm or failed else 0


def _tell(failed: list[str]) -> None:
    for failure in failed:
        print(f"left out: {failure}", file=sys.stderr)


if __name__ == "__main__":
    run_main(main)
