"""Classify a folder of images with ONNX models and write a CSV (no PyTorch needed)."""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..artifact.foreign import ForeignModel
from ..core.cells import visible
from ..core.classes import require_class_names
from ..core.errors import require, run_main
from ..core.files import check_output, expect_folder
from ..core.image_files import IMAGE_SUFFIXES, describe_left_out, left_out, list_images
from ..core.options import REQUIRED, Section, flag, parse_options
from ..explanation.options import Explanations
from ..inference.hub import HubModel

if TYPE_CHECKING:
    from ..inference.model import Model

WEIGHTS = Path("weights")
MOST_SHOWN = 80  # characters of a name


@dataclass(frozen=True)
class Options(Section):
    """prediction"""

    onnx_model_path: Path | None = flag(
        None,
        "ONNX file, or a folder of ONNX files: an ensemble, whose probabilities are averaged "
        f"(default: the only file in ./{WEIGHTS})",
    )
    input_folder: Path = flag(REQUIRED, "folder of images", also=("--image_folder",))
    recursive: bool = flag(False, "also predict the images in its subfolders")
    output_csv: Path = flag(REQUIRED, "CSV to write")
    probabilities: bool = flag(False, "add a column with the probability of each class")
    batch_size: int = flag(32, "images per batch", least=1)
    classes: str = flag(
        "", "comma-separated classes of a model without a contract (default: benign,malignant)"
    )


def parse(argv: list[str] | None) -> list[Any]:
    """The options, what is said of a model without a contract, explanations, and the hub."""
    return parse_options(argv, __doc__, Options, ForeignModel, Explanations, HubModel)


def main(argv: list[str] | None) -> int:
    """0, or 1 where images could not be predicted."""
    options, foreign, explanations, hub = parse(argv)
    classes = tuple(options.classes.split(",")) if options.classes else None
    if classes:
        classes = require_class_names(classes, "--classes")
    folder = options.input_folder
    expect_folder(folder, "--input_folder")
    explanations.check(folder)
    paths = list_images(folder, options.recursive)
    others = _left_out(folder, options.recursive)
    suffixes = ", ".join(IMAGE_SUFFIXES)
    found = f" ({others})" if others else ""
    require(bool(paths), f"--input_folder {folder}: no {suffixes} images in it{found}")
    path = find_model(hub.or_given(options.onnx_model_path))
    output = options.output_csv
    check_output(output, path, *path.glob("*.onnx"), *paths)

    from ..inference.model import Model
    from ..inference.predictor import write_predictions

    if explanations.given:
        from ..explanation.folder import explain_predictions, open_explainable

        explained = open_explainable(path, explanations.given)
    model = Model(path, foreign, classes)
    with_probability = model.contract.classes if options.probabilities else ()
    predictions = model.each(paths, options.batch_size)
    names_in = folder if options.recursive else None
    failed = write_predictions(predictions, model.contract, with_probability, output, names_in)
    if explanations.given:
        named = {path.relative_to(folder).as_posix(): path for path in paths}
        explain_predictions(explained, output, named, int, explanations)
    _tell(model, len(paths) - len(failed), len(paths), output)
    if others:
        print(others, file=sys.stderr)
    for prediction in failed:
        name = _shown(prediction.path.relative_to(folder).as_posix())
        print(f"not predicted: {name}: {visible(prediction.reason, 200)}", file=sys.stderr)
    return 1 if failed else 0


def find_model(path: Path | None) -> Path:
    """The given file or folder, else the only file in `WEIGHTS`."""
    if path:
        is_there = path.is_file() or path.is_dir()
        found = "found a pipe or device" if path.exists() else "no such file"
        expected = "expected an ONNX file or a folder of them"
        require(is_there, f"--onnx_model_path {path}: {expected}; {found}")
        return path
    files = sorted(WEIGHTS.glob("*.onnx"))
    require(
        len(files) == 1,
        f"./{WEIGHTS} holds {len(files)} ONNX files: choose one with --onnx_model_path FILE",
    )
    return files[0]


def _tell(model: "Model", n_predicted: int, n_images: int, output: Path) -> None:
    """Print what was done, and what the numbers in the CSV are."""
    contract = model.contract
    print(f"{n_predicted} of {n_images} images predicted, written to {visible(output)}")
    for predictor in model.predictors:
        if predictor.words:
            print(predictor.words)
    if len(model.predictors) > 1:
        print(f"ensemble: mean probabilities of {len(model.predictors)} models")
    classes = (f"{number} {_shown(name)}" for number, name in enumerate(contract.classes))
    print(f"target: {', '.join(classes)}")
    print(f"decision rule: {visible(contract.rule, 200)}")
    if contract.rule.name == "thresholds_by_group":
        told = contract.provenance.get("tone_source") or "not recorded"
        print(f"tone groups of its training: {visible(told, 300)}")
    print(contract.notice)


def _left_out(folder: Path, recursive: bool) -> str:
    """What of a folder is not predicted, in a sentence; empty where there is nothing."""
    names = left_out(folder, recursive)
    is_image = (name.lower().endswith(IMAGE_SUFFIXES) for name in names)
    hint = "; give --recursive to predict those in subfolders" if any(is_image) else ""
    return f"{describe_left_out(names)}{hint}" if names else ""


def _shown(text: str) -> str:
    return visible(text, MOST_SHOWN)


run = partial(run_main, main)  # the command as an installed program

if __name__ == "__main__":
    run()
