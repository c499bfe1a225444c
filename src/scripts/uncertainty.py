"""How unsure a model is of images: entropy, and what passes with dropout disagree about."""

import sys
from dataclasses import dataclass
from pathlib import Path

from ..core.cells import visible
from ..core.errors import run_main
from ..core.files import expect_file
from ..core.options import REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """uncertainty"""

    onnx_model_path: Path = flag(
        REQUIRED, "model trained with --dropout, that fit_trust has written"
    )
    image: tuple[Path, ...] = flag(REQUIRED, "image files", also=("--images",), metavar="FILE")
    passes: int = flag(30, "passes with dropout", least=2, most=1000)


def main(argv: list[str] | None) -> int:
    """0, or 1 where an image could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.onnx_model_path, "--onnx_model_path")

    from ..inference.predictor import OnnxPredictor
    from ..inference.trust import predict_with_trust

    predictor, failed = OnnxPredictor(options.onnx_model_path), 0
    for found in predict_with_trust(predictor, options.image, n_passes=options.passes):
        name, answer = visible(found.name, 80), found.answer
        if answer is None:
            failed += 1
            print(f"not predicted: {name}: {visible(found.reason, 200)}", file=sys.stderr)
            continue
        print(
            f"{name}: predictive entropy {answer.entropy:.4f}, mutual information "
            f"{answer.mutual_information:.4f} (nats, {options.passes} passes)"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    run_main(main)
