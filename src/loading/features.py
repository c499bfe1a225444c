"""Features of a frozen backbone, computed once, in place of the images that they are of."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

from ..core.progress import progress
from .batches import Batch, DeviceBatches, ResidentBatches


def with_features(
    loader: DeviceBatches,
    compute: Callable[[DeviceBatches], list[Batch]],
    n_views: int,
    seed: int,
    rank: int = 0,
    n_ranks: int = 1,
) -> ResidentBatches:
    """The same batches of rows with features for images: a row's seed chooses one of its views.

    `compute` gives the features of the batches of all processes, in order, from a loader of this
    one's. Views are augmented by seeds of their own, a pure function of `seed`.
    """
    n_rows, size = len(loader.rows), loader.batch_sampler.batch_size
    seeds = np.random.SeedSequence([seed, n_views]).generate_state(n_views * n_rows, np.uint32)
    keys = [(place % n_rows, int(own)) for place, own in enumerate(seeds)]
    batches = [keys[start : start + size] for start in range(0, len(keys), size)]
    images = loader.of(batches[rank::n_ranks])
    columns = [torch.cat(parts).to(loader.device) for parts in zip(*compute(images), strict=True)]

    def make(rows: torch.Tensor, seeds: torch.Tensor) -> Batch:
        places = (seeds % n_views * n_rows + rows).to(loader.device, non_blocking=True)
        return tuple(column[places] for column in columns)

    return ResidentBatches(loader.batch_sampler, make)


@torch.no_grad()
def featured(
    batches: Iterable[Batch],
    backbone: nn.Module,
    dtype: torch.dtype | None = None,
    quiet: bool = False,
) -> list[Batch]:
    """(features float32 [N, width], labels, groups) of each batch of images, on the CPU."""
    backbone.eval()
    found = []
    for images, labels, groups in progress(batches, "features", unit="batch", quiet=quiet):
        with torch.autocast(images.device.type, dtype, enabled=dtype is not None):
            features = backbone(images)
        found.append((features.float(), labels, groups))
    return [tuple(part.cpu() for part in batch) for batch in found]
