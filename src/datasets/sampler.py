"""The order of training rows: every epoch a pure function of (seed, epoch)."""

from collections.abc import Callable, Iterator

import numpy as np

from src.core.errors import UserError
from src.core.registry import Registry

SAMPLERS = Registry("sampler")
Order = Callable[[np.random.Generator], np.ndarray]


@SAMPLERS.register
def random(labels: np.ndarray) -> Order:
    """Every row once."""
    return lambda rng: rng.permutation(len(labels))


@SAMPLERS.register
def class_balanced(labels: np.ndarray) -> Order:
    """As many draws as rows, with replacement, every class equally likely."""
    counts = np.bincount(labels)
    weights = 1.0 / counts[labels]
    return lambda rng: rng.choice(len(labels), len(labels), p=weights / weights.sum())


@SAMPLERS.register
def undersample(labels: np.ndarray, *, ratio: float = 1.0) -> Order:
    """All rows of the rarest class, and of each other class at most `ratio` times as many."""
    if ratio <= 0:
        raise UserError(f"undersample(ratio={ratio}): expected more than 0")
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    limit = max(1, round(ratio * min(map(len, by_class))))
    rarest = min(map(len, by_class))

    def order(rng: np.random.Generator) -> np.ndarray:
        kept = [rows if len(rows) == rarest else rng.permutation(rows)[:limit] for rows in by_class]
        return rng.permutation(np.concatenate(kept))

    return order


class EpochBatches:
    """Batches of (row, seed) for a data loader; `seed` makes the augmentation of that draw.

    A last batch of a single row is left out (batch statistics need two), unless it is the only.
    """

    def __init__(self, order: Order, batch_size: int, seed: int):
        self.order, self.batch_size, self.seed = order, batch_size, seed
        self.epoch = 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        sequence = np.random.SeedSequence([self.seed, self.epoch])
        rows = self.order(np.random.default_rng(sequence))
        seeds = sequence.generate_state(len(rows), np.uint32)
        draws = list(zip(rows.tolist(), seeds.tolist(), strict=True))
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield draws[start : start + self.batch_size]

    def __len__(self) -> int:
        n_rows = len(self.order(np.random.default_rng(0)))
        full, rest = divmod(n_rows, self.batch_size)
        return full + (1 if rest > 1 or full == 0 else 0)
