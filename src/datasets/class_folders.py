"""Data sets whose folders name the classes of their images, and maybe their splits."""

from pathlib import Path

import pandas as pd

from ..core.cells import known_id
from ..core.errors import UserError, require
from ..core.image_files import IMAGE_SUFFIXES, describe_left_out, left_out, list_images
from .labels import log, merged, numbered
from .locate import folders_in, masks_of
from .table import SPLIT_ALIASES, SPLITS, Table, make_table


def folders(
    data_path: Path, *, positive: str | int | None = None, classes: list | None = None
) -> Table:
    """Class folders, `<class>/` or `{train,valid|val,test}/<class>/`, any class names.

    `positive` names the class to detect; else malignant, mel or melanoma where there is one,
    else the last. `classes` gives their order, else they are sorted.
    """
    rows = labelled_images(data_path, required=())
    rows["class"] = merged(rows["class"], f"{data_path}: class folders")
    rows["label"], names, index = numbered(rows["class"], positive, classes)
    rows["mask"] = masks_of(rows["image"], data_path)
    return make_table(rows, names, index)


def labelled_images(root: Path, required: tuple[str, ...]) -> pd.DataFrame:
    """`image`, `class` and `split` (blank for none) of every image in `split/class/` or `class/`.

    Raises `UserError` where a split lacks a folder of a `required` class.
    """
    require(root.is_dir(), f"{root}: no such folder; give the data set's folder with --data_path")
    splits = [(SPLIT_ALIASES.get(known_id(d.name), known_id(d.name)), d) for d in folders_in(root)]
    parents = [(name, folder) for name, folder in splits if name in SPLITS] or [("", root)]
    found, others = [], []
    beside = [d.name for name, d in splits if name not in (*SPLITS, "masks")]
    if beside and parents != [("", root)]:
        log.warning("%s: folders that are no split are left out: %s", root, ", ".join(beside))
    for split, parent in parents:
        class_folders = [d for d in folders_in(parent) if d.name != "masks"]
        absent = [
            name for name in required if name not in {known_id(d.name) for d in class_folders}
        ]
        if absent or not class_folders:
            wanted = " and ".join(required) or "a folder for each class"
            raise UserError(
                f"{parent}: expected {wanted}, found no {' and no '.join(absent) or 'folder'}"
            )
        for folder in class_folders:
            images = list_images(folder, recursive=True)
            require(images, f"{folder}: empty; expected {', '.join(IMAGE_SUFFIXES)} images")
            found += [(str(image), folder.name, split) for image in images]
            others += [folder / name for name in left_out(folder, recursive=True)]
    if others:
        log.warning("%s", describe_left_out([p.relative_to(root).as_posix() for p in others]))
    return pd.DataFrame(found, columns=["image", "class", "split"])
