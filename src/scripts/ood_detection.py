"""Measure how well a model tells out-of-distribution images from those of its kind."""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import require, run_main
from ..core.files import expect_file, expect_folder
from ..core.image_files import list_images
from ..core.options import REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """out-of-distribution detection"""

    onnx_model_path: Path = flag(REQUIRED, "model that fit_trust has written")
    input_folder: Path = flag(REQUIRED, "folder of images of the model's kind")
    strange_folder: Path = flag(REQUIRED, "folder of other images")
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


def main(argv: list[str] | None) -> None:
    """None once the figures are printed."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.onnx_model_path, "--onnx_model_path")
    files = {}
    for name in ("input_folder", "strange_folder"):
        folder = getattr(options, name)
        expect_folder(folder, f"--{name}")
        found = list_images(folder, options.recursive)
        require(len(found) > 1, f"--{name} {folder}: expected images; found {len(found)}")
        files[name] = found[:: max(1, len(found) // options.n_images)][: options.n_images]

    from ..inference.predictor import OnnxPredictor
    from ..inference.strangeness import measure_strangeness

    predictor = OnnxPredictor(options.onnx_model_path)
    known, strange = files.values()
    for line in measure_strangeness(predictor, known, strange, options.side, options.quality):
        print(line)


if __name__ == "__main__":
    run_main(main)
