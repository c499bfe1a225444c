"""Where the images and masks are that a table names."""

import logging
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path

import pandas as pd

from ..core.cells import folded, tidy, visible
from ..core.errors import UserError, require
from ..core.image_files import IMAGE_SUFFIXES, image_keys, image_stem, list_images, masks_by_stem

log = logging.getLogger(__name__)
REDUCED = "_downsampled"  # after the ids of some images of ISIC 2019
USUAL_FOLDERS = ("images", "image", "imgs", "img")


def find_images(names: Sequence[str], *tiers: Sequence[Path]) -> list[str]:
    """The path of the image that each name means, `""` where there is none.

    Names may have folders, before `/` or `\\`, and lack a suffix or have another one. Each of
    `tiers` is a list of folders, of which the next is looked at for what the former do not have,
    and for other suffixes only after that. What is nowhere may be there with `_downsampled` after
    its id, or without it, or as `1` for `1.0`. Raises `UserError` for a name that two files of one
    list have.
    """
    files_of = cache(_files_by_stem)
    found = [_find(name, tiers, files_of) for name in names]
    taken = set(found)
    for row, name in enumerate(names):
        if not found[row]:
            folder, last = _parts(name)
            stem = image_stem(last)
            reduced = stem.removesuffix(REDUCED) if stem.endswith(REDUCED) else stem + REDUCED
            for other in (reduced, tidy(stem)):
                path = _find(f"{folder}/{other}" if folder else other, tiers, files_of)
                if path not in taken:
                    found[row] = found[row] or path
    return found


def _find(name: str, tiers: Sequence[Sequence[Path]], files_of) -> str:
    folder, last = _parts(name)
    stem = image_stem(last)

    def alike() -> Iterator[list[Path]]:
        for tier in tiers:
            yield [file for place in tier for file in files_of(place, folder).get(stem, ())]

    for files in chain(([f for f in found if f.name == last] for found in alike()), alike()):
        files = list(dict.fromkeys(files))
        if len(files) > 1:
            raise UserError(
                f"'{visible(name, 60)}': two images have this name, {files[0]} and {files[1]}: "
                "write the folder into the table, or name the images' folders with images=[...]"
            )
        if files:
            return str(files[0])
    return ""


def _parts(name: str) -> tuple[str, str]:
    """The folders of a name, with `/`, and what is after them."""
    folder, slash, last = name.strip().replace("\\", "/").rpartition("/")
    return posixpath.normpath(folder) if folder else slash, last


def _files_by_stem(place: Path, folder: str) -> dict[str, list[Path]]:
    try:
        files = list_images(place / folder)
    except (OSError, ValueError):  # no folder, or a name that none can have
        return {}
    found = defaultdict(list)
    for file in files:
        found[image_stem(file.name)].append(file)
    return found


def folders_around(data_path: Path, csv: Path) -> list[list[Path]]:
    """Where the images of a table may be: the data's folder, its own, and folders in them."""
    roots = list(dict.fromkeys([data_path, csv.parent]))
    usual = [[root / name for root in roots] for name in USUAL_FOLDERS]
    inner = [d for root in roots if root.is_dir() for d in folders_in(root) if d.name != "masks"]
    return [*([root] for root in roots), *usual, list(dict.fromkeys(inner))]


def folders_in(root: Path) -> list[Path]:
    """The folders directly in one that are not hidden, sorted."""
    return sorted(d for d in root.iterdir() if d.is_dir() and not d.name.startswith("."))


def with_images(rows: pd.DataFrame, *places: Path):
    """`rows` with the paths of their images, and (name, reason) of those without a file.

    Of `rows` is read `stem`; images in `places` that have no row are listed too.
    """
    for place in places:
        require(place.is_dir(), f"{place}: no such folder; expected the images there")
    files = [str(image) for place in places for image in list_images(place)]
    if not files:
        raise UserError(f"{places[0]}: empty; expected {', '.join(IMAGE_SUFFIXES)} images")
    rows = rows.assign(image=find_images(rows["stem"].tolist(), places))
    bad = [(stem, "a row in the CSV, but no image") for stem in rows["stem"][rows["image"] == ""]]
    lonely = sorted(image_stem(file) for file in set(files) - set(rows["image"]))
    bad += [(stem, "no row in the CSV") for stem in lonely]
    return rows[rows["image"] != ""], bad


def partners(names: Sequence[str], others: Sequence[str]) -> list[int]:
    """For each name the place of the one of `others` that names the same image, -1 for none.

    Names are compared as `image_keys`, then in any case and spelling where only one is left that
    could be meant. `others` name each image once.
    """
    keys, known = image_keys(names, others)
    places = {key: place for place, key in enumerate(known)}
    found = [places.get(key, -1) for key in keys]
    left = set(range(len(known))) - set(found)
    loose = defaultdict(list)
    for place in left:
        loose[folded(known[place])].append(place)
    wanted = Counter(folded(key) for key, place in zip(keys, found, strict=True) if place < 0)
    for row, key in enumerate(keys):
        if found[row] < 0:
            alike = loose[folded(key)]
            found[row] = alike[0] if len(alike) == 1 == wanted[folded(key)] else -1
    return found


def joined(
    rows: pd.DataFrame, names: pd.Series, more: pd.DataFrame, others: pd.Series, path: Path
) -> pd.DataFrame:
    """`rows` with the columns of `more`, the table at `path`, by the `partners` of their names.

    Raises `UserError` where no image has a partner, and logs how many have none.
    """
    found = pd.Series(partners(names.tolist(), others.tolist()), rows.index)
    n_found = int((found >= 0).sum())
    require(
        n_found > 0,
        f"{path}: none of the images of the table is in its column '{visible(others.name)}'",
    )
    if n_found < len(rows):
        log.warning("%s: no row for %d of %d images", path, len(rows) - n_found, len(rows))
    return rows.join(more.reset_index(drop=True).reindex(found).set_axis(rows.index))


def masks_of(images: pd.Series, data_path: Path) -> list[str]:
    """The lesion mask of each image or an empty text.

    Masks are in `masks/`, or in the folder below it that the image's own folder is in `data_path`;
    in the latter only where images of several folders share a name.
    """
    root, found = data_path / "masks", {}
    uses = Counter(Path(image).stem for image in images)
    common = {stem: mask for stem, mask in masks_by_stem(root).items() if uses[stem] == 1}
    for folder in {Path(image).parent for image in images}:
        inside = folder.relative_to(data_path) if folder.is_relative_to(data_path) else Path()
        own = masks_by_stem(root / inside) if inside.parts else {}
        found[folder] = common | own
    return [str(found[Path(i).parent].get(Path(i).stem, "")) for i in images]
