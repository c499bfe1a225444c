"""Apply the preprocessing steps before || once, and write the images as PNG files.

Below --output_dir is what is below --source_path, tables included. The command ends by saying which
--preprocess training takes for the rest: the network then sees the same numbers, bit by bit. A
model trained so expects images that this command has preprocessed; where it will be given others,
train with the whole --preprocess and --cache disk, which also prepares each image once.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import require, run_main
from src.core.image_files import Workers, images_below
from src.core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options(Workers):
    """preprocessing"""

    source_path: Path = flag(REQUIRED, "folder of images, searched at any depth")
    output_dir: Path = flag(REQUIRED, "folder to write to, outside --source_path")
    preprocess: str = flag(REQUIRED, "preprocessing steps as in training, those before || first")
    input_size: int = flag(224, "side of the network's input in pixels", least=16)

    def __post_init__(self):
        super().__post_init__()
        require(
            not self.output_dir.resolve().is_relative_to(self.source_path.resolve()),
            f"--output_dir {self.output_dir} is inside --source_path: its images would be taken "
            "for images to preprocess; expected a folder elsewhere",
        )


def main(argv: list[str] | None) -> int:
    """0 once every image is written; 1 where some could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    paths = images_below(options.source_path)

    from src.batch.per_image_csv import failures
    from src.batch.preprocessed import LIST, remaining, write_preprocessed
    from src.preprocess.spec import parse_preprocessing

    source, output, text = options.source_path, options.output_dir, options.preprocess
    spec = parse_preprocessing(text, options.input_size)
    require(spec.augmentation_point > 0, f"--preprocess '{text}': expected steps before ||")
    rows = write_preprocessed(source, paths, output, spec, options.num_workers)
    not_read = failures(rows)
    n_written = (rows["status"] == "ok").sum()
    print(f"{output}: {n_written:,} of {len(rows):,} images written, listed in {LIST}")
    print("\n".join([f'train on them with --preprocess "{remaining(text, spec)}"', *not_read]))
    return 1 if not_read else 0


if __name__ == "__main__":
    run_main(main)
