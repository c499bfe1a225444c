"""Rows of a table as tensors: decode, prepare, augment, finish."""

import numpy as np
import torch
from torch.utils.data import Dataset

from src.core.errors import UserError
from src.datasets.augment import Augmentation, Sample
from src.datasets.copies import moved
from src.datasets.table import Table
from src.preprocess.image import ImageError, read_image
from src.preprocess.spec import Preprocessing


class LocalISICDataset(Dataset):
    """`dataset[row]` is (image float32 [3, H, W], label, group), group -1 where unknown.

    `dataset[row, seed]` is the same row augmented by `augmentation` with that seed, which may
    change the group.
    """

    def __init__(
        self, table: Table, preprocessing: Preprocessing, augmentation: Augmentation | None = None
    ):
        self.paths = table.rows["image"].tolist()
        self.labels = table.labels
        self.groups = table.group_indices
        self.masks = table.rows["mask"].tolist()
        self.copies = table.rows["copy"].tolist() if "copy" in table.rows else None
        self.preprocessing = preprocessing
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[torch.Tensor, int, int]:
        row, seed = key if isinstance(key, tuple) else (key, None)
        image, group = _read(self.paths[row]), int(self.groups[row])
        sample = Sample(self.preprocessing.prepare(image), group)
        if self.augmentation is not None and seed is not None:
            if self.augmentation.wants_mask(group):
                lesion = self._lesion(row, image.shape[:2])
                sample = Sample(sample.image, group, lesion)
            sample = self.augmentation(sample, seed)
        image = sample.image
        if self.copies is not None and seed is not None:
            image = moved(image, self.copies[row], seed)
        tensor = torch.from_numpy(self.preprocessing.finish(image))
        return tensor, int(self.labels[row]), sample.group

    def _lesion(self, row: int, size: tuple[int, int]) -> np.ndarray:
        """The row's mask, moved as *prepare* moves its image."""
        mask = _read(self.masks[row])
        if mask.shape[:2] != size:
            raise UserError(
                f"{self.masks[row]}: {mask.shape[1]}x{mask.shape[0]} pixels, but its image "
                f"{self.paths[row]} has {size[1]}x{size[0]}"
            )
        if 0 < mask.max() <= 127:  # as of a mask of zeros and ones: its lesion would be lost
            raise UserError(
                f"{self.masks[row]}: its brightest sample is {mask.max()}, expected the lesion in "
                "white (255)"
            )
        return self.preprocessing.prepare_mask(mask)


def _read(path: str) -> np.ndarray:
    try:
        return read_image(path)
    except ImageError as error:  # changed since the images were checked
        raise UserError(f"{path}: {error}") from None
