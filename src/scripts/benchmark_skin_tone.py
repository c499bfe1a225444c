"""Time skin-tone estimates and lesion masks against plain recipes, on one thread.

Images are made into JPEG files of both sizes; each round times both ways on the same file.
"""

from dataclasses import dataclass

from ..batch.options import ImageFolder
from ..core.errors import UserError, run_main
from ..core.image_files import images_below
from ..core.options import flag, parse_options


@dataclass(frozen=True)
class Options(ImageFolder):
    """benchmark"""

    n_rounds: int = flag(5, "images to time, one per round")

    def __post_init__(self):
        if self.n_rounds < 1:
            raise UserError(f"--n_rounds {self.n_rounds}: expected 1 or more")


def main(argv: list[str] | None) -> None:
    """None once the times are printed."""
    options = parse_options(argv, __doc__, Options)[0]
    paths = images_below(options.folder)
    if len(paths) < options.n_rounds:
        raise UserError(
            f"{options.folder}: expected {options.n_rounds} images for as many rounds, found "
            f"{len(paths)}; lower --n_rounds"
        )

    from ..batch.benchmark import time_skin_tone

    print("\n".join(time_skin_tone(paths[: options.n_rounds])))


if __name__ == "__main__":
    run_main(main)
