"""Archives of strangers, unpacked into a folder and nowhere else: zip and tar.

All members are looked at before the first is written; an archive with a path that leads elsewhere,
a link, a device, an encrypted member or far more content than its size is refused as a whole.
"""

import bz2
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from src.core.cells import visible
from src.core.errors import UserError, first_line, require
from src.core.files import make_folder, replacing
from src.core.progress import progress

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
CHUNK = 1 << 20
MAX_MEMBERS = 3_000_000
MAX_RATIO = 200  # of content to archive; text reaches 20
FREE_RATIO_BYTES = 100_000_000  # content up to this may have any ratio
MAX_HEADER = 16_000_000  # bytes of a tar's header
SPARE_DISK = 200_000_000
_LEFT_OUT = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, UnicodeError, ValueError, gzip.BadGzipFile),
)


@dataclass(frozen=True)
class Member:
    """A file in an archive: where it belongs below the folder, and its size in bytes."""

    path: PurePosixPath
    size: int


def unpack(archive: Path, folder: Path) -> int:
    """How many files of an archive lie in `folder` then: in a folder of the archive's name, unless
    the archive has one of its own.

    Files that are there with the same content stay, so that a later call continues. Raises
    `UserError` for what is refused, damaged, too large for the disk, or there with other content.
    """
    with _readable(archive):
        members = _members(archive)
    tops = {member.path.parts[0] for member in members}
    has_own = len(tops) == 1 and all(len(member.path.parts) > 1 for member in members)
    target = folder if has_own else folder / archive_stem(archive)
    make_folder(target)
    needed = sum(m.size for m in members if not (target / m.path).exists())
    free = shutil.disk_usage(target).free - SPARE_DISK
    require(needed <= free, f"{archive}: {needed:,} bytes to unpack, but {free:,} are free")
    with _readable(archive):
        contents = progress(_contents(archive, members), f"unpacking {archive.name}", len(members))
        for member, file in contents:
            _put(file, member, target, archive)
    return len(members)


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive."""
    return path.name.casefold().endswith(SUFFIXES)


def archive_stem(path: Path) -> str:
    """The name of an archive without its suffix."""
    ending = next(s for s in sorted(SUFFIXES, key=len, reverse=True) if _ends(path, s))
    return path.name[: -len(ending)]


def _ends(path: Path, suffix: str) -> bool:
    return path.name.casefold().endswith(suffix) and len(path.name) > len(suffix)


def safe_path(name: str, where: str) -> PurePosixPath:
    """The relative path that a stranger's name means. Raises `UserError` for one that leaves."""
    parts = name.removesuffix("/").split("/")
    is_plain = not any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts)
    is_text = not re.search(r"[\\\0-\x1f\x7f]", name) and not re.match(r"[A-Za-z]:", name)
    is_safe = is_plain and is_text and len(parts) <= 32
    require(is_safe, f"{where}: has the path '{visible(name, 100)}': refused; nothing was unpacked")
    return PurePosixPath(name)


def _put(file: BinaryIO, member: Member, target: Path, archive: Path) -> None:
    path = target / member.path
    _make_parent(path.parent, target, archive)
    if path.exists() or path.is_symlink():
        is_same = path.is_file() and not path.is_symlink() and _holds(path, file, member.size)
        require(is_same, f"{path}: is there with other content than in {archive.name}: move it")
        return
    with replacing(path, one_of_many=True) as temporary, temporary.open("wb") as copy:
        size = 0
        while chunk := file.read(CHUNK):
            size += len(chunk)
            require(size <= member.size, f"{archive}: damaged ({member.path} is larger than told)")
            copy.write(chunk)
        require(size == member.size, f"{archive}: damaged ({member.path} is smaller than told)")


