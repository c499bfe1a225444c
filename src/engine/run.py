"""`train(cfg)`: names in the configuration become objects, and the objects a trained model."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch

from ..artifact.network import with_weights
from ..core.config import Config
from ..core.errors import UserError
from ..core.files import make_folder, write_text
from ..datasets.load import load_table
from ..datasets.overlap import write_training_rows
from ..datasets.table import SPLITS, Table, split_csv
from .checkpoint import BEST, best_state, find_run, has_state
from .checks import check_settings, check_table
from .distributed import joined_processes
from .epochs import train_epochs
from .log import RunLog, log_to_console, new_run_name
from .parts import fetch_weights, make_parts, row_counts
from .precision import check_device, pick_device, set_kernels

log = logging.getLogger(__name__)


def train(cfg: Config, after_epoch: Callable[[list[dict]], None] | None = None) -> Path:
    """Train a model as `cfg` says and evaluate its best epoch; the run's folder.

    The processes that the environment tells of share the work; the main one names the folder and
    writes it. `after_epoch` is called there with the history when an epoch is saved.
    Raises `UserError` for what is wrong with settings, data or folders, before training starts.
    SIGTERM and SIGINT end the step, save the state and exit with 128 + their number.
    """
    with joined_processes(cfg.run.device, cfg.run.dist_timeout) as processes:
        log_to_console(processes.is_main)
        spec = processes.from_main(lambda: check_settings(cfg))
        device = pick_device(cfg.run.device, processes)
        processes.from_main(lambda: check_device(cfg, device))
        set_kernels(cfg.run)
        folder, table = processes.from_main(lambda: open_run(cfg, spec.output_size))
        with RunLog(folder, cfg) if processes.is_main else nullcontext() as run_log:
            log.info("run folder %s on %s", folder, device)
            log.info(row_counts(table))
            for split in SPLITS if processes.is_main else ():
                write_text(
                    folder / f"{split}_split.csv", split_csv(table, split, cfg.data.data_path)
                )
            if processes.is_main:
                write_training_rows(table, folder)
            parts = make_parts(cfg, spec, table, device, processes)
            progress = train_epochs(cfg, parts, folder, run_log, after_epoch)
            content = processes.from_main(lambda: best_state(folder, progress.best_epoch))
            weights, source = content["model_state_dict"], str(folder / BEST)
            best = with_weights(parts.contract, weights, source)
            best = best.to(device, memory_format=torch.channels_last)
            parts.evaluator.report(best, folder, ("valid", "test"))
            log.info("best checkpoint: %s", folder / BEST)
    return folder


def open_run(cfg: Config, size: tuple[int, int]) -> tuple[Path, Table]:
    """(folder, table) of a new run or of the one to resume, both checked.

    `size` is that of the network's input.
    """
    folder = find_run(cfg) or Path(cfg.run.output_dir) / new_run_name(cfg)
    if not cfg.run.resume and has_state(folder):
        raise UserError(f"{folder} holds a run: give another --run_name, or --resume auto")
    fetch_weights(cfg, size)
    table = load_table(cfg.data)
    check_table(table, cfg)
    make_folder(folder)
    for path in folder.glob(".*.tmp"):  # of a process that was killed while it wrote
        path.unlink()
    return folder, table
