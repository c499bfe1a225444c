"""Classify single images with a checkpoint or ONNX models, and print each class's probability."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..artifact.foreign import ForeignModel
from ..core.cells import visible
from ..core.errors import require, run_main
from ..core.options import REQUIRED, Section, flag, parse_options

MOST_SHOWN = 80  # characters of a name


@dataclass(frozen=True)
class Options(Section):
    """prediction"""

    model: Path = flag(
        REQUIRED,
        "checkpoint, ONNX file or folder of ONNX files",
        also=("--checkpoint", "--onnx_model_path"),
    )
    image: tuple[Path, ...] = flag(REQUIRED, "image files")
    tta: Literal["auto", "none", "flips", "dihedral"] = flag(
        "auto",
        "average the probabilities over the flips, or flips and turns, of an image; auto: as "
        "the model's threshold was fitted, else none",
    )
    classes: str = flag(
        "", "comma-separated classes of a model without a contract (default: benign,malignant)"
    )


def main(argv: list[str] | None) -> int:
    """0, or 1 where images could not be predicted."""
    options, foreign = parse_options(argv, __doc__, Options, ForeignModel)
    require(options.model.exists(), f"--model {options.model}: no such file")

    from ..inference.model import SkinLesionPredictor

    classes = options.classes.split(",") if options.classes else None
    predictor = SkinLesionPredictor(options.model, classes, tta=options.tta, **vars(foreign))
    results: Any = predictor.predict(list(options.image))
    for path, found in zip(options.image, results, strict=True):
        if found["reason"]:
            print(f"{visible(path)}: not predicted: {visible(found['reason'], 200)}")
            continue
        print(
            f"{visible(path)}: {_shown(found['predicted_class'])} "
            f"({found['confidence']:.2%}), {_shown(found['predicted_class_description'])}"
        )
        for name, probability in found["probabilities"].items():
            print(f"  {_shown(name)}: {probability:.3f}")
    for model in predictor.predictors:
        if model.words:
            print(model.words)
    print(predictor.contract.notice)
    return 1 if any(found["reason"] for found in results) else 0


def _shown(text: str) -> str:
    return visible(text, MOST_SHOWN)


run = partial(run_main, main)  # the command as an installed program

if __name__ == "__main__":
    run()
