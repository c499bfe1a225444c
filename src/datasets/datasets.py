"""Rows of a table as tensors: decode, prepare, augment, finish."""

from collections.abc import Callable

import torch
from torch.utils.data import Dataset

from src.core.errors import UserError
from src.datasets.augment import augment
from src.datasets.table import Table
from src.preprocess.image import ImageError, read_image
from src.preprocess.spec import Preprocessing


class LocalISICDataset(Dataset):
    """`dataset[row]` is (image float32 [3, H, W], label, group), group -1 where unknown.

    `dataset[row, seed]` is the same row augmented by `transform` with that seed.
    """

    def __init__(
        self, table: Table, preprocessing: Preprocessing, transform: Callable | None = None
    ):
        self.paths = table.rows["image"].tolist()
        self.labels = table.labels
        self.groups = table.group_indices
        self.preprocessing = preprocessing
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[torch.Tensor, int, int]:
        row, seed = key if isinstance(key, tuple) else (key, None)
        try:
            image = self.preprocessing.prepare(read_image(self.paths[row]))
        except ImageError as error:  # changed since the images were checked
            raise UserError(f"{self.paths[row]}: {error}") from None
        if self.transform is not None and seed is not None:
            image = augment(self.transform, image, seed)
        tensor = torch.from_numpy(self.preprocessing.finish(image))
        return tensor, int(self.labels[row]), int(self.groups[row])
