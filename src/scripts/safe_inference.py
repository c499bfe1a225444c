"""Predict images with a model that knows when not to answer (no PyTorch needed)."""

import sys
from dataclasses import dataclass
from pathlib import Path

from ..core.cells import visible
from ..core.errors import require, run_main
from ..core.files import expect_file
from ..core.options import REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """prediction with trust"""

    onnx_model_path: Path = flag(REQUIRED, "model that fit_trust has written")
    image: tuple[Path, ...] = flag(REQUIRED, "image files", also=("--images",), metavar="FILE")
    passes: int = flag(
        0, "passes with dropout, which tell how much the model disagrees with itself", least=0
    )
    group: str = flag("", "skin tone of all of them, by its name in the model (default: unknown)")


def main(argv: list[str] | None) -> int:
    """0, or 1 where an image could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.onnx_model_path, "--onnx_model_path")

    from ..inference.predictor import OnnxPredictor
    from ..inference.trust import predict_with_trust

    predictor = OnnxPredictor(options.onnx_model_path)
    contract, failed = predictor.contract, 0
    known = ", ".join(visible(name, 40) for name in contract.groups)
    is_known = not options.group or options.group in contract.groups
    require(is_known, f"--group {options.group}: expected one of {known}")
    group = contract.groups.index(options.group) if options.group else -1
    groups = [group] * len(options.image)
    for found in predict_with_trust(predictor, options.image, groups, n_passes=options.passes):
        name, answer = visible(found.name, 80), found.answer
        if answer is None:
            failed += 1
            print(f"not predicted: {name}: {visible(found.reason, 200)}", file=sys.stderr)
            continue
        shares = (f"{visible(k, 40)} {p:.2f}" for k, p in found.probabilities.items())
        print(f"{name}: {found.message}")
        mutual = answer.mutual_information
        disagreement = f", mutual information {mutual:.3f}" if options.passes else ""
        print(f"  probabilities: {', '.join(shares)}")
        print(f"  entropy {answer.entropy:.3f}{disagreement} (nats)")
        print(f"  conformal set: {', '.join(visible(c, 40) for c in answer.classes)}")
        print(f"  {options.group or 'skin tone unknown'}: {visible(answer.certificate, 300)}")
    print(contract.notice)
    return 1 if failed else 0


if __name__ == "__main__":
    run_main(main)
