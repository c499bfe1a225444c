"""Images decoded and prepared once, in one file that all processes of a machine map."""

import hashlib
import json
import logging
import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import cv2
import numpy as np

from ..core.errors import UserError, require
from ..core.files import clear_unfinished, make_folder, replacing, unfinished
from ..core.lease import leased
from ..core.memory import free_bytes
from ..core.progress import in_threads
from ..core.settings import Data
from ..datasets.table import Table
from ..preprocess.image import ImageError, digest_of, file_bytes
from ..preprocess.spec import Preprocessing

log = logging.getLogger(__name__)
FORMAT = 1
_SIZE_BYTES = 8  # of an image's own height and width


class PreparedImages:
    """Images of a file, each once, at the augmentation point: uint8 [n, height, width, 3].

    After them the file holds the decoded images' own sizes, int32 [n, 2]. Sent to another process
    it is the path alone.
    """

    def __init__(self, path: Path, name: str, digests: np.ndarray, size: tuple[int, int]):
        self.path, self.name, self.digests, self.size = path, name, digests, size

    @property
    def n_bytes(self) -> int:
        """The file's size."""
        return len(self.digests) * (self.image_bytes + _SIZE_BYTES)

    @property
    def image_bytes(self) -> int:
        """Of one image."""
        return self.size[0] * self.size[1] * 3

    @property
    def is_whole(self) -> bool:
        """Whether the file is there, on this machine, and whole."""
        try:
            is_ours = self.name in self.path.resolve().name  # of memory that is a link
            return is_ours and self.path.stat().st_size == self.n_bytes
        except OSError:
            return False

    def places(self, digests: Sequence[str]) -> np.ndarray:
        """int [rows]: the image of each row."""
        return np.searchsorted(self.digests, np.array(digests, "S32"))

    def __getitem__(self, place: int) -> tuple[np.ndarray, tuple[int, int]]:
        """(RGB uint8 [height, width, 3] of its own, the decoded image's height and width)."""
        images, sizes = self._maps
        return np.array(images[place]), tuple(sizes[place].tolist())

    @cached_property
    def _maps(self) -> tuple[np.ndarray, np.ndarray]:
        n_images = len(self.digests)
        data = np.memmap(self.path, np.uint8, "r")
        images, sizes = np.split(data, [n_images * self.image_bytes])
        return images.reshape(n_images, *self.size, 3), sizes.view("<i4").reshape(n_images, 2)

    def __getstate__(self) -> dict:
        return {k: v for k, v in vars(self).items() if k != "_maps"}


def check_can_be_cached(spec: Preprocessing, cache: str) -> None:
    """Raise `UserError` where images differ in size at the augmentation point."""
    require(
        cache == "none" or spec.prepared_size is not None,
        f"--cache {cache}: expected a step before the augmentation point || of --preprocess that "
        "fixes the size, such as resize",
    )


def prepare_images(table: Table, spec: Preprocessing, data: Data) -> PreparedImages | None:
    """The images of a checked table as `--cache` says, those of an earlier run where it has them.

    None without a cache; for `--resident` then in memory. One process at a time makes a file on a
    disk, and others wait for it. Raises `UserError` where there is no room and where an image
    changed since it was checked.
    """
    cache = "ram" if data.resident and data.cache == "none" else data.cache
    if cache == "none" or not len(table):
        return None
    check_can_be_cached(spec, cache)
    digests, first = np.unique(table.rows["content"].to_numpy("S32"), return_index=True)
    paths, name = table.rows["image"].iloc[first].tolist(), _name(digests, spec)
    if cache == "ram":
        return _in_memory(paths, spec, digests, name)
    path = Path(data.cache_dir) / name
    prepared = PreparedImages(path, name, digests, spec.prepared_size)
    with _read_already(_waiting_path(data, spec), prepared) as already:
        if not prepared.is_whole:
            with leased(path.with_suffix(".lease"), f"cache {path}", waits=True):
                if not prepared.is_whole:
                    _make_file(path, paths, spec, prepared, already)
    log.info("%s prepared images (%s) in %s", f"{len(digests):,}", _gb(prepared.n_bytes), path)
    return prepared


class FirstReading:
    """The check of images that also prepares each: a first run decodes none twice.

    `reading(path)` is (digest of the file's bytes, why it is no usable image). What it prepares
    waits for `prepare_images` in a file of this process, where there is room.
    """

    def __init__(self, data: Data, spec: Preprocessing):
        self._path, self._spec, self._lock = _waiting_path(data, spec), spec, Lock()
        self._is_begun = self._has_room = False

    def __call__(self, path: str) -> tuple[str, str]:
        digest = ""
        try:
            data = file_bytes(Path(path))
            digest = digest_of(data)
            image, size = self._spec.decode(data)
        except ImageError as error:
            return digest, str(error)
        record = digest.encode() + _packed(image, size, self._spec)
        with self._lock:
            self._keep(record)
        return digest, ""

    def _keep(self, record: bytes) -> None:
        """Append to the file, until there is no room."""
        with suppress(OSError):
            if not self._is_begun:
                clear_unfinished(make_folder(self._path.parent), _stem(self._spec))
                self._path.unlink(missing_ok=True)  # of a process that had our number
                self._is_begun = self._has_room = True
            if self._has_room:
                self._has_room = False  # unless all of it is written
                with self._path.open("ab", buffering=0) as file:
                    self._has_room = file.write(record) == len(record)


