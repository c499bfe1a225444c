"""Which image of a table belongs into which folder, and putting it there."""

import filecmp
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from preparer.new_split import UNKNOWN_CLASS, Rows
from src.core.cells import folded, visible
from src.core.classes import BINARY_CLASSES
from src.core.errors import UserError, require
from src.core.files import copy_whole, make_folder
from src.core.image_files import image_stem, images_below, masks_by_stem
from src.core.progress import progress
from src.datasets.locate import partners
from src.datasets.table import SPLIT_ALIASES, SPLITS

Move = tuple[Path, Path]  # from, to


def planned(
    rows: Rows, images: Path, masks: Path | None, target: Path
) -> tuple[list[Move], list[str]]:
    """(where each image and mask goes, the names of images that are nowhere).

    Images that are in their place already count as found. Raises `UserError` for a class that is
    no name of a folder, an unknown split, and two files that would be one.
    """
    require(bool(rows.classes), f"{rows.csv}: no column of classes: name it with --label_column")
    folders = _folders(rows)
    files = images_below(images) + (images_below(target) if _has_images(target) else [])
    by_stem: dict[str, list[Path]] = {}
    for file in dict.fromkeys(path.absolute() for path in files):
        by_stem.setdefault(image_stem(file.name), []).append(file)
    stems = [image_stem(stem) for stem in rows.stems]
    repeated = [name for name, count in Counter(stems).items() if count > 1]
    require(not repeated, f"{rows.csv}: two rows have the image {visible((repeated or [''])[0])}")
    places = partners(stems, [*by_stem])
    found, known_masks = [*by_stem.values()], masks_by_stem(masks) if masks else {}
    moves, absent = [], []
    for stem, folder, place in zip(stems, folders, places, strict=True):
        if place < 0:
            absent.append(visible(stem, 100))
            continue
        moves.append(_move(found[place], target / folder))
        mask = known_masks.get(moves[-1][1].stem)
        if mask:
            moves.append((mask.absolute(), (target / "masks" / folder / mask.name).absolute()))
    require(bool(moves), f"{images}: holds none of the images of {rows.csv}")
    return moves, absent


def carry_out(moves: Sequence[Move], how: str) -> str:
    """What was done, once every file is in its place: by `copy`, `move` or `link`."""
    done = Counter[str]()
    for source, target in progress(moves, how, len(moves), "file"):
        make_folder(target.parent) if not target.parent.is_dir() else None
        if source == target:
            done["there"] += 1
        elif os.path.lexists(target):
            _refuse_other(source, target)
            if how == "move" and not target.is_symlink():
                source.unlink()
            done["there"] += 1
        else:
            _put(source, target, how)
            done["new"] += 1
    counts = Counter(target.parent for _, target in moves)
    lines = [f"{folder}: {count:,} files" for folder, count in sorted(counts.items())]
    told = f"{done['new']:,} files: {how}; {done['there']:,} were in their place"
    return "\n".join([*lines, told])


def _put(source: Path, target: Path, how: str) -> None:
    if how == "link":
        target.symlink_to(source)
        return
    if how == "move":
        try:
            os.link(source, target)  # unlike a rename it replaces nothing
            source.unlink()
            return
        except OSError:  # another disk, or one without links
            pass
    copy_whole(source, target)
    if how == "move":
        source.unlink()


def _refuse_other(source: Path, target: Path) -> None:
    is_same = target.is_file() and filecmp.cmp(source, target, shallow=False)
    require(is_same, f"{target}: is there and is another file than {source}: move it away")


def _folders(rows: Rows) -> list[Path]:
    """The folder of each row."""
    names = [name.strip() for name in rows.classes]
    if {*names} == {"0", "1"}:
        names = [BINARY_CLASSES[int(name)] for name in names]
    for name in names:
        is_plain = name not in ("", ".", "..", "masks") and not set(name) & set('/\\:*?"<>|\0')
        is_plain = is_plain and name.isprintable() and not name.startswith(".")
        told = f"{rows.csv}: class '{visible(name, 60)}' cannot be a folder: name it otherwise"
        require(is_plain and len(name.encode()) < 200, told)
    known = {**{name: name for name in SPLITS}, **SPLIT_ALIASES, "": ""}
    splits = [folded(str(split)) for split in rows.frame["split"].fillna("")]
    strange = [split for split in splits if split not in known]
    told = f"{rows.csv}: split '{visible((strange or [''])[0], 60)}': expected {', '.join(SPLITS)}"
    require(not strange, told)
    some, every = any(splits), all(splits)
    require(some == every, f"{rows.csv}: some rows have a split and some none")
    unknown = [names[label] == UNKNOWN_CLASS for label in rows.frame["label"]]
    require(not any(unknown), f"{rows.csv}: {sum(unknown):,} rows have no class")
    return [
        Path(known[split], names[label])
        for split, label in zip(splits, rows.frame["label"], strict=True)
    ]


def _move(files: list[Path], folder: Path) -> Move:
    """The move of an image into a folder, in which it may be already."""
    folder = folder.absolute()
    there = [file for file in files if file.parent == folder]
    others = [file for file in files if file.parent != folder]
    if len(others) > 1:
        raise UserError(f"{others[0]} and {others[1]} have one name: which is meant?")
    source = (others or there)[0]
    return source, folder / source.name


def _has_images(folder: Path) -> bool:
    try:
        return bool(images_below(folder))
    except UserError:
        return False
