"""Examine which shortcuts an ONNX model takes: edit one thing in each image, and see what changes.

Erases the lesion or the background, draws hair, ruler, ink and dark corners, recolours the
surrounding skin, compresses, blurs, and changes the white balance. Writes `passport.html`, with
examples, and `passport.json`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifact.foreign import ForeignModel
from ..core.errors import require, run_main
from ..core.files import expect_file, expect_folder, make_folder
from ..core.image_files import expert_masks, images_below
from ..core.options import REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """passport"""

    onnx_model_path: Path = flag(REQUIRED, "ONNX file, with a contract or without")
    input_folder: Path = flag(REQUIRED, "folder of dermoscopic images")
    output_dir: Path = flag(REQUIRED, "folder to write to")
    masks: Path | None = flag(
        None, "folder of lesion masks, named after their images (default: lesions are found)"
    )
    classes: tuple[str, ...] = flag(
        (), "class names in the order of the model's outputs, for models without a contract"
    )
    n_images: int = flag(1000, "largest number of images, evenly spaced by name", least=2)
    corrupted_images: int = flag(
        100, "number of images to apply the corruptions of MedMNIST-C to (0: none)", least=0
    )
    tolerance: float = flag(
        0.05,
        "change of the mean probability up to which an artefact is no finding",
        above=0,
        below=1,
    )


def parse(argv: list[str] | None) -> list[Any]:
    return parse_options(argv, __doc__, Options, ForeignModel)


def main(argv: list[str] | None) -> int:
    """0 once the passport is written; 1 where some images could not be read."""
    options, foreign = parse(argv)
    expect_file(options.onnx_model_path, "--onnx_model_path")
    expect_folder(options.input_folder, "--input_folder")
    expect_folder(options.masks, "--masks")
    paths = images_below(options.input_folder)
    step = max(1, len(paths) / options.n_images)
    paths = [paths[int(i * step)] for i in range(min(len(paths), options.n_images))]
    masks = expert_masks(options.masks, paths)

    from ..inference.predictor import OnnxPredictor
    from ..passport.effects import LEAST_FOUND
    from ..passport.examine import effects, examine
    from ..passport.report import write_passport

    predictor = OnnxPredictor(options.onnx_model_path, foreign, options.classes or None)
    folder = make_folder(options.output_dir)
    answers = examine(predictor, paths, masks, options.corrupted_images)
    for failure in answers.failed:
        print(f"left out: {failure}", file=sys.stderr)
    require(bool(answers.names), f"--input_folder {options.input_folder}: no image can be read")
    found = effects(answers, options.tolerance)
    name, contract = options.onnx_model_path.name, predictor.contract
    lines = write_passport(folder, name, contract, answers, found, options.tolerance)
    none = f"no artefact beyond a change of {options.tolerance}"
    if len(answers.names) < LEAST_FOUND:
        none = f"fewer than {LEAST_FOUND} images: no artefact can be reported"
    print("\n".join(lines) or none)
    print(f"{contract.notice}\nwritten to {folder / 'passport.html'}")
    return 1 if answers.failed else 0


if __name__ == "__main__":
    run_main(main)
