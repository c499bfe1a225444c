"""The epochs of a run: train, evaluate, save; stopped and continued to the same result."""

import logging
import math
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from ..core.config import Config
from ..core.errors import terminate
from ..datasets.splits import unit_numbers
from ..evaluation.predictions import Predictions
from ..selection.kept import KEPT, keep_epoch
from .checkpoint import Progress, load_first, remove_old, save_state, state_files
from .distributed import Processes
from .log import RunLog
from .loop import Trainer
from .parts import Parts
from .precision import forget_peak, peak_gb
from .resume import BEST, LATEST

log = logging.getLogger(__name__)
# what handles them where nobody else does
_ORDINARY = {
    signal.SIGTERM: (signal.SIG_DFL, terminate),
    signal.SIGINT: (signal.default_int_handler,),
}
# who presses Ctrl-C twice does not want to wait; launchers send SIGTERM twice and do
_REPEATED: dict[int, Any] = {
    signal.SIGTERM: signal.SIG_IGN,
    signal.SIGINT: signal.default_int_handler,
}


def train_epochs(
    cfg: Config, parts: Parts, folder: Path, run_log: RunLog | None, after_epoch: Callable | None
) -> Progress:
    """Train, evaluate and save every epoch that the run's last state has not seen; all of them."""
    processes = parts.trainer.processes
    progress = resume(cfg, parts, folder)
    if processes.is_main:  # the last line is lost when a run is killed right after it was saved
        run_log.history(progress.history)
    with stop_requests() as request:
        while not is_finished(cfg, progress):
            started, n_before = time.perf_counter(), progress.position.n_rows
            forget_peak(parts.trainer.device)
            parts.batches.epoch = progress.position.epoch
            parts.batches.start = progress.position.step * cfg.learning.update_freq
            values = progress.values(cfg.run.monitor)
            for _ in parts.trainer.epoch(parts.loader, progress.position, values):
                asked = processes.highest(request.signal)
                save_within_epoch(cfg, parts, progress, run_log, asked)
                stop_if_asked(processes, asked, folder)
            trained_s, n_rows = time.perf_counter() - started, progress.position.n_rows - n_before
            entry, valid = evaluated_epoch(cfg, parts, progress)
            entry["speed"] = speed(parts.trainer, trained_s, n_rows)
            entry["seconds"] = round(time.perf_counter() - started, 2)
            # what decides is one process's word: others may differ in a last digit
            decided = processes.from_main(lambda entry=entry: entry)  # type: ignore[misc]
            progress.add(decided, cfg.run.monitor)
            if processes.is_main:
                run_log.lease.check()
                if valid:
                    keep_epoch(folder / KEPT, entry["epoch"], valid, validation_clusters(parts))
                save_state(folder, parts, progress, checkpoint_names(cfg, entry))
                remove_old(folder, cfg.run.keep_checkpoints)
                run_log.epoch(progress.history, cfg.learning.early_stopping > 0)
                if after_epoch:
                    after_epoch(progress.history)
            stop_if_asked(processes, processes.highest(request.signal), folder)
    return progress


def resume(cfg: Config, parts: Parts, folder: Path) -> Progress:
    """How far the run in `folder` had come, with its state in the parts."""
    paths = parts.trainer.processes.from_main(lambda: state_files(cfg, folder))
    if not paths:
        return Progress()
    progress = load_first(paths, parts)
    place = progress.position
    log.info("continuing after %d of %d epochs", place.epoch, cfg.learning.epochs)
    if place.step:
        log.info("and %d of %d steps", place.step, parts.trainer.settings.steps_per_epoch)
    return progress


def is_finished(cfg: Config, progress: Progress) -> bool:
    """Whether all epochs are done, or too many since the best one."""
    patience = cfg.learning.early_stopping
    n_without_gain = len(progress.history) - 1 - progress.best_epoch
    if patience and progress.history and n_without_gain >= patience:
        log.info("stopped early: %d epochs without a better one", patience)
        return True
    return progress.position.epoch >= cfg.learning.epochs