def _make_parent(parent: Path, target: Path, archive: Path) -> None:
    """Make a folder below `target`; a link on the way must not lead elsewhere."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{parent}: is a file; {archive.name} has a folder there") from None
    is_inside = parent.resolve().is_relative_to(target.resolve())
    require(is_inside, f"{parent}: leads out of {target}: remove this link")


def _holds(path: Path, file: BinaryIO, size: int) -> bool:
    if path.stat().st_size != size:
        return False
    with path.open("rb") as own:
        while chunk := file.read(CHUNK):
            if own.read(len(chunk)) != chunk:
                return False
    return True


def _members(archive: Path) -> list[Member]:
    """The files of an archive, in its order. Raises `UserError` for what is not safe."""
    members, taken, folders = [], set(), set()
    limit = max(FREE_RATIO_BYTES, MAX_RATIO * archive.stat().st_size)
    total = 0
    for name, size in _listed(archive):
        path = safe_path(name, str(archive))
        if set(path.parts) & set(_LEFT_OUT):
            continue
        key = unicodedata.normalize("NFC", path.as_posix()).casefold()
        above = {p.as_posix() for p in PurePosixPath(key).parents} - {"."}
        once = key not in taken | folders and not above & taken
        require(once, f"{archive}: has '{visible(name, 100)}' twice: refused")
        taken.add(key)
        folders |= above
        total += size
        members.append(Member(path, size))
        require(total <= limit, f"{archive}: would become over {limit:,} bytes: refused")
        require(len(members) <= MAX_MEMBERS, f"{archive}: over {MAX_MEMBERS:,} files: refused")
    require(bool(members), f"{archive}: holds no file")
    return members


def _listed(archive: Path) -> Iterator[tuple[str, int]]:
    """(name, bytes) of each file. Raises `UserError` for what is neither a file nor a folder."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            packed = sum(entry.compress_size for entry in entries)
            overlaps = packed > archive.stat().st_size
            require(not overlaps, f"{archive}: its members overlap: refused")
            for entry in entries:
                kind = stat.S_IFMT(entry.external_attr >> 16)
                is_plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
                require(is_plain, f"{archive}: '{visible(entry.filename, 100)}' {_NO_FILE}")
                is_open = not entry.flag_bits & 1
                require(is_open, f"{archive}: is encrypted: unpack it by hand")
                if not entry.is_dir():
                    yield entry.orig_filename, entry.file_size
        return
    with _opened_tar(archive) as opened:
        for entry in opened:
            is_plain = (entry.isreg() or entry.isdir()) and not entry.issparse()
            require(is_plain, f"{archive}: '{visible(entry.name, 100)}' {_NO_FILE}")
            if entry.isreg():
                yield entry.name.removeprefix("./"), entry.size


_NO_FILE = "is no file but a link or device: refused; nothing was unpacked"


def _contents(archive: Path, members: list[Member]) -> Iterator[tuple[Member, BinaryIO]]:
    wanted = {member.path.as_posix(): member for member in members}
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                if not entry.is_dir() and entry.orig_filename in wanted:
                    with opened.open(entry) as file:
                        yield wanted[entry.orig_filename], file
        return
    with _opened_tar(archive) as opened:
        for entry in opened:
            name = entry.name.removeprefix("./")
            if entry.isreg() and name in wanted:
                yield wanted[name], opened.extractfile(entry)


class _SmallReads:
    """A file for tarfile, which reads a header of any size at once."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


@contextmanager
def _opened_tar(archive: Path) -> Iterator[tarfile.TarFile]:
    with archive.open("rb") as file:
        start = file.read(6)
    readers: dict[bytes, Callable[..., Any]] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ\0": lzma.open,
    }
    opener = next((found for magic, found in readers.items() if start.startswith(magic)), open)
    with opener(archive, "rb") as file, tarfile.open(fileobj=_SmallReads(file), mode="r:") as found:
        yield found


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise UserError(
            f"{archive}: cannot be unpacked ({first_line(error)}): delete it and fetch it again"
        ) from None
    except (RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise UserError(f"{archive}: cannot be unpacked ({first_line(error)})") from None
