"""Data loaders, and the check of every image before training starts."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from src.core.errors import UserError
from src.datasets.augment import Augmentation
from src.datasets.datasets import LocalISICDataset
from src.datasets.sampler import EpochBatches
from src.datasets.table import Table
from src.preprocess.image import why_bad
from src.preprocess.spec import Preprocessing

GRACE_S = 5.0  # seconds; its alarm ends a process that handles none


def n_processes(num_workers: int) -> int:
    """Loading processes to start: what was asked for, at most one per CPU core."""
    return min(num_workers, os.cpu_count() or 1)


def without_bad_images(table: Table, max_bad_images: int) -> Table:
    """The table without rows whose image is missing or cannot be decoded.

    `bad` of the result lists them with their reasons; more than `max_bad_images` of them raise
    `UserError`.
    """
    paths = table.rows["image"].tolist()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        checks = tqdm(
            pool.map(why_bad, paths), "checking images", len(paths), disable=None, leave=False
        )
        reasons = list(checks)
    bad = list(table.bad)
    bad += [(path, reason) for path, reason in zip(paths, reasons, strict=True) if reason]
    if len(bad) > max_bad_images:
        first = "; ".join(f"{name}: {reason}" for name, reason in bad[:3])
        more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise UserError(
            f"{len(bad)} bad images, expected at most {max_bad_images} ({first}{more}): repair "
            f"them, or leave them out with --max_bad_images {len(bad)}"
        )
    good = table.rows[[reason is None for reason in reasons]]
    return replace(table, rows=good.reset_index(drop=True), bad=tuple(bad))


def train_loader(
    table: Table,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    batches: EpochBatches,
    num_workers: int,
    pin_memory: bool,
) -> DataLoader:
    """Batches of augmented (images, labels, groups) in the order of `batches`."""
    return DataLoader(
        LocalISICDataset(table, preprocessing, augmentation),
        batch_sampler=batches,
        num_workers=n_processes(num_workers),
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
    )


def eval_loader(
    table: Table,
    preprocessing: Preprocessing,
    batch_size: int,
    num_workers: int,
    pin_memory: bool,
    rank: int = 0,
    n_ranks: int = 1,
) -> DataLoader:
    """Batches of (images, labels, groups) in the table's order, every row once.

    Of `n_ranks` processes each has one `rank` and takes every n-th batch; what is in a batch does
    not depend on their number.
    """
    rows = range(len(table))
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return DataLoader(
        LocalISICDataset(table, preprocessing),
        batch_sampler=batches[rank::n_ranks],
        num_workers=n_processes(num_workers),
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
    )


def _start_worker(_: int) -> None:
    """Loading processes share the cores, one thread each; stopping is for their parent to do.

    A cluster sends SIGTERM to them as well: they go on for `GRACE_S`, in which the parent can end
    its step, and then end, as Python expects of what is left of them at its own end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.setitimer(signal.ITIMER_REAL, GRACE_S))
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
