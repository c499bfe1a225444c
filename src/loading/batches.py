"""Batches of network input where the network is: what leaves the CPU is uint8."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

Batch = tuple[torch.Tensor, ...]  # images, labels, groups, and what a teacher says, if any
CPU = torch.device("cpu")
GRACE_S = 5.0  # seconds; its alarm ends a process that handles none


class DeviceBatches:
    """Batches (images, labels, groups) of `rows` on a device, of the keys in `batch_sampler`.

    Images are float32 [N, 3, H, W], channels-last. `num_workers` processes load them, which stay
    from one time through to the next; they hand over uint8, and the device does the last step of
    preprocessing. They start with the first batch, or before at `start`.
    """

    def __init__(
        self,
        rows: Dataset,
        batch_sampler: Any,
        num_workers: int,
        pin_memory: bool,
        device: torch.device,
    ):
        self.rows, self.batch_sampler, self.device = rows, batch_sampler, device
        self.num_workers, self.pin_memory = num_workers, pin_memory
        n_workers, scaling = n_processes(num_workers), rows.preprocessing.scaling
        self._keys = _Keys(batch_sampler)
        self._loader = DataLoader(
            rows if scaling is None else _Unscaled(rows),
            batch_sampler=self._keys,
            num_workers=n_workers,
            pin_memory=pin_memory and device.type == "cuda",
            persistent_workers=n_workers > 0,
            worker_init_fn=_start_worker,
        )
        self._scaling = [torch.from_numpy(part).to(device) for part in scaling or ()]

    def of(self, batches: Iterable) -> "DeviceBatches":
        """Other batches of the same rows."""
        return DeviceBatches(self.rows, batches, self.num_workers, self.pin_memory, self.device)

    def start(self) -> None:
        """Start the loading processes, which then wait for the first time through.

        Best before there is a model: of what the main process changes later, each process that it
        started in between keeps a copy as it was, such as the weights.
        """
        if self._loader.num_workers:
            self._keys.are_held_back = True
            iter(self._loader)
            self._keys.are_held_back = False

    def stop(self) -> None:
        """End the loading processes. Left to the garbage collector, pipes may be closed twice."""
        running, self._loader._iterator = self._loader._iterator, None
        if running is not None:
            running._shutdown_workers()

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            images, *rest = (part.to(self.device, non_blocking=True) for part in batch)
            if self._scaling:
                yield scaled(images, *self._scaling), *rest
            else:
                yield images.to(memory_format=torch.channels_last), *rest


def scaled(images: torch.Tensor, factors: torch.Tensor, addends: torch.Tensor) -> torch.Tensor:
    """float32 [N, 3, H, W], channels-last, of uint8 [N, H, W, 3]: the bits that `normalize` gives.

    Repeated to a whole line of pixels the factors are a long vector: four times as fast. On a CPU
    an image at a time stays in the cache, which spares another third.
    """
    factors, addends = (part.repeat(images.shape[2]) for part in (factors, addends))
    lines = images.flatten(2)
    result = torch.empty(lines.shape, device=images.device)
    at_once = 1 if images.device.type == "cpu" else len(images)
    for part, target in zip(lines.split(at_once), result.split(at_once), strict=True):
        target.copy_(part).mul_(factors).add_(addends)
    return result.view(images.shape).permute(0, 3, 1, 2)


class ResidentBatches:
    """Batches of rows that are on the device already, which no loading process makes.

    `make(rows, seeds)` gives a batch of (row, seed) keys, int64 [N] each on the CPU, and
    `make(rows)` one of rows alone. The keys of each batch come from `batch_sampler`.
    """

    def __init__(self, batch_sampler: Any, make: Callable[..., Batch]):
        self.batch_sampler, self.make = batch_sampler, make

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        for keys in self.batch_sampler:
            yield self.make(*torch.tensor(list(keys)).view(len(keys), -1).T)


class _Keys:
    """The batches of keys of a sampler, unless they are held back: then none."""

    def __init__(self, batches: Any):
        self.batches, self.are_held_back = batches, False

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator:
        return iter(() if self.are_held_back else self.batches)


class _Unscaled(Dataset):
    """The rows of a data set as the device is to have them, which does the last step."""

    def __init__(self, rows: Dataset):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple:
        image, *rest = self.rows.augmented(key)
        return torch.from_numpy(self.rows.preprocessing.unscaled(image)), *rest


def n_processes(num_workers: int) -> int:
    """Loading processes to start: what was asked for, at most one per CPU core."""
    return min(num_workers, os.cpu_count() or 1)


def _start_worker(_: int) -> None:
    """Loading processes share the cores, one thread each; stopping is for their parent to do.

    A cluster sends SIGTERM to them as well: they go on for `GRACE_S`, in which the parent can end
    its step, and then end, as Python expects of what is left of them at its own end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.setitimer(signal.ITIMER_REAL, GRACE_S))
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
