"""Skin tone (individual typology angle, ITA) of every image below a folder, as a CSV."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import run_main
from ..core.files import check_output, expect_folder
from ..core.image_files import ImageFolder, Workers, expert_masks, images_below
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options(ImageFolder, Workers):
    """skin tone"""

    output_csv: Path = flag(REQUIRED, "CSV to write", also=("-o",))
    method: Literal["cielab", "opencv8"] = flag(
        "cielab", "conversion from colour to angle (opencv8: that of earlier work)"
    )
    color: Literal["median", "kmeans"] = flag("median", "how skin pixels become one skin colour")
    color_constancy: Literal["none", "shades_of_grey"] = flag(
        "none", "colour-constancy correction applied first"
    )
    masks: Path | None = flag(
        None, "lesion masks named after their images (default: segment the images)"
    )


def main(argv: list[str] | None) -> int:
    """0 once the CSV is written; 1 where some images could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    paths = images_below(options.folder)
    expect_folder(options.masks, "--masks")
    masks = expert_masks(options.masks, paths)
    check_output(options.output_csv, *paths, *masks.values())

    from ..batch.per_image_csv import failures
    from ..batch.tone_estimates import estimate_tones, summary

    choices = {name: getattr(options, name) for name in ("method", "color", "color_constancy")}
    csv, n_workers = options.output_csv, options.num_workers
    rows = estimate_tones(options.folder, paths, csv, masks, n_workers, **choices)
    not_read = failures(rows)
    print("\n".join([f"{options.output_csv}: {summary(rows)}", *not_read]))
    return 1 if not_read else 0


if __name__ == "__main__":
    run_main(main)
