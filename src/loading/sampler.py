"""The order of training rows: every epoch a pure function of (seed, epoch), shared out by rank."""

from collections.abc import Callable, Iterator

import numpy as np

from ..core.errors import require
from ..core.registry import Registry

SAMPLERS = Registry("sampler")
MAX_DRAWS = 10_000_000
Order = Callable[[np.random.Generator], np.ndarray]


@SAMPLERS.register
def random(labels: np.ndarray) -> Order:
    """Every row once."""
    return lambda rng: rng.permutation(len(labels))


@SAMPLERS.register
def oversample(labels: np.ndarray, *, to: int = 0) -> Order:
    """As many draws as rows, with replacement, every class equally likely.

    The weights are those of torchsampler's `ImbalancedDatasetSampler`; the order is ours. With
    `to`, all rows once, and of each class with fewer than `to` rows as many more, with replacement,
    as it lacks.
    """
    require(0 <= to <= MAX_DRAWS, f"oversample(to={to}): expected 1 to {MAX_DRAWS:,} rows, or 0")
    if to:
        return _filled_up(labels, to)
    from torchsampler import ImbalancedDatasetSampler  # brings torchvision's data sets with it

    return _drawn(ImbalancedDatasetSampler(labels, labels=labels.tolist()).weights.numpy())


@SAMPLERS.register
def weighted(labels: np.ndarray, *, power: float = 0.5) -> Order:
    """As many draws as rows, with replacement, rows of a class of N weighted by N^-power.

    `power` 0 is the data's own share of the classes, 1 is `oversample`.
    """
    require(0 <= power <= 2, f"weighted(power={power}): expected 0 to 2")
    return _drawn(_weights(labels, power))


@SAMPLERS.register
def group_balanced(labels: np.ndarray, groups: np.ndarray) -> Order:
    """As many draws as rows, with replacement, every pair of class and group equally likely.

    Rows of unknown group are a group of their own.
    """
    return _drawn(_weights(labels * (groups.max() + 2) + groups + 1, power=1.0))


@SAMPLERS.register
def undersample(labels: np.ndarray, *, ratio: float = 1.0) -> Order:
    """All rows of the rarest class, and of each other class at most `ratio` times as many."""
    require(ratio > 0, f"undersample(ratio={ratio}): expected more than 0")
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    rarest = min(map(len, by_class))
    limit = max(1, round(min(ratio * rarest, len(labels))))

    def order(rng: np.random.Generator) -> np.ndarray:
        kept = [rows if len(rows) == rarest else rng.permutation(rows)[:limit] for rows in by_class]
        return rng.permutation(np.concatenate(kept))

    return order


@SAMPLERS.register
def balanced_batch(labels: np.ndarray, n_ranks: int) -> Order:
    """The classes in turn on every rank, each as often as the most frequent has rows.

    A batch then holds every class equally often, or one row more of some where its size is no
    multiple of the number of classes. Rows of a class come in random order, all once before any
    comes again.
    """
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    most = max(map(len, by_class))
    n_turns = -(-most // n_ranks)

    def order(rng: np.random.Generator) -> np.ndarray:
        columns = []
        for rows in by_class:
            rounds = -(-n_turns * n_ranks // len(rows))
            drawn = np.concatenate([rng.permutation(rows) for _ in range(rounds)])
            columns.append(drawn[: n_turns * n_ranks].reshape(n_turns, n_ranks))
        return np.stack(columns, axis=1).reshape(-1)

    return order


class EpochBatches:
    """Batches of (row, seed) for a data loader; `seed` makes the augmentation of that draw.

    Of `n_ranks` processes each has one `rank` and takes every n-th draw: batches of `batch_size`
    on each are together the batches of `n_ranks * batch_size` that one process would have. Draws
    that do not go round are left out, as is a last batch of a single row (batch statistics need
    two), unless it is the only. `start` is the batch that an epoch begins with. Raises `UserError`
    where an epoch has fewer draws than ranks.
    """

    def __init__(self, order: Order, batch_size: int, seed: int, rank: int = 0, n_ranks: int = 1):
        self.order, self.batch_size, self.seed = order, batch_size, seed
        self.rank, self.n_ranks = rank, n_ranks
        self.epoch, self.start = 0, 0
        n_draws = len(order(np.random.default_rng(0)))  # the same in every epoch
        require(
            n_draws >= n_ranks,
            f"{n_draws} training rows in an epoch: expected one for each of {n_ranks} processes",
        )
        self._n_rows = n_draws // n_ranks

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        sequence = np.random.SeedSequence([self.seed, self.epoch])
        rows = self.order(np.random.default_rng(sequence))
        seeds = sequence.generate_state(len(rows), np.uint32)
        draws = list(zip(rows.tolist(), seeds.tolist(), strict=True))
        mine = draws[self.rank : self._n_rows * self.n_ranks : self.n_ranks]
        for number in range(self.start, len(self)):
            yield mine[number * self.batch_size : (number + 1) * self.batch_size]

    def __len__(self) -> int:
        full, rest = divmod(self._n_rows, self.batch_size)
        return full + (1 if rest > 1 or full == 0 else 0)


def _weights(kinds: np.ndarray, power: float) -> np.ndarray:
    """float64 [rows]: N^-power for rows of a kind of N."""
    _, index, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    return counts[index].astype(float) ** -power


def _filled_up(labels: np.ndarray, to: int) -> Order:
    """All rows, and more of each class that has fewer than `to`, up to these."""
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def order(rng: np.random.Generator) -> np.ndarray:
        more = [rng.choice(rows, max(0, to - len(rows))) for rows in by_class]
        return rng.permutation(np.concatenate([*by_class, *more]))

    return order


def _drawn(weights: np.ndarray) -> Order:
    """As many draws as rows, with replacement, by these weights."""
    shares = weights / weights.sum()
    return lambda rng: rng.choice(len(shares), len(shares), p=shares)