def evaluated_epoch(
    cfg: Config, parts: Parts, progress: Progress
) -> tuple[dict, Predictions | None]:
    """(the history's line on the epoch whose steps are done, the validation rows, if any)"""
    trainer, place = parts.trainer, progress.position
    has_valid = len(parts.evaluator.table.split("valid")) > 0
    network = parts.evaluated_network()
    predictions, valid = parts.evaluator(network, "valid") if has_valid else (None, {})
    return {
        "epoch": place.epoch,
        "train_loss": place.loss_sum / place.n_rows,
        "lr": max(group["lr"] for group in trainer.optimizer.param_groups),
        "weight_decay": max(group["weight_decay"] for group in trainer.optimizer.param_groups),
        "valid": valid,
        "accuracy_by_class": accuracy_by_class(valid, parts.contract.classes),
    }, predictions


def validation_clusters(parts: Parts) -> np.ndarray:
    """Int [N]: the patient or lesion of each validation row, by a number."""
    return unit_numbers(parts.evaluator.table.split("valid").rows)[0]


def accuracy_by_class(metrics: dict, classes: Sequence[str]) -> dict[str, float]:
    """Of each class of evaluated rows the share that is decided right; none without rows."""
    counts = np.array(metrics.get("confusion_matrix", []))
    return {
        name: float(row[place] / row.sum()) if row.sum() else math.nan
        for place, (name, row) in enumerate(zip(classes, counts, strict=False))
    }


def speed(trainer: Trainer, trained_s: float, n_rows: int) -> dict[str, float]:
    """What the steps of an epoch took, or those since the run was resumed within it.

    `data_seconds` of waiting for batches, `step_seconds` of computing, images per second of both,
    and the most memory that was in use, in GB: of the device, on a CPU of this process.
    """
    return {
        "data_seconds": round(trainer.waited_s, 2),
        "step_seconds": round(trained_s - trainer.waited_s, 2),
        "images_per_second": round(n_rows / trained_s, 2),
        "peak_memory_gb": round(peak_gb(trainer.device), 3),
    }


def save_within_epoch(
    cfg: Config, parts: Parts, progress: Progress, run_log: RunLog | None, asked: int
) -> None:
    """Save after a step where that is due or `asked` for; the run must still have its folder."""
    every = cfg.run.save_ckpt_steps
    is_due = asked or (every and progress.position.step % every == 0)
    if is_due:
        parts.trainer.read_losses(progress.position)
    if run_log and (is_due or run_log.lease.seems_lost):
        run_log.lease.check()
    if run_log and is_due:
        save_state(run_log.folder, parts, progress, [LATEST])


def stop_if_asked(processes: Processes, asked: int, folder: Path) -> None:
    """Exit where `asked` is a signal; the state is saved."""
    if asked:
        processes.highest(0)  # all wait here for the main one: a launcher ends the rest after one
        log.info("stopped by signal %d and saved: continue with %s", asked, command(folder))
        sys.exit(128 + asked)  # as shells say it


def command(folder: Path) -> str:
    """The command that continues the run in a folder, from the present one and its processes."""
    program = Path(sys.argv[0]).name
    trainer = program if program == "melanoma-train" else "python melanoma_train.py"
    n_processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    if n_processes != "1":
        trainer = f"torchrun --nproc_per_node {n_processes} melanoma_train.py"
    return f"{trainer} --resume {shlex.quote(str(folder))}"


def checkpoint_names(cfg: Config, entry: dict) -> list[str]:
    """The files an epoch is saved under; the latest last: a killed run returns to it."""
    number = entry["epoch"]
    kept = cfg.run.save_ckpt and (number + 1) % cfg.run.save_ckpt_freq == 0
    names = [f"checkpoint_epoch_{number}.pth"] if kept else []
    return [*names, *([BEST] if entry["is_best"] else []), LATEST]


class StopRequest:
    """`signal` is the number of the signal that asked this process to stop, 0 without one."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, _REPEATED[number])


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """SIGTERM and SIGINT in the block are noted instead of ending the process.

    Those that somebody else handles already, such as a cluster's launcher, stay theirs.
    """
    request = StopRequest()
    taken = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in _ORDINARY}
        taken = {n: handler for n, handler in before.items() if handler in _ORDINARY[n]}
    for number in taken:
        signal.signal(number, request)
    try:
        yield request
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
