"""Time a prediction: preprocessing against a plain recipe, all of it against the model alone."""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import run_main
from ..core.files import expect_file
from ..core.image_files import ImageFolder, images_below
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options(ImageFolder):
    """benchmark"""

    onnx_model_path: Path = flag(REQUIRED, "ONNX file with a contract")
    n_images: int = flag(200, "images to predict in each round", least=1)
    n_rounds: int = flag(5, "rounds, of which the median counts", least=1)


def main(argv: list[str] | None) -> None:
    """None once the times are printed."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.onnx_model_path, "--onnx_model_path")
    paths = images_below(options.folder)[: options.n_images]

    from ..timing.prediction import time_prediction

    print("median (least to most)")
    print("\n".join(time_prediction(options.onnx_model_path, paths, options.n_rounds)))


if __name__ == "__main__":
    run_main(main)
