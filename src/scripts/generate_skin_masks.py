"""A mask file (lesion, hair or skin) for every image below a folder."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import UserError, run_main
from ..core.image_files import Workers, images_below
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options(Workers):
    """masks"""

    source_path: Path = flag(REQUIRED, "folder of images, searched at any depth")
    output_dir: Path = flag(Path("masks"), "folder for <image>_mask.png")
    kind: Literal["lesion", "hair", "skin"] = flag("lesion", "what is white in a mask")
    method: Literal["darker_than_skin", "blue_otsu", "value_otsu"] = flag(
        "darker_than_skin", "lesion segmentation method"
    )


def main(argv: list[str] | None) -> int:
    """0 once every mask is written; 1 where some images could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    paths = images_below(options.source_path)
    refuse_same_stems(paths)
    refuse_masks_among_images(options.source_path.resolve(), options.output_dir.resolve())

    from ..batch.mask_files import write_masks
    from ..batch.per_image_csv import failures

    source, output, n_workers = options.source_path, options.output_dir, options.num_workers
    rows = write_masks(source, paths, output, options.kind, options.method, n_workers)
    not_read = failures(rows)
    n_written = (rows["status"] == "ok").sum()
    done = f"{output}: {n_written} masks of {len(rows)} images, listed in masks.csv"
    print("\n".join([done, *not_read]))
    return 1 if not_read else 0


def refuse_masks_among_images(source: Path, output: Path) -> None:
    """Raise `UserError` where the next run would take masks for images."""
    inside = output.is_relative_to(source)
    if inside and "masks" not in output.relative_to(source).parts:
        raise UserError(
            f"--output_dir {output} is inside --source_path: its masks would be taken for images; "
            "expected a folder elsewhere, or one named masks"
        )


def refuse_same_stems(paths: list[Path]) -> None:
    """Raise `UserError` where two images would write one mask."""
    stem, count = Counter(path.stem for path in paths).most_common(1)[0]
    if count > 1:
        same = [str(path) for path in paths if path.stem == stem]
        raise UserError(
            f"{same[0]} and {same[1]} would both write {stem}_mask.png: give each folder its own "
            "--output_dir"
        )


if __name__ == "__main__":
    run_main(main)
