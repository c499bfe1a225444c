"""A mask file (lesion, hair or skin) for every image below a folder."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import require, run_main
from ..core.image_files import Workers, images_below
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options(Workers):
    """masks"""

    source_path: Path = flag(REQUIRED, "folder of images, searched at any depth")
    output_dir: Path = flag(Path("masks"), "folder for <image>_mask.png")
    kind: Literal["lesion", "hair", "skin"] = flag("lesion", "what is white in a mask")
    domain: Literal["auto", "dermoscopy", "clinical"] = flag(
        "auto", "kind of images (auto: told apart by their pixels, one by one)"
    )
    method: Literal["by_domain", "darker_than_skin", "blue_otsu", "value_otsu", "spot_on_skin"] = (
        flag("by_domain", "lesion segmentation method")
    )


def main(argv: list[str] | None) -> int:
    """0 once every mask is written; 1 where some images could not be read."""
    options = parse_options(argv, __doc__, Options)[0]
    paths = images_below(options.source_path)
    check_masks(options.source_path, paths, options.output_dir)

    from ..batch.mask_files import write_masks
    from ..batch.per_image_csv import failures

    source, output, n_workers = options.source_path, options.output_dir, options.num_workers
    choices = {name: getattr(options, name) for name in ("kind", "domain", "method")}
    rows = write_masks(source, paths, output, n_workers, **choices)
    not_read = failures(rows)
    n_written = (rows["status"] == "ok").sum()
    done = f"{output}: {n_written} masks of {len(rows)} images, listed in masks.csv"
    print("\n".join([done, *not_read]))
    return 1 if not_read else 0


def check_masks(source: Path, paths: list[Path], output: Path) -> None:
    """Raise `UserError` where two images would write one mask, or masks be taken for images."""
    inside = output.resolve().is_relative_to(source.resolve())
    require(
        not inside or "masks" in output.resolve().relative_to(source.resolve()).parts,
        f"--output_dir {output} is inside --source_path: its masks would be taken for images; "
        "expected a folder elsewhere, or one named masks",
    )
    stem, count = Counter(path.stem for path in paths).most_common(1)[0]
    same = " and ".join([str(path) for path in paths if path.stem == stem][:2])
    require(
        count == 1,
        f"{same} would both write {stem}_mask.png: give each folder its own --output_dir",
    )


if __name__ == "__main__":
    run_main(main)
