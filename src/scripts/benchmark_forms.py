"""Measure how far ONNX, TorchScript, exported program and Hugging Face are from the checkpoint."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import run_main
from ..core.files import expect_folder
from ..core.options import REQUIRED, Section, flag, parse_options

# the smallest of each family, after one that is soon exported
FAMILIES: tuple[str, ...] = (
    "test_resnet",
    "mobilenetv3_small",
    "mobilenet_v2",
    "shufflenetv2",
    "squeezenet1_1",
)
FAMILIES += ("efficientnet_lite0", "efficientnetv2_b0", "efficientnet_v2_s")
FAMILIES += ("convnext_tiny", "convnextv2_atto", "dinov2_vit_small")
# one of each reduction: the others give the same networks
OBJECTIVES: tuple[str, ...] = ("cross_entropy", "domain_discriminative", "domain_independent")
OBJECTIVES += tuple(f"{name}(decide='prior_shift')" for name in OBJECTIVES[1:])
OBJECTIVES += tuple(f"{name}(decide='own')" for name in OBJECTIVES[1:3])


@dataclass(frozen=True)
class Options(Section):
    """benchmark"""

    images: Path = flag(REQUIRED, "folder of images")
    models: tuple[str, ...] = flag(FAMILIES, "backbones to measure")
    heads: tuple[str, ...] = flag(
        ("linear", "mlp", "acrnn"), "heads: all but the first on the first backbone alone"
    )
    objectives: tuple[str, ...] = flag(OBJECTIVES, "objectives, likewise")
    input_size: int = flag(64, "side of the networks' input", least=32)
    n_images: int = flag(200, "images to measure with", least=2)


def main(argv: list[str] | None) -> None:
    """None once a line of each network is printed."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_folder(options.images, "--images")

    from ..artifact.benchmark import FORMS, deviations

    model, head, objective = options.models[0], options.heads[0], options.objectives[0]
    wanted = [(model, head, one) for one in options.objectives]
    wanted += [(model, one, objective) for one in options.heads[1:]]
    wanted += [(one, head, objective) for one in options.models[1:]]
    print(f"backbone, head, objective, largest difference in a probability: {', '.join(FORMS)}")
    for one in wanted:
        with tempfile.TemporaryDirectory() as folder:
            size, images = options.input_size, options.images
            found = deviations(*one, size, images, options.n_images, Path(folder))
        told = ", ".join("cannot" if v is None else f"{v:.1g}" for v in found.values())
        print(f"{', '.join(one)}: {told}", flush=True)


if __name__ == "__main__":
    run_main(main)
