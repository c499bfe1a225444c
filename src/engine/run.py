"""`train(cfg)`: names in the configuration become objects, and the objects a trained model."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch

from src.artifact.network import load_network
from src.core.config import Config
from src.core.errors import UserError
from src.datasets.loading import load_table
from src.datasets.table import SPLITS, split_csv
from src.engine.checkpoint import BEST, LATEST, Progress, find_run, load_epoch, save_epoch
from src.engine.checks import check_settings, check_table, pick_device
from src.engine.log import RunLog, log_to_console, make_folder, new_run_name, write_text
from src.engine.loop import seed_torch, train_epoch
from src.engine.parts import Parts, fetch_weights, make_parts, row_counts

log = logging.getLogger(__name__)


def train(cfg: Config, after_epoch: Callable[[list[dict]], None] | None = None) -> Path:
    """Train a model as `cfg` says and judge its best epoch; the run's folder.

    `after_epoch` is called with the history so far once an epoch is on disk; what it raises ends
    the run.
    Raises `UserError` for what is wrong with settings, data or folders, before training starts.
    """
    log_to_console()
    check_settings(cfg)
    device = pick_device(cfg.run.device)
    folder = find_run(cfg) or Path(cfg.run.output_dir) / new_run_name(cfg)
    if not cfg.run.resume and (folder / LATEST).exists():
        raise UserError(f"{folder} holds a run: give another --run_name, or --resume auto")
    fetch_weights(cfg)
    table = load_table(cfg.data)
    check_table(table, cfg)
    make_folder(folder)
    run_log = RunLog(folder, cfg)
    try:
        log.info("run folder %s on %s", folder, device)
        log.info(row_counts(table))
        for split in SPLITS:
            write_text(folder / f"{split}_split.csv", split_csv(table, split, cfg.data.data_path))
        parts = make_parts(cfg, table, device)
        train_epochs(cfg, parts, device, folder, run_log, after_epoch or (lambda history: None))
        best, _ = load_network(folder / BEST)
        best = best.to(device, memory_format=torch.channels_last)
        parts.judge.report(best, folder, ("valid", "test"))
        log.info("best checkpoint: %s", folder / BEST)
    finally:
        run_log.close()
    return folder


def train_epochs(
    cfg: Config,
    parts: Parts,
    device: torch.device,
    folder: Path,
    run_log: RunLog,
    after_epoch: Callable[[list[dict]], None],
) -> None:
    """Train, judge and save every epoch that the folder's latest checkpoint has not seen."""
    progress = Progress()
    if (folder / LATEST).exists():
        progress = load_epoch(folder / LATEST, parts)
        log.info("continuing after %d of %d epochs", progress.next_epoch, cfg.learning.epochs)
    for epoch in range(progress.next_epoch, cfg.learning.epochs):
        started = time.perf_counter()
        parts.batches.epoch = epoch
        seed_torch(cfg.run.seed, epoch)
        loss = train_epoch(
            parts.classifier,
            parts.judge.objective,
            parts.loader,
            parts.optimizer,
            parts.settings,
            epoch,
            device,
        )
        _, metrics = parts.judge(parts.network, "valid")
        entry = {
            "epoch": epoch,
            "train_loss": loss,
            "lr": parts.optimizer.param_groups[0]["lr"],
            "seconds": round(time.perf_counter() - started, 2),
            "valid": metrics,
        }
        progress.add(entry, cfg.run.monitor)
        save_epoch(folder, parts, progress, checkpoint_names(cfg, entry))
        run_log.epoch(progress.history)
        after_epoch(progress.history)


def checkpoint_names(cfg: Config, entry: dict) -> list[str]:
    """The files an epoch is saved under; the latest last: a killed run returns to it."""
    number = entry["epoch"]
    kept = cfg.run.save_ckpt and (number + 1) % cfg.run.save_ckpt_freq == 0
    names = [f"checkpoint_epoch_{number}.pth"] if kept else []
    return [*names, *([BEST] if entry["is_best"] else []), LATEST]
