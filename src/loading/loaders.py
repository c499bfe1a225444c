"""Rows of a table as tensors, one by one and in batches: decode, prepare, augment, finish."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from ..core.errors import UserError, require
from ..datasets.table import Table
from ..preprocess.image import ImageError, decode_image, file_bytes
from ..preprocess.spec import Preprocessing
from .augment import Augmentation, AugmentedImage
from .batches import CPU, DeviceBatches
from .copies import moved
from .prepared import PreparedImages
from .sampler import EpochBatches

T = TypeVar("T")
STATISTICS_ROWS = 2000
log = logging.getLogger(__name__)


class LocalISICDataset(Dataset):
    """`dataset[row]` is (image float32 [3, H, W], label, group), group -1 where unknown.

    After these come the probabilities [classes] of a teacher, where the table has them (`taught`).
    `dataset[row, seed]` is the same row augmented by `augmentation` with that seed, which may
    change the group. Images come from `prepared` files where these are at hand.
    """

    def __init__(
        self,
        table: Table,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None = None,
        prepared: PreparedImages | None = None,
    ):
        self.paths = table.rows["image"].tolist()
        self.labels = table.labels
        self.groups = table.group_indices
        self.positives = table.labels == table.positive
        self.masks = table.rows["mask"].tolist()
        self.copies = table.rows["copy"].tolist() if "copy" in table.rows else None
        self.taught = np.stack(table.rows["taught"]) if "taught" in table.rows else None
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self._prepared = prepared if prepared is not None and prepared.is_whole else None
        if self._prepared is not None:
            self._places = self._prepared.places(table.rows["content"])
        elif prepared is not None:
            log.warning("%s: not on this machine; images are decoded again", prepared.path)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple:
        image, *rest = self.augmented(key)
        return torch.from_numpy(self.preprocessing.finish(image)), *rest

    def augmented(self, key: int | tuple[int, int]) -> tuple:
        """The same with RGB uint8 [H, W, 3], before preprocessing is finished."""
        row, seed = key if isinstance(key, tuple) else (key, None)
        (image, size), group = self.prepared(row), int(self.groups[row])
        if self.augmentation is not None and seed is not None:
            augmented = self.augmentation(self._to_augment(row, image, size), seed)
            image, group = augmented.image, augmented.group
        if self.copies is not None and seed is not None:
            image = moved(image, self.copies[row], seed)
        taught = () if self.taught is None else (torch.from_numpy(self.taught[row]),)
        return image, int(self.labels[row]), group, *taught

    def prepared(self, row: int) -> tuple[np.ndarray, tuple[int, int]]:
        """(RGB uint8 of a row at the augmentation point, the decoded image's height and width)."""
        if self._prepared is not None:
            return self._prepared[self._places[row]]
        image, size = _read(self.paths[row], self.preprocessing.decode)
        return self.preprocessing.prepare(image), size

    def why_unchanged(self, row: int) -> str:
        """Why the augmentation of skin can never change the row's image, or no text."""
        return self.augmentation.why_unchanged(self._to_augment(row, *self.prepared(row)))

    def _to_augment(self, row: int, image: np.ndarray, size: tuple[int, int]) -> AugmentedImage:
        group = int(self.groups[row])
        lesion = self._lesion(row, size) if self.augmentation.needs_mask(group) else None
        return AugmentedImage(image, group, lesion, bool(self.positives[row]))

    def _lesion(self, row: int, size: tuple[int, int]) -> np.ndarray:
        """The row's mask, moved as *prepare* moves its image."""
        mask = _read(self.masks[row], decode_image)
        require(
            mask.shape[:2] == size,
            f"{self.masks[row]}: {mask.shape[1]}x{mask.shape[0]} pixels, but its image "
            f"{self.paths[row]} has {size[1]}x{size[0]}",
        )
        if 0 < mask.max() <= 127:  # as of a mask of zeros and ones: its lesion would be lost
            raise UserError(
                f"{self.masks[row]}: its brightest sample is {mask.max()}, expected the lesion in "
                "white (255)"
            )
        return self.preprocessing.prepare_mask(mask)


def _read(path: str, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(file_bytes(Path(path)))
    except ImageError as error:  # changed since the images were checked
        raise UserError(f"{path}: {error}") from None


def with_statistics(
    spec: Preprocessing, train: Table, prepared: PreparedImages | None = None
) -> Preprocessing:
    """The spec with all constants; `stats='train'` is counted on up to 2000 training rows."""
    if spec.waits_for != "train":
        return spec
    step = max(1, len(train) // STATISTICS_ROWS)
    images = LocalISICDataset(train, spec, prepared=prepared)
    return spec.with_statistics(images.prepared(row)[0] for row in range(0, len(train), step))


def train_loader(
    table: Table,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    batches: EpochBatches,
    num_workers: int,
    pin_memory: bool,
    prepared: PreparedImages | None = None,
    device: torch.device = CPU,
) -> DeviceBatches:
    """Batches of augmented (images, labels, groups) in the order of `batches`, on the device."""
    rows = LocalISICDataset(table, preprocessing, augmentation, prepared)
    return DeviceBatches(rows, batches, num_workers, pin_memory, device)


def eval_loader(
    table: Table,
    preprocessing: Preprocessing,
    batch_size: int,
    num_workers: int,
    pin_memory: bool,
    rank: int = 0,
    n_ranks: int = 1,
    prepared: PreparedImages | None = None,
    device: torch.device = CPU,
) -> DeviceBatches:
    """Batches of (images, labels, groups) in the table's order, every row once: `rows_in_order`."""
    batches = rows_in_order(len(table), batch_size, rank, n_ranks)
    rows = LocalISICDataset(table, preprocessing, prepared=prepared)
    return DeviceBatches(rows, batches, num_workers, pin_memory, device)


def rows_in_order(n_rows: int, batch_size: int, rank: int = 0, n_ranks: int = 1) -> list[range]:
    """Batches of all rows, of which each of `n_ranks` processes takes every n-th.

    What is in a batch does not depend on their number.
    """
    starts = range(0, n_rows, batch_size)[rank::n_ranks]
    return [range(start, min(start + batch_size, n_rows)) for start in starts]
