"""Classify a folder of images with an ONNX model and write a CSV (no PyTorch needed)."""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..core.errors import UserError, require, run_main
from ..core.files import check_output, expect_file, expect_folder
from ..core.image_files import IMAGE_SUFFIXES, list_images
from ..core.options import REQUIRED, Section, flag, parse_options

WEIGHTS = Path("weights")


@dataclass(frozen=True)
class Options(Section):
    """prediction"""

    onnx_model_path: Path | None = flag(None, f"ONNX file (default: the only one in ./{WEIGHTS})")
    input_folder: Path = flag(REQUIRED, "folder of JPEG and PNG images", also=("--image_folder",))
    output_csv: Path = flag(REQUIRED, "CSV to write")
    probabilities: bool = flag(False, "add a column with the probability of each class")
    batch_size: int = flag(32, "images per batch", least=1)
    image_height: int | None = flag(None, "input height of a model without a contract", least=1)
    image_width: int | None = flag(None, "input width of a model without a contract", least=1)
    classes: str = flag(
        "", "comma-separated classes of a model without a contract (default: benign,malignant)"
    )

    def __post_init__(self):
        super().__post_init__()
        fits = (self.image_height is None) == (self.image_width is None)
        require(fits, "--image_height and --image_width: give both or neither")


def main(argv: list[str] | None) -> int:
    """0, or 1 where images could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_folder(options.input_folder, "--input_folder")
    paths = list_images(options.input_folder)
    if not paths:
        suffixes = ", ".join(IMAGE_SUFFIXES)
        raise UserError(f"--input_folder {options.input_folder}: no {suffixes} images in it")
    model = find_model(options.onnx_model_path)
    check_output(options.output_csv, model, *paths)

    from ..inference.predictor import OnnxPredictor, write_predictions

    size = (options.image_height, options.image_width) if options.image_height else None
    classes = tuple(options.classes.split(",")) if options.classes else None
    predictor = OnnxPredictor(model, size, classes)
    contract = predictor.contract
    with_probability = contract.classes if options.probabilities else ()
    predictions = predictor.predict(paths, options.batch_size)
    failed = write_predictions(predictions, contract, with_probability, options.output_csv)
    n_predicted = len(paths) - len(failed)
    print(f"{n_predicted} of {len(paths)} images predicted, written to {options.output_csv}")
    print(f"target: {', '.join(f'{i} {name}' for i, name in enumerate(contract.classes))}")
    print(f"decision rule: {contract.rule}")
    print(contract.notice)
    for prediction in failed:
        name = prediction.path.name.encode(errors="backslashreplace").decode()
        print(f"not predicted: {name}: {prediction.reason}", file=sys.stderr)
    return 1 if failed else 0


def find_model(path: Path | None) -> Path:
    """The given model, else the only one in `WEIGHTS`."""
    expect_file(path, "--onnx_model_path")
    found = [path] if path else sorted(WEIGHTS.glob("*.onnx"))
    require(
        len(found) == 1,
        f"./{WEIGHTS} holds {len(found)} ONNX files: choose one with --onnx_model_path FILE",
    )
    return found[0]


run = partial(run_main, main)  # the command as an installed program

if __name__ == "__main__":
    run()
