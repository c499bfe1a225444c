"""Plot ITA, skin colour, masks and simulated darker skin for the images in a folder.

Masks are found in the images as they are.
"""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import require, run_main
from ..core.files import expect_file, expect_folder, make_folder
from ..core.image_files import ImageFolder, expert_masks, images_below
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options(ImageFolder):
    """figures"""

    ita_csv: Path = flag(REQUIRED, "CSV that estimate_ita wrote for these images")
    output_dir: Path = flag(REQUIRED, "folder for the figures, outside DIR")
    masks: Path | None = flag(
        None, "lesion masks named after their images (default: segment the images)"
    )
    target: float = flag(
        10.0, "angle in degrees that light skin is darkened to", least=-60, most=55
    )
    n_images: int = flag(8, "images per figure of images", least=1, most=64)

    def __post_init__(self):
        super().__post_init__()
        require(
            not self.output_dir.resolve().is_relative_to(self.folder.resolve()),
            f"--output_dir {self.output_dir} is inside {self.folder}: expected a folder "
            "outside, as figures would count as images",
        )


def main(argv: list[str] | None) -> int:
    """0 once the four figures are written; 1 where there is nothing to draw for one of them."""
    options = parse_options(argv, __doc__, Options)[0]
    paths = images_below(options.folder)
    expect_file(options.ita_csv, "--ita_csv")
    expect_folder(options.masks, "--masks")

    from ..datasets.tone_estimates import COLORS, read_estimates
    from ..report.skin_tone_examples import find_images, tone_figures

    rows = read_estimates(options.ita_csv, ("ita_spread", *COLORS))
    files, others = find_images(rows, options.folder, paths, options.ita_csv)
    if others:
        where = f"{options.folder}: not in {options.ita_csv}, so not shown"
        print(f"{where}: {len(others)} (first: {others[0]!r})")
    masks = expert_masks(options.masks, list(files.values()))
    figures = tone_figures(rows, files, masks, options.target, options.n_images)
    return write_figures(figures, options.output_dir)


def write_figures(figures: dict[str, tuple], folder: Path) -> int:
    """0 once each figure is written, a line said of it; 1 where one has nothing to show.

    `figures`: by file name what it shows, the word for that, and a function of the path.
    """
    make_folder(folder)
    missing = 0
    for name, (found, word, plot) in figures.items():
        path = folder / name
        if len(found):
            plot(path)
            print(f"{path}: {len(found):,} {word}{'s' * (len(found) != 1)}")
        else:
            path.unlink(missing_ok=True)  # of an earlier run
            print(f"{path}: not drawn, there is no {word} to show")
            missing = 1
    return missing


if __name__ == "__main__":
    run_main(main)
