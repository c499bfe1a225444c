"""Apply an ONNX model to a folder of images: `image_name,target`; needs no torch."""

import argparse
import csv
import sys
from pathlib import Path

from ..core.errors import UserError, refuse_in_words, run_main
from ..core.files import replacing
from ..inference.predictor import OnnxPredictor, Prediction
from ..preprocess.image import IMAGE_SUFFIXES, list_images


def main(argv: list[str] | None) -> int:
    """0, or 1 where images could not be read."""
    args = parse_args(argv)
    folder, output = Path(args.input_folder), Path(args.output_csv)
    if not folder.is_dir():
        raise UserError(f"--input_folder {folder}: no such folder")
    paths = list_images(folder)
    if not paths:
        raise UserError(f"--input_folder {folder}: no {', '.join(IMAGE_SUFFIXES)} images in it")
    check_writable(output)
    size = (args.image_height, args.image_width) if args.image_height else None
    predictor = OnnxPredictor(find_model(args.onnx_model_path), size, args.classes)
    contract, failed = predictor.contract, []
    names = [f"probability_{name}" for name in contract.classes] if args.probabilities else []
    with replacing(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", "target", *names])
        for prediction in predictor.predict(paths, args.batch_size):
            if prediction.probabilities is None:
                failed.append(prediction)
                continue
            target = contract.decide(prediction.probabilities[None])[0]
            values = [float(p) for p in prediction.probabilities] if args.probabilities else []
            writer.writerow([prediction.path.name, target, *values])
    print(f"{len(paths) - len(failed)} of {len(paths)} images predicted, written to {output}")
    print(f"target: {', '.join(f'{i} {name}' for i, name in enumerate(contract.classes))}")
    print(contract.notice)
    return report_failures(failed)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    refuse_in_words(parser)
    add = parser.add_argument
    add("--onnx_model_path", help="ONNX file; default: the only one in weights/")
    add("--input_folder", "--image_folder", required=True, help="folder of JPEG and PNG images")
    add("--output_csv", required=True, help="CSV to write")
    add("--probabilities", action="store_true", help="add a column of probability for each class")
    add("--batch_size", type=_positive, default=32, help="images at a time (default: 32)")
    add("--image_height", type=_positive, help="input height of a model without a contract")
    add("--image_width", type=_positive, help="input width of a model without a contract")
    add(
        "--classes",
        type=lambda text: tuple(text.split(",")),
        help="comma-separated classes of a model without a contract (default: benign,malignant)",
    )
    args = parser.parse_args(argv)
    if (args.image_height is None) != (args.image_width is None):
        raise UserError("--image_height and --image_width: give both or none")
    return args


def find_model(path: str | None) -> Path:
    """The given model, else the only one in `weights/`."""
    if path:
        return Path(path)
    found = sorted(Path("weights").glob("*.onnx"))
    if len(found) != 1:
        raise UserError(
            f"weights/ holds {len(found)} ONNX files: choose one with --onnx_model_path FILE"
        )
    return found[0]


def check_writable(output: Path) -> None:
    """Raise `UserError` where `output` could not be written, before any work is done."""
    try:
        if output.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output.with_name(f".{output.name}.writable")) as probe:
            probe.touch()
        output.with_name(f".{output.name}.writable").unlink()
    except OSError as error:
        raise UserError(f"--output_csv {output}: cannot be written ({error.strerror})") from None


def report_failures(failed: list[Prediction]) -> int:
    """List what could not be read on stderr; the exit code."""
    for prediction in failed:
        name = prediction.path.name.encode(errors="backslashreplace").decode()
        print(f"not predicted: {name}: {prediction.reason}", file=sys.stderr)
    return 1 if failed else 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def run() -> None:
    """The command as an installed program."""
    run_main(main)


if __name__ == "__main__":
    run()
