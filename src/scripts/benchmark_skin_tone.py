"""Time skin-tone estimates and lesion masks against plain recipes, on one thread.

Images are made into JPEG files of both sizes; each round times both ways on the same file.
"""

from dataclasses import dataclass

from ..core.errors import require, run_main
from ..core.image_files import ImageFolder, images_below
from ..core.options import flag, parse_options


@dataclass(frozen=True)
class Options(ImageFolder):
    """benchmark"""

    n_rounds: int = flag(5, "images to time, one per round", least=1)


def main(argv: list[str] | None) -> None:
    """None once the times are printed."""
    options = parse_options(argv, __doc__, Options)[0]
    paths = images_below(options.folder)
    require(
        len(paths) >= options.n_rounds,
        f"{options.folder}: expected {options.n_rounds} images for as many rounds, found "
        f"{len(paths)}; lower --n_rounds",
    )

    from ..batch.benchmark import time_skin_tone

    print("\n".join(time_skin_tone(paths[: options.n_rounds])))


if __name__ == "__main__":
    run_main(main)
