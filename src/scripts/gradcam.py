"""Explain a checkpoint's decisions by Grad-CAM: overlays, a contact sheet, the pointing game.

Needs the package grad-cam.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from ..core.cells import visible
from ..core.errors import run_main
from ..core.files import (
    check_replaceable,
    expect_file,
    expect_folder,
    expect_output_folder,
    make_folder,
)
from ..core.image_files import ImageFolder, evenly, expert_masks, images_below
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options(ImageFolder):
    """Grad-CAM"""

    checkpoint_path: Path = flag(REQUIRED, "checkpoint of a run", also=("--checkpoint",))
    output_dir: Path = flag(REQUIRED, "folder to write to")
    masks: Path | None = flag(
        None,
        "folder of experts' lesion masks, named after their images: count how often the strongest "
        "point lies in the lesion, beside the centre of the image, by skin tone",
    )
    onnx_model_path: Path | None = flag(
        None, "ONNX file of the same model: draw and count its exact evidence beside Grad-CAM"
    )
    n_images: int = flag(200, "images to explain, evenly by name", least=1)


def main(argv: list[str] | None) -> int:
    """0 once the files are written; 1 where some images have no explanation."""
    options = parse_options(argv, __doc__, Options)[0]
    paths = evenly(images_below(options.folder), options.n_images)
    expect_file(options.checkpoint_path, "--checkpoint_path")
    expect_file(options.onnx_model_path, "--onnx_model_path")
    expect_folder(options.masks, "--masks")
    masks = expert_masks(options.masks, paths)
    expect_output_folder(options.output_dir, "--output_dir", options.folder)
    for name in ("contact_sheet.png", "pointing_game.csv"):
        check_replaceable(options.output_dir / name)

    from ..artifact.network import load_network
    from ..explanation.grad_cam_folder import Model, games, write_overlays
    from ..inference.predictor import OnnxPredictor

    onnx = OnnxPredictor(options.onnx_model_path) if options.onnx_model_path else None
    model = Model(*load_network(options.checkpoint_path), onnx)
    output = make_folder(options.output_dir)
    seen = write_overlays(model, paths, options.folder, masks, output)
    failed = [one for one in seen if one.reason]
    for line in games(seen):
        print(line)
    print(f"{len(seen) - len(failed)} of {len(seen)} images explained: {visible(output)}")
    print(model.contract.notice)
    for one in failed:
        name = visible(one.path.relative_to(options.folder), 80)
        print(f"not explained: {name}: {visible(one.reason, 200)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    run_main(main)
