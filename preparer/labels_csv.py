"""Tables of `image`, `label` and `lesion_id`: images checked, duplicates left out, written."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from src.core.cells import csv_text, folded, tidy, visible
from src.core.errors import UserError, require
from src.core.files import write_text
from src.core.image_files import images_below
from src.datasets.checked import digests_and_faults
from src.datasets.csv_files import read_csv, refuse_cells
from src.datasets.locate import find_images, folders_around
from src.datasets.table import Table, make_table

COLUMNS = ("image", "label", "lesion_id")
SHOWN = 10


@dataclass(frozen=True)
class Checked:
    """`rows` of `COLUMNS`, with paths of images that can be read and classes by their names.

    `bad` are images left out with the reasons, `copies` those with the image that they repeat, and
    `doubtful` images that are one but are of several classes: all of these are left out.
    """

    rows: pd.DataFrame
    bad: list[tuple[str, str]]
    copies: list[tuple[str, str]]
    doubtful: list[str]


def checked(table: Table) -> Checked:
    """The table's images, each opened once; of those with equal bytes the first is kept.

    The lesions of copies are one: all their images get the lesion of the first.
    """
    paths = table.rows["image"].tolist()
    digests, faults = digests_and_faults(paths)
    bad = [*table.bad, *((p, fault) for p, fault in zip(paths, faults, strict=True) if fault)]
    rows = table.rows[["image", "lesion_id"]].assign(
        label=[table.classes[label] for label in table.labels], digest=digests
    )
    rows = rows[[not fault for fault in faults]]
    n_classes = rows.groupby("digest")["label"].transform("nunique")
    doubtful = rows["image"][n_classes > 1].tolist()
    rows = rows[n_classes == 1]
    firsts = rows.groupby("digest")["image"].transform("first")
    is_copy = firsts != rows["image"]
    copies = [*zip(rows["image"][is_copy], firsts[is_copy], strict=True)]
    rows = rows.assign(lesion_id=_joined_lesions(rows))[~is_copy]
    require(len(rows) > 0, f"none of the {len(paths):,} images can be used (first: {bad[:1]})")
    return Checked(rows[[*COLUMNS]].reset_index(drop=True), bad, copies, doubtful)


def _joined_lesions(rows: pd.DataFrame) -> pd.Series:
    """Lesions by one name where they share an image."""
    same: dict[str, str] = {}

    def root(lesion: str) -> str:
        while lesion in same:
            lesion = same[lesion]
        return lesion

    for _, lesions in rows[rows["lesion_id"] != ""].groupby("digest")["lesion_id"]:
        first, *others = dict.fromkeys(map(root, lesions))
        same |= {other: first for other in others if other != first}
    return rows["lesion_id"].map(root)


def describe(found: Checked) -> str:
    """What was found, and what was left out and why, as text."""
    rows = found.rows
    lesions = rows["lesion_id"][rows["lesion_id"] != ""].nunique()
    counts = Counter(rows["label"])
    lines = [f"{len(rows):,} images, {lesions:,} lesions"]
    lines += [f"{visible(label, 40):>16} {count:>7,}" for label, count in counts.most_common()]
    kinds = {
        "left out": [f"{visible(name)}: {why}" for name, why in found.bad],
        "copies left out": [f"{visible(a)} is {visible(b)}" for a, b in found.copies],
        "copies of several classes left out": [visible(name) for name in found.doubtful],
    }
    for kind, names in kinds.items():
        if names:
            lines.append(f"{kind}: {len(names):,}")
            lines += [f"  {name}" for name in names[:SHOWN]] + ["  ..."] * (len(names) > SHOWN)
    return "\n".join(lines)


def write_labels(path: Path, rows: pd.DataFrame) -> None:
    """Write rows as a CSV whose images are paths from its folder, in order."""
    here = path.parent.absolute()
    images = [Path(os.path.relpath(Path(i).absolute(), here)).as_posix() for i in rows["image"]]
    write_text(path, csv_text(rows.assign(image=images)))


def images_of_class(root: Path, label: str, folder_name: str, file_name: str) -> Table:
    """The images in folders of a name below `root`, or in itself, as a table of one class."""
    wanted, part = folded(folder_name), folded(file_name)
    found = images_below(root)
    inside = [p for p in found if any(wanted in folded(f) for f in p.relative_to(root).parts[:-1])]
    if not inside and wanted in folded(root.absolute().name):
        inside = found
    told = f"{root}: no images in folders whose name contains '{folder_name}' (--folder_name)"
    require(bool(inside), told)
    images = [path for path in inside if part in folded(path.name)]
    require(bool(images), f"{root}: no image's name contains '{file_name}' (--file_name)")
    rows = pd.DataFrame({"image": [str(path) for path in images], "label": 0})
    return make_table(rows, (tidy(label),), 0)


def joined(labels_csv: Path, new: pd.DataFrame) -> pd.DataFrame:
    """The rows of a CSV of `COLUMNS`, with paths of its images, and new ones of another class.

    Raises `UserError` for a table with a split, which the new rows lack, and one that has the class
    already.
    """
    rows = read_csv(labels_csv, ("image", "label"), (*COLUMNS, "split", "fold"))
    for column in ("split", "fold"):
        told = f"{labels_csv}: has a {column}, which the new rows lack: make it afterwards with "
        require(column not in rows, told + "preparer/prepare_split.py")
    for column in ("image", "label"):
        refuse_cells(labels_csv, rows, column, rows[column].isna(), f"an {column}")
    label = new["label"].iloc[0]
    taken = rows["label"].map(folded) == folded(label)
    refuse_cells(labels_csv, rows, "label", taken, f"other classes than --label {label}")
    images = find_images(rows["image"].tolist(), *folders_around(labels_csv.parent, labels_csv))
    for name, image in zip(rows["image"], images, strict=True):
        if not image:
            raise UserError(f"{labels_csv}: image {visible(name, 100)}: no such image")
    known = rows.reindex(columns=[*COLUMNS]).assign(image=images).fillna("")
    return pd.concat([known, new], ignore_index=True)
