"""Draw the demo data set: the same images in the layouts of ISIC 2020 and HAM10000.

Writes DIR/isic2020 (split/class folders, masks and the `;` table with decimal comma) and
DIR/ham10000 (images, masks, metadata). Nothing is downloaded.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import run_main
from src.core.options import MAX_SEED, REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """demo data"""

    output_dir: Path = flag(REQUIRED, "folder to write to")
    seed: int = flag(0, "random seed: the same seed gives the same files", least=0, most=MAX_SEED)
    n_images: int = flag(
        720,
        "images to draw; below about 300 a split may lack a class or tone group",
        least=1,
        most=100_000,  # their names have six digits
    )


def main(argv: list[str] | None) -> None:
    """None once the demo data lies in `--output_dir`; `UserError` where others' files do."""
    options = parse_options(argv, __doc__, Options)[0]

    from preparer.demo_files import make_demo

    print(make_demo(options.output_dir, options.seed, options.n_images))


if __name__ == "__main__":
    run_main(main)
