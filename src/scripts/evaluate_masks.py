"""Compare automatic lesion segmentation with expert masks.

Reports the overlap by method, and the effect on estimated skin tone. Writes `masks_by_image.csv`
and `worst_masks.png`, and prints a summary.
"""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import run_main
from ..core.files import check_output, expect_folder
from ..core.image_files import ImageFolder, Workers, expert_masks, images_below
from ..core.options import REQUIRED, flag, parse_options

N_WORST = 12


@dataclass(frozen=True)
class Options(ImageFolder, Workers):
    """masks"""

    masks: Path = flag(REQUIRED, "folder of experts' lesion masks, named after their images")
    output_dir: Path = flag(REQUIRED, "folder to write to")


def main(argv: list[str] | None) -> int:
    """0 once the files are written; 1 where some images could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    paths = images_below(options.folder)
    expect_folder(options.masks, "--masks")
    masks = expert_masks(options.masks, paths)
    csv, figure = (options.output_dir / name for name in ("masks_by_image.csv", "worst_masks.png"))
    for path in (csv, figure):
        check_output(path, *paths, *masks.values())

    from ..batch.mask_agreement import compare_masks, readable, summary, worst_of
    from ..report.skin_tone_examples import plot_worst_masks

    rows = compare_masks(options.folder, paths, masks, csv, options.num_workers)
    read = readable(rows)
    worst = worst_of(read, N_WORST)
    plot_worst_masks(options.folder, masks, worst, figure)
    print(f"{summary(read)}\nthe {len(worst)} images of least overlap, drawn in {figure}:")
    print(worst.to_string(index=False, float_format="%.3f"))
    return 1 if len(read) < len(rows) else 0


if __name__ == "__main__":
    run_main(main)
