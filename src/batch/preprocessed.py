"""Images as the steps before the augmentation point leave them, written once as PNG files."""

from collections import Counter
from functools import partial
from pathlib import Path

import cv2
import pandas as pd

from ..core.errors import require
from ..core.files import clear_unfinished, copy_whole, make_folder
from ..preprocess.image import file_bytes, write_png
from ..preprocess.spec import Preprocessing
from .per_image_csv import run_folder_job

LIST = "preprocessed.csv"
COLUMNS = ("file", "height", "width")
TABLES = (".csv", ".tab", ".tsv")


def write_preprocessed(
    folder: Path, paths: list[Path], output_dir: Path, spec: Preprocessing, n_workers: int
) -> pd.DataFrame:
    """The table `image, *COLUMNS, status` that `output_dir/LIST` then lists the images in.

    Each is where its source is within `folder`, with the suffix `.png`; tables are copied. Raises
    `UserError` where two images would have one name.
    """
    name, count = Counter(map(_name, paths)).most_common(1)[0]
    same = " and ".join([str(path) for path in paths if _name(path) == name][:2])
    require(count == 1, f"{same} would both become {name.name}: rename one of them")
    for place in {_target(path, folder, output_dir).parent for path in paths}:
        clear_unfinished(make_folder(place))
    for path in sorted(folder.rglob("*")):
        target = output_dir / path.relative_to(folder)
        if path.suffix.lower() in TABLES and path.is_file() and target.parent.is_dir():
            copy_whole(path, target)
    steps = [[step.name, step.options] for step in spec.steps[: spec.augmentation_point]]
    settings = {"steps": steps, "opencv": cv2.__version__}
    work = partial(preprocess_row, folder=folder, output_dir=output_dir, spec=spec)

    def is_kept(cells: list) -> bool:  # the file of a finished row may be gone
        return cells[0] is None or (output_dir / cells[0]).is_file()

    csv, title = output_dir / LIST, "preprocessing"
    return run_folder_job(work, paths, folder, csv, COLUMNS, settings, n_workers, title, is_kept)


def preprocess_row(path: Path, folder: Path, output_dir: Path, spec: Preprocessing) -> dict:
    """Writes one image; its file's path within `output_dir` and its size."""
    image = spec.prepare(spec.decode(file_bytes(path))[0])
    target = _target(path, folder, output_dir)
    write_png(target, image)
    file = target.relative_to(output_dir).as_posix()
    return {"file": file, "height": image.shape[0], "width": image.shape[1]}


def remaining(text: str, spec: Preprocessing) -> str:
    """What of the spec written in `text` is left to do to images that were written so."""
    after = text.partition("||")[2].strip()
    after = after or " | ".join(map(str, spec.steps[spec.augmentation_point :]))
    size = spec.prepared_size
    # of an image that has the size already, which resizing leaves as it is
    before = f"resize(height={size[0]}, width={size[1]}) " if size else ""
    return f"{before}|| {after}"


def _name(path: Path) -> Path:
    return path.with_suffix(".png")


def _target(path: Path, folder: Path, output_dir: Path) -> Path:
    return output_dir / _name(path.relative_to(folder))
