"""Sort the images of a table into folders `{split}/{class}/`, or `{class}/` where it has no split.

Reads a CSV as prepare_split.py does and finds its images in --images; masks, if given, go into the
same folders below `masks/`. All is checked before the first file is touched, and what is in its
place stays: after an interruption run the command again. Targets 0 and 1 are benign and malignant.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import run_main
from src.core.files import expect_file, expect_folder, expect_output_folder
from src.core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """sorting"""

    csv: Path = flag(REQUIRED, "table of images, separated by comma, semicolon or tab")
    images: Path = flag(REQUIRED, "folder of the images, searched at any depth")
    output_dir: Path = flag(REQUIRED, "folder for the folders of splits and classes")
    masks: Path | None = flag(None, "folder of lesion masks, to sort along")
    how: Literal["copy", "move", "link"] = flag(
        "copy", "copy the files, move them, or make links to them"
    )
    image_column: str = flag("", "column with the images' names (default: one with a usual name)")
    label_column: str = flag("", "column with the classes (default: one with a usual name)")


def main(argv: list[str] | None) -> int:
    """0 once every image of the table is in its folder, 1 where some were not found."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.csv, "--csv")
    expect_folder(options.images, "--images")
    expect_folder(options.masks, "--masks")
    expect_output_folder(options.output_dir, "--output_dir")

    from preparer.new_split import read_rows
    from preparer.sorting import carry_out, planned

    rows = read_rows(options.csv, options.image_column, options.label_column, "", "")
    moves, absent = planned(rows, options.images, options.masks, options.output_dir)
    print(carry_out(moves, options.how))
    for name in absent[:10]:
        print(f"no such image: {name}", file=sys.stderr)
    print(f"{options.output_dir}: {len(absent):,} images of {options.csv} were not found")
    return 1 if absent else 0


if __name__ == "__main__":
    run_main(main)
