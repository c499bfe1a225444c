"""Features of a frozen backbone, computed once, in place of the images that they are of."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import timm
import torch
from torch import nn

from ..core.errors import UserError
from ..core.files import make_folder, replacing
from ..core.progress import progress
from ..core.settings import Data
from ..datasets.table import Table
from ..preprocess.spec import Preprocessing
from .augment import Augmentation
from .batches import Batch, DeviceBatches, ResidentBatches

FORMAT = 1


def view_keys(n_rows: int, n_views: int, seed: int, size: int) -> list[list[tuple[int, int]]]:
    """Batches of (row, seed): all rows for each view, a pure function of `seed` and the counts."""
    seeds = np.random.SeedSequence([seed, n_views]).generate_state(n_views * n_rows, np.uint32)
    keys = [(place % n_rows, int(own)) for place, own in enumerate(seeds)]
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def feature_batches(
    columns: Batch, batch_sampler: Iterable, device: torch.device, n_rows: int
) -> ResidentBatches:
    """Batches of features in `columns`, of all rows view by view; a row's seed chooses its view."""
    features, labels, groups = (column.to(device) for column in columns)
    n_views = len(features) // n_rows

    def make(rows: torch.Tensor, seeds: torch.Tensor | int = 0) -> Batch:
        places = (seeds % n_views * n_rows + rows).to(device, non_blocking=True)
        return features[places], labels[places], groups[places]

    return ResidentBatches(batch_sampler, make)


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


def feature_path(
    data: Data, backbone: nn.Module, table: Table, spec: Preprocessing, augment: str, *settings: Any
) -> Path | None:
    """The file of a table's features, named by a digest of all that they depend on.

    These are weights, images, preprocessing, augmentation, `settings` and the versions of what
    computes. None without `--cache disk`, and where features depend on masks, of whose content
    there is no digest.
    """
    if data.cache != "disk" or Augmentation(augment).groups is not None:
        return None
    versions = [FORMAT, torch.__version__, timm.__version__, cv2.__version__]
    said = [*versions, spec.digest, augment, table.positive, *map(str, settings)]
    digest = hashlib.sha256(json.dumps(said).encode())
    for name, tensor in backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy())
    columns = [name for name in ("content", "copy") if name in table.rows]
    digest.update(table.rows[columns].to_csv().encode())
    digest.update(np.stack([table.labels, table.group_indices]).astype("<i8").tobytes())
    return Path(data.cache_dir) / f"{digest.hexdigest()[:32]}.features"


def kept_features(
    path: Path | None,
    images: DeviceBatches,
    backbone: nn.Module,
    processes: Any,
    dtype: torch.dtype | None = None,
) -> Batch:
    """(features, labels, groups) of all rows: those in the file, else computed and kept in it.

    `images` are the batches of this one of the `processes` (`engine.distributed`), of which the
    main one alone reads and writes.
    """
    found = processes.from_main(lambda: _read(path)) if path else None
    if found is None:
        own = featured(images, backbone, dtype, quiet=not processes.is_main)
        found = tuple(torch.cat(parts) for parts in zip(*processes.all_batches(own), strict=True))
        if path:
            processes.from_main(lambda: _write(path, found))
    return found


def _read(path: Path) -> Batch | None:
    """What is in a file; None without one, and for a spoilt one."""
    try:
        features, labels, groups = torch.load(path, weights_only=True)
        is_whole = features.ndim == 2 and labels.shape == groups.shape == features.shape[:1]
    except Exception:  # torch raises all kinds for what it does not expect
        return None
    return (features, labels, groups) if is_whole else None


def _write(path: Path, columns: Batch) -> None:
    make_folder(path.parent)
    try:
        with replacing(path) as temporary:
            torch.save(columns, temporary)
    except (OSError, RuntimeError) as error:  # of a full disk torch tells as a RuntimeError
        raise UserError(f"{path}: cannot be written ({error}); give another --cache_dir") from None