def first_reading(data: Data, spec: Preprocessing) -> FirstReading | None:
    """The check of images for `load_table`; None is the usual one, without `--cache disk`."""
    return FirstReading(data, spec) if data.cache == "disk" else None


def _waiting_path(data: Data, spec: Preprocessing) -> Path:
    return unfinished(Path(data.cache_dir) / _stem(spec))


def _stem(spec: Preprocessing) -> str:
    """The name of images that are prepared in this way, whichever they are."""
    return _name(np.array([], "S32"), spec).partition(".")[0]


@contextmanager
def _read_already(path: Path, prepared: PreparedImages) -> Iterator[Callable[[bytes], bytes]]:
    """What `FirstReading` left in a file of an image, by digest; empty where it left nothing.

    The file ends with the block.
    """
    length = 32 + _SIZE_BYTES + prepared.image_bytes
    try:
        file = path.open("rb")
    except OSError:
        yield lambda digest: b""
        return
    try:
        with file:
            n_images = os.fstat(file.fileno()).st_size // length
            starts = {os.pread(file.fileno(), 32, i * length): i * length for i in range(n_images)}

            def content(digest: bytes) -> bytes:
                found = starts.get(digest)
                return b"" if found is None else os.pread(file.fileno(), length - 32, found + 32)

            yield content
    finally:
        path.unlink(missing_ok=True)


def _name(digests: np.ndarray, spec: Preprocessing) -> str:
    """A file's name: a digest of all that its bytes depend on."""
    steps = [[s.name, s.options] for s in spec.steps[: spec.augmentation_point]]
    said = json.dumps([FORMAT, cv2.__version__, steps, spec.prepared_probe], sort_keys=True)
    return hashlib.sha256(said.encode() + digests.tobytes()).hexdigest()[:32] + ".images"


def _make_file(
    path: Path,
    paths: list[str],
    spec: Preprocessing,
    prepared: PreparedImages,
    already: Callable[[bytes], bytes],
) -> None:
    free = shutil.disk_usage(make_folder(path.parent)).free
    require(
        prepared.n_bytes < free,
        f"--cache disk: {len(paths):,} images take {_gb(prepared.n_bytes)}, and {path.parent} has "
        f"{_gb(free)} left; make room, or give another --cache_dir",
    )
    with replacing(path) as temporary, temporary.open("r+b") as file:
        _write(file, paths, spec, prepared, already)


def _in_memory(
    paths: list[str], spec: Preprocessing, digests: np.ndarray, name: str
) -> PreparedImages:
    """In memory that ends with this process and those that have it mapped, however they end."""
    require(hasattr(os, "memfd_create"), "--cache ram: expected Linux; give --cache disk")
    memory = os.memfd_create(name)
    path = Path(f"/proc/{os.getpid()}/fd/{memory}")
    prepared = PreparedImages(path, name, digests, spec.prepared_size)
    weakref.finalize(prepared, os.close, memory)
    free = free_bytes()
    require(
        prepared.n_bytes < 0.9 * free,
        f"--cache ram: {len(paths):,} images take {_gb(prepared.n_bytes)}, and {_gb(free)} of "
        "memory are free; give --cache disk",
    )
    with path.open("r+b") as file:
        _write(file, paths, spec, prepared, lambda digest: b"")
    log.info("%s prepared images (%s) in memory", f"{len(digests):,}", _gb(prepared.n_bytes))
    return prepared


def _write(
    file: BinaryIO,
    paths: list[str],
    spec: Preprocessing,
    prepared: PreparedImages,
    already: Callable[[bytes], bytes],
) -> None:
    """Fill a file. Threads decode; each writes its image as it is done, so that none pile up."""
    lock, n_bytes, n_images = Lock(), prepared.image_bytes, len(paths)

    def store(place: int) -> None:
        digest = prepared.digests[place]
        both = already(digest) or _read(paths[place], digest.decode(), spec)
        with lock:
            file.seek(place * n_bytes)
            file.write(both[_SIZE_BYTES:])
            file.seek(n_images * n_bytes + place * _SIZE_BYTES)
            file.write(both[:_SIZE_BYTES])

    for _ in in_threads(store, range(n_images), "preparing images", "image"):
        pass
    file.flush()


def _read(path: str, digest: str, spec: Preprocessing) -> bytes:
    try:
        data = file_bytes(Path(path))
        require(digest_of(data) == digest, f"{path}: changed since the images were checked")
        return _packed(*spec.decode(data), spec)
    except ImageError as error:
        raise UserError(f"{path}: {error}") from None


def _packed(image: np.ndarray, size: tuple[int, int], spec: Preprocessing) -> bytes:
    """A decoded image as it is kept: its own size, then its pixels prepared."""
    return np.array(size, "<i4").tobytes() + np.ascontiguousarray(spec.prepare(image)).tobytes()


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3g} GB"
