"""Features of a frozen backbone, computed once, in place of the images that they are of."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ..core.progress import progress

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class FeatureRows(Dataset):
    """As `LocalISICDataset`, with the features of one of several views of a row for its image.

    `features` float [views, rows, width]; `labels` and `groups` int [views, rows]. The seed chooses
    the view.
    """

    def __init__(self, features: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor):
        self.features, self.labels, self.groups = features, labels.tolist(), groups.tolist()

    def __len__(self) -> int:
        return self.features.shape[1]

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, int, int]:
        row, seed = key
        view = seed % len(self.features)
        return self.features[view, row], self.labels[view][row], self.groups[view][row]


def with_features(
    loader: DataLoader,
    compute: Callable[[DataLoader], list[Batch]],
    n_views: int,
    seed: int,
    rank: int = 0,
    n_ranks: int = 1,
) -> DataLoader:
    """A loader of the same batches of rows that gives features for images.

    `compute` gives the features of the batches of all processes, in order, from a loader of this
    one's. Views are augmented by seeds of their own, a pure function of `seed`.
    """
    n_rows, size = len(loader.dataset), loader.batch_sampler.batch_size
    seeds = np.random.SeedSequence([seed, n_views]).generate_state(n_views * n_rows, np.uint32)
    keys = [(place % n_rows, int(own)) for place, own in enumerate(seeds)]
    batches = [keys[start : start + size] for start in range(0, len(keys), size)]
    images = DataLoader(
        loader.dataset,
        batch_sampler=batches[rank::n_ranks],
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
    )
    features, labels, groups = (
        torch.cat(column).unflatten(0, (n_views, n_rows))
        for column in zip(*compute(images), strict=True)
    )
    rows = FeatureRows(features, labels, groups)
    return DataLoader(rows, batch_sampler=loader.batch_sampler, num_workers=0)


@torch.no_grad()
def featured(
    batches: Iterable[Batch],
    backbone: nn.Module,
    device: torch.device,
    dtype: torch.dtype | None = None,
    quiet: bool = False,
) -> list[Batch]:
    """(features float32 [N, width], labels, groups) of each batch of images, on the CPU."""
    backbone.eval()
    found = []
    for images, labels, groups in progress(batches, "features", unit="batch", quiet=quiet):
        images = images.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            features = backbone(images)
        found.append((features.float().cpu(), labels, groups))
    return found
