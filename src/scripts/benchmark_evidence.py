"""Measure the evidence output of exported networks on real images."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import run_main
from ..core.files import expect_folder
from ..core.options import REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """benchmark"""

    images: Path = flag(REQUIRED, "folder of images")
    models: tuple[str, ...] = flag(
        ("mobilenet_v2", "tf_efficientnet_lite0", "convnext_tiny"), "backbones to measure"
    )
    input_size: int = flag(224, "side of the networks' input", least=32)
    n_images: int = flag(200, "images to measure with", least=2)


def main(argv: list[str] | None) -> None:
    """None once a line of each network is printed."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_folder(options.images, "--images")

    from ..artifact.benchmark import measure

    print(
        "network, distance of the sum from the logit, added time, least correlation with Grad-CAM"
    )
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            found = measure(
                model, options.input_size, options.images, options.n_images, Path(folder)
            )
            told = f"{found.error:.1g}, {found.slower:+.1%}, {found.correlation:.4f}"
            print(f"{model}, {told}", flush=True)


if __name__ == "__main__":
    run_main(main)
