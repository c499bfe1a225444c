"""Image files by their names: which ones a folder holds, and what their images are called."""

import logging
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cells import visible
from .errors import UserError, require
from .options import REQUIRED, Section, flag

log = logging.getLogger(__name__)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
_TABLES_AND_NOTES = (".csv", ".tab", ".txt", ".json", ".md")
# of names in strangers' tables, whose files may be of any kind
_ANY_SUFFIX = re.compile(r"\.(jpe?g|png|tiff?|bmp|gif|webp|dcm)$", re.IGNORECASE)


@dataclass(frozen=True)
class ImageFolder(Section):
    """Images"""

    folder: Path = flag(
        REQUIRED, "folder of images, searched at any depth", positional=True, metavar="DIR"
    )


@dataclass(frozen=True)
class Workers(Section):
    """Processes"""

    num_workers: int = flag(
        os.cpu_count() or 1, "worker processes, at most one per CPU core", least=0
    )


def image_stem(name: str) -> str:
    """An image's name without folders (`/` or `\\`) and without an image's suffix."""
    return _ANY_SUFFIX.sub("", re.split(r"[\\/]", name.strip())[-1])


def image_keys(*tables: Iterable[str]) -> list[list[str]]:
    """What tells images apart, for each name of each table: its stem, after its folder where a
    table has this stem in several folders."""
    parts = [[_folder_and_stem(name) for name in names] for names in tables]
    apart: set[str] = set()
    for table in parts:
        folders: dict[str, set[str]] = {}
        for folder, stem in table:
            folders.setdefault(stem, set()).add(folder)
        apart |= {stem for stem, of in folders.items() if len(of) > 1 and "" not in of}
    return [
        [f"{folder}/{stem}" if stem in apart else stem for folder, stem in table] for table in parts
    ]


def _folder_and_stem(name: str) -> tuple[str, str]:
    folder = posixpath.dirname(posixpath.normpath(name.strip().replace("\\", "/")))
    return folder, image_stem(name)


def list_images(folder: Path, recursive: bool = False) -> list[Path]:
    """The image files in `folder`, by suffix in any case, sorted by their path within it.

    `recursive` adds those at any depth, as `images_below` does. What only has an image's name (a
    link to nothing, a pipe) is listed: reading it gives the reason.
    """
    files = _files_below(folder) if recursive else _files_in(folder)
    return sorted(filter(_is_named_image, files), key=Path.as_posix)


def evenly(paths: Sequence[Path], most: int) -> list[Path]:
    """At most so many of the paths, evenly spaced."""
    return [*paths[:: max(1, len(paths) // most)]][:most]


def left_out(folder: Path, recursive: bool = False) -> list[str]:
    """What `list_images` leaves out: the paths within `folder`, sorted.

    These are files that are not images, and images in folders below where it is not `recursive`;
    hidden files, tables, notes and folders called `masks` are expected and not among them.
    """
    names = []
    for path in _files_below(folder):
        is_listed = _is_named_image(path) and (recursive or path.parent == folder)
        if not is_listed and not _is_expected(path):
            names.append(path.relative_to(folder).as_posix())
    return sorted(names)


def describe_left_out(names: list[str]) -> str:
    """One sentence: how many files were left out, by suffix, and the first of them."""
    counts = Counter(Path(name).suffix.lower() or "no suffix" for name in names)
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common(5))
    first = ", ".join(visible(name, 60) for name in names[:3]) + (", ..." if names[3:] else "")
    return f"{len(names):,} file{'s' * (len(names) != 1)} left out ({kinds}): {first}"


def _is_expected(path: Path) -> bool:
    return path.suffix.lower() in _TABLES_AND_NOTES


def _is_named_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def masks_by_stem(folder: Path) -> dict[str, Path]:
    """The masks directly in `folder` by the stem of their image; none where there is no folder.

    A mask has its image's stem, plain or with `_mask` or `_segmentation` after it.
    """
    files = list_images(folder) if folder.is_dir() else []
    return {m.stem.removesuffix("_mask").removesuffix("_segmentation"): m for m in files}


def expert_masks(folder: Path | None, paths: list[Path]) -> dict[str, Path]:
    """The mask of each image by its stem, none without a folder.

    Raises `UserError` that names an image without a mask.
    """
    if not folder:
        return {}
    found = masks_by_stem(folder)
    lacking = [path for path in paths if path.stem not in found]
    if lacking:
        raise UserError(
            f"{lacking[0]}: no mask in {folder} ({len(lacking)} of {len(paths)} images have none): "
            f"expected {lacking[0].stem}_mask.png"
        )
    return found


def images_below(folder: Path) -> list[Path]:
    """The image files below `folder` at any depth, sorted by their path within it.

    Hidden files and folders and folders called `masks` are left out, links to folders are not
    followed; what else is no image is logged. What only has an image's name (a link to nothing, a
    pipe) is listed: reading it gives the reason. Raises `UserError` where there is no image or a
    folder cannot be listed.
    """
    require(folder.is_dir(), f"{folder}: no such folder; expected a folder of images")
    files = list(_files_below(folder))
    found = [path for path in files if _is_named_image(path)]
    others = [path for path in files if not _is_named_image(path) and not _is_expected(path)]
    told = describe_left_out(sorted(p.relative_to(folder).as_posix() for p in others))
    hint = f" ({told})" if others else ""
    require(found, f"{folder}: no {', '.join(IMAGE_SUFFIXES)} images in it or below it{hint}")
    if others:
        log.warning("%s: %s", visible(folder), told)
    return sorted(found, key=Path.as_posix)


def _files_in(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from (Path(e.path) for e in entries if not e.is_dir(follow_symlinks=False))


def _files_below(folder: Path) -> Iterator[Path]:
    """Whatever is no folder below one; see `images_below`."""
    folders = [folder]
    try:
        while folders:
            with os.scandir(folders.pop()) as entries:
                seen = [entry for entry in entries if not entry.name.startswith(".")]
            for entry in seen:
                if not entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)
                elif entry.name != "masks":
                    folders.append(Path(entry.path))
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be listed ({error.strerror})") from None
