"""Training steps, and predicting the rows of a loader."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from ..core.config import Config
from ..core.errors import UserError, first_line, is_out_of_memory
from ..core.progress import progress
from ..loading.batches import Batch
from ..objectives.mixing import Mixing, mixed_loss
from .distributed import SINGLE_PROCESS, Processes

LOSSES_READ = 50  # steps whose losses are read at once: reading one waits for the device


@dataclass(frozen=True)
class StepSettings:
    """How an optimizer step is made."""

    update_freq: int
    steps_per_epoch: int
    clip_grad: float | None
    learning_rate: Callable[[int, list[float]], float]
    weight_decay: Callable[[int], float]
    mixing: Mixing = field(default_factory=Mixing)
    autocast_dtype: torch.dtype | None = None
    seed: int = 0


@dataclass
class Position:
    """A place in the training: `step` optimizer steps of `epoch` are done.

    `loss_sum` is the sum over the `n_rows` rows of these steps, up to those whose losses
    `Trainer.read_losses` has still to read.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    n_rows: int = 0


class Trainer:
    """What steps change: the model, its moving average, optimizer, scaler and objective.

    All that is random in a step is a pure function of seed, step and process. The loss is that of
    the rows of all processes together, so that their number does not change what is learned.
    """

    def __init__(
        self,
        classifier: nn.Module,
        objective: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: StepSettings,
        device: torch.device,
        processes: Processes = SINGLE_PROCESS,
        average: AveragedModel | None = None,
        compiled: bool = False,
    ):
        self.classifier, self.objective, self.optimizer = classifier, objective, optimizer
        self.settings, self.device, self.processes = settings, device, processes
        self.average = average
        # at work for float16 only: its small gradients would become 0
        needs_scaling = settings.autocast_dtype == torch.float16
        self.scaler = torch.amp.GradScaler(device.type, enabled=needs_scaling)
        self.model = classifier
        if processes.count > 1:
            ids = [device] if device.type == "cuda" else None
            self.model = DistributedDataParallel(classifier, device_ids=ids)
        if compiled:
            self.model = torch.compile(self.model)
        self._losses: list[tuple[int, int, torch.Tensor]] = []  # (step, rows, mean loss)

    def epoch(
        self, batches: Iterable[Batch], position: Position, values: list[float]
    ) -> Iterator[None]:
        """Take the steps of an epoch from `position` on, and keep that up to date at each yield.

        `batches` start there as well, on the device; `values` are the monitored ones of earlier
        epochs. Raises `UserError` when the loss is no longer finite.
        """
        self.model.train()
        self.objective.train()
        title, quiet = f"epoch {position.epoch + 1}", not self.processes.is_main
        batches = iter(progress(batches, title, unit="batch", quiet=quiet))
        while True:
            # the last step may have fewer batches, and is a mean over those
            parts = list(itertools.islice(batches, self.settings.update_freq))
            if not parts:
                self.read_losses(position)
                return
            number = position.epoch * self.settings.steps_per_epoch + position.step
            self._set_rates(number, values)
            for place, part in enumerate(parts):
                waits = self.processes.count > 1 and place + 1 < len(parts)
                with self.model.no_sync() if waits else nullcontext():
                    self._backward(part, len(parts), (number, place))
            self.update()
            position.step += 1
            if len(self._losses) >= LOSSES_READ:
                self.read_losses(position)
            yield

    def read_losses(self, position: Position) -> None:
        """Add the losses of the steps since the last reading. Before anything is saved.

        Raises `UserError` for one that is not finite.
        """
        losses, self._losses = self._losses, []
        values = torch.stack([loss for *_, loss in losses]).tolist() if losses else []
        for (step, n_rows, _), value in zip(losses, values, strict=True):
            if not np.isfinite(value):
                raise UserError(f"the loss is {value} at step {step}: try a lower --lr")
            position.loss_sum += value * n_rows
            position.n_rows += n_rows

    def _backward(self, batch: Batch, n_parts: int, numbers: tuple[int, int]) -> None:
        """Add a batch's share to the gradients, and its loss to those to be read."""
        images, labels, groups, *taught = batch
        count, dtype = self.processes.count, self.settings.autocast_dtype
        seed_torch(self.settings.seed, *numbers)  # one share, and one box, for all processes
        images, order, share = self.settings.mixing(images)
        seed_torch(self.settings.seed, *numbers, self.processes.rank + 1)
        try:
            with torch.autocast(self.device.type, dtype, enabled=dtype is not None):
                logits = self.model(images)
        except ValueError as error:  # batch statistics of a single value
            raise UserError(f"--batch_size: {error}") from None
        logits = self.processes.rows_of_all(logits.float())
        own, partners = self._of_all(order, labels, groups, *taught)
        loss = mixed_loss(self.objective, logits, own, partners, share)
        self._losses.append((numbers[0], len(logits), loss.detach()))
        # processes average their gradients, of which each has its own rows' part of the sum
        self.scaler.scale(loss * count / n_parts).backward()

    def _of_all(self, order, labels, groups, *taught) -> list[tuple[torch.Tensor, ...]]:
        """[own, partners]: (labels, groups, a teacher's probabilities) of all processes' rows."""
        known, *soft = (
            self.processes.rows_of_all(torch.stack([column, column[order]], dim=1))
            for column in (torch.stack([labels, groups], dim=1), *taught)
        )
        return [(*known[:, i].T, *(pair[:, i] for pair in soft)) for i in (0, 1)]

    def update(self) -> None:
        """One step of the optimizer by the gradients that there are."""
        if self.settings.clip_grad is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.classifier.parameters(), self.settings.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.classifier)

    def _set_rates(self, step: int, values: list[float]) -> None:
        lr, decay = self.settings.learning_rate(step, values), self.settings.weight_decay(step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
            if group["decays"]:
                group["weight_decay"] = decay


@torch.inference_mode()
def predict(
    network: nn.Module, batches: Iterable[Batch], title: str, quiet: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """float32 (logits, probabilities) of each batch, with `network` in evaluation mode."""
    network.eval()
    shown = progress(batches, title, unit="batch", quiet=quiet)
    outputs = [network(images) for images, _, _ in shown]  # on the device: it is not waited for
    return [tuple(part.float().cpu().numpy() for part in output) for output in outputs]


@contextmanager
def limits_told(cfg: Config) -> Iterator[None]:
    """Turns what a machine, or a number of 32 bits, lacks room for into a `UserError`."""
    try:
        yield
    except (RuntimeError, MemoryError, OverflowError, OSError) as error:
        said = first_line(error)
        if is_out_of_memory(error):
            what = (
                f"not enough memory ({said}): lower --batch_size {cfg.learning.batch_size}, "
                f"--eval_batch_size {cfg.run.eval_batch_size} or --num_workers "
                f"{cfg.data.num_workers}"
            )
        elif "DataLoader worker" in said and "Caught" not in said:
            what = (
                f"a data loading process ended ({said}), which mostly means that memory or "
                f"/dev/shm is full: lower --num_workers {cfg.data.num_workers} or --batch_size, "
                "and continue with --resume"
            )
        elif isinstance(error, OverflowError) or "without overflow" in said:
            what = f"a setting is too large a number ({said}): lower --lr, --weight_decay or others"
        else:
            raise
        raise UserError(what) from None


def seed_torch(*numbers: int) -> None:
    """Seed torch's generators from `numbers`: the same step draws the same dropout masks."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # else `torch.manual_seed` notes a traceback, each time
        torch.cuda.manual_seed_all(seed)
