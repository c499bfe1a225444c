"""Fit the gate of out-of-distribution images, and measure how well it tells them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import require, run_main
from ..core.files import expect_file, expect_folder
from ..core.flags import parse_evaluation, resolve
from ..core.image_files import evenly, list_images
from ..core.options import REQUIRED, Section, flag


@dataclass(frozen=True)
class Options(Section):
    """out-of-distribution detection"""

    onnx_model_path: Path = flag(
        REQUIRED, "model that fit_trust has written; with --fit, an exported one"
    )
    fit: bool = flag(
        False,
        "first fit what fit_trust fits, with its defaults, on the data that the model is from",
    )
    write_model: Path | None = flag(None, "ONNX file to write with --fit")
    input_folder: Path | None = flag(None, "folder of images of the model's kind")
    strange_folder: Path | None = flag(None, "folder of other images")
    recursive: bool = flag(False, "also the images in their subfolders")
    side: int = flag(
        224,
        "longer side in pixels that all images are brought to, so that none is told by its size",
        least=32,
        most=4096,
    )
    quality: int = flag(
        80,
        "JPEG quality that all images are brought to, so that none is told by it",
        least=1,
        most=100,
    )
    n_images: int = flag(1000, "images to take from each folder, evenly by name", least=10)


def parse(argv: list[str] | None) -> list[Any]:
    """The settings that are given and the options."""
    return parse_evaluation(argv, __doc__, Options, task="what is fitted")


def main(argv: list[str] | None) -> None:
    """None once the model is written and the figures are printed."""
    given, options = parse(argv)
    given = {name: text for name, text in given.items() if name != "print_config"}
    resolve(given)
    expect_file(options.onnx_model_path, "--onnx_model_path")
    model, files = options.onnx_model_path, []
    if options.input_folder or options.strange_folder or not options.fit:
        names = ("input_folder", "strange_folder")
        files = [_images(getattr(options, name), f"--{name}", options) for name in names]
    if options.fit:
        require(options.write_model is not None, "--write_model: expected a file with --fit")
        from ..safety.fit import fit_trust
        from ..safety.options import TrustOptions

        model = options.write_model
        wanted = TrustOptions(onnx_model_path=options.onnx_model_path, write_model=model)
        print(f"{fit_trust(given, wanted)}\nwritten to {model}")
    else:
        needless = [f"--{name}" for name, text in given.items() if text]
        require(not needless, f"{', '.join(needless)}: expected with --fit")
        require(options.write_model is None, "--write_model: expected with --fit")
    if files:
        from ..inference.predictor import OnnxPredictor
        from ..inference.strangeness import measure_strangeness

        predictor = OnnxPredictor(model)
        known, strange = files
        for line in measure_strangeness(predictor, known, strange, options.side, options.quality):
            print(line)


def _images(folder: Path | None, name: str, options: Options) -> list[Path]:
    """Images of a folder, evenly by name, as many as are wanted."""
    require(folder is not None, f"{name}: expected a folder of images (see --help)")
    expect_folder(folder, name)
    found = list_images(folder, options.recursive)
    require(len(found) > 1, f"{name} {folder}: expected images; found {len(found)}")
    return evenly(found, options.n_images)


if __name__ == "__main__":
    run_main(main)
