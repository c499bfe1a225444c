"""The processes of a run and what they tell each other; nothing else uses torch.distributed."""

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from ..core.errors import UserError, first_line

T = TypeVar("T")
# what gloo and NCCL say in a RuntimeError when a process is gone
_LOST = ("gloo", "NCCL", "Connection closed", "Connection reset", "Timed out", "timed out")


@dataclass(frozen=True)
class Processes:
    """One process of `count`, by its `rank`; `local_rank` is its place on its machine.

    The methods are called by all processes in the same order, and of a single one return at once.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    slow_group: Any = None  # the group that waits as long as reading all images may take

    @property
    def is_main(self) -> bool:
        """Whether this is the process that names, reads and writes the run's folder."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """The values of all processes by rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def all_batches(self, own: list[T]) -> list[T]:
        """Those of all processes, of which batch 0 is the main one's first, 1 the next one's."""
        turns = itertools.zip_longest(*self.gather(own))
        return [batch for turn in turns for batch in turn if batch is not None]

    def from_main(self, make: Callable[[], T]) -> T:
        """What `make()` returns in the main process.

        A `UserError` in it ends all processes, and the main one alone says so.
        """
        if self.count == 1:
            return make()
        outcome: list = [None, False]
        error = None
        if self.is_main:
            try:
                outcome = [make(), False]
            except UserError as caught:
                outcome, error = [None, True], caught
        distributed.broadcast_object_list(outcome, group=self.slow_group)
        if error:
            raise error
        if outcome[1]:
            sys.exit(2)
        return outcome[0]

    def highest(self, value: int) -> int:
        """The largest of the processes' values."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value)
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
        return int(tensor)

    def rows_of_all(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows [N, ...] of all processes, [count * N, ...], in the order of their draws.

        Only this process's own rows have a gradient.
        """
        if self.count == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.count)]
        distributed.all_gather(parts, rows.detach().contiguous())
        parts[self.rank] = rows
        return torch.stack(parts, dim=1).flatten(0, 1)

    def share_buffers(self, model: nn.Module) -> None:
        """Give all processes the main one's buffers, such as batch statistics."""
        if self.count > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)


SINGLE_PROCESS = Processes()
_joined = SINGLE_PROCESS


@contextmanager
def joined_processes(device: str, timeout_s: float) -> Iterator[Processes]:
    """This process among those that RANK, WORLD_SIZE and LOCAL_RANK tell of, or alone.

    On GPUs they talk over NCCL, unless `device` is `cpu`, and about all else over gloo.
    Raises `UserError` where the others are not to be reached within `timeout_s`, and where one is
    lost later on.
    """
    global _joined
    count = _number("WORLD_SIZE", 1)
    if count == 1 or _joined.count > 1:  # alone, or joined already around this
        yield _joined
        return
    rank, local_rank = _number("RANK"), _number("LOCAL_RANK")
    if not rank < count:
        raise UserError(f"RANK={rank}: expected less than WORLD_SIZE={count}")
    on_gpus = device != "cpu" and torch.cuda.is_available()
    _connect("cpu:gloo,cuda:nccl" if on_gpus else "gloo", f"process {rank} of {count}", timeout_s)
    try:
        slow_group = distributed.new_group(backend="gloo", timeout=timedelta(days=1))
        _joined = Processes(rank, count, local_rank, slow_group)
        yield _joined
    except RuntimeError as error:
        if not any(word in str(error) for word in _LOST):
            raise
        raise UserError(
            f"process {rank} lost its connection to another process of this run; see that "
            f"process's error message ({first_line(error)}); continue with --resume auto"
        ) from None
    finally:
        _joined = SINGLE_PROCESS
        distributed.destroy_process_group()


def _connect(backend: str, who: str, timeout_s: float) -> None:
    try:
        distributed.init_process_group(backend, timeout=timedelta(seconds=timeout_s))
    except (distributed.DistError, RuntimeError, ValueError) as error:
        place = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise UserError(
            f"{who} cannot reach the others at {place} ({first_line(error)}): start all of them "
            "with torchrun, within --dist_timeout seconds"
        ) from None


def _number(name: str, default: int | None = None) -> int:
    text = os.environ.get(name, default)
    try:
        value = int(text)
    except (TypeError, ValueError):
        value = -1
    if value < 0:
        raise UserError(
            f"environment variable {name}={text}: expected a number; start the processes of a "
            "distributed run with torchrun"
        )
    return value
