"""`train(cfg)`: names in the configuration become objects, and the objects a trained model."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from src.artifact.contract import Contract
from src.artifact.network import load_network, make_network
from src.core.config import Config
from src.core.errors import UserError
from src.datasets.augment import AUGMENTATIONS
from src.datasets.loaders import train_loader
from src.datasets.loading import load_table
from src.datasets.sampler import SAMPLERS, EpochBatches
from src.datasets.table import SPLITS, Table, split_csv
from src.engine.checkpoint import BEST, LATEST, Progress, find_run, load_state, save_state
from src.engine.evaluate import Judge
from src.engine.log import RunLog, log_to_console, make_folder, new_run_name, write_text
from src.engine.loop import StepSettings, seed_torch, train_epoch
from src.engine.optim import SCHEDULERS, half_cosine, make_optimizer
from src.engine.setup import (
    check_settings,
    check_table,
    count_groups,
    make_classifier,
    make_contract,
    make_objective,
    make_preprocessing,
    pick_device,
    row_counts,
)
from src.evaluation.report import scalars

log = logging.getLogger(__name__)


def train(cfg: Config) -> Path:
    """Train a model as `cfg` says, judge its best epoch; the run's folder.

    Raises `UserError` for what is wrong with settings, data or folders, before training starts.
    """
    log_to_console()
    if cfg.run.checkpoint:
        raise UserError(
            "--checkpoint goes with --test; --resume FILE continues a run, --weights FILE "
            "starts from its weights"
        )
    check_settings(cfg)
    device = pick_device(cfg.run.device)
    folder = find_run(cfg) or Path(cfg.run.output_dir) / new_run_name(cfg)
    if not cfg.run.resume and (folder / LATEST).exists():
        raise UserError(f"{folder} holds a run: give another --run_name, or --resume auto")
    table = load_table(cfg.data)
    check_table(table, cfg)
    make_folder(folder)
    run_log = RunLog(folder, cfg)
    try:
        _train(cfg, table, device, folder, run_log)
    finally:
        run_log.close()
    return folder


def _train(cfg: Config, table: Table, device: torch.device, folder: Path, run_log: RunLog) -> None:
    """Every epoch of a run that has a folder, then the judgement of the best."""
    for split in SPLITS:
        write_text(folder / f"{split}_split.csv", split_csv(table, split, cfg.data.data_path))
    log.info("run folder %s on %s", folder, device)
    log.info(row_counts(table))
    rows = table.split("train")
    label_counts = np.bincount(rows.labels, minlength=len(table.classes))
    objective = make_objective(cfg, label_counts, count_groups(table, cfg.model.num_groups))
    spec = make_preprocessing(cfg, rows)
    classifier = make_classifier(cfg, objective.n_outputs, spec.output_size[0])
    classifier = classifier.to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(
        cfg.learning.opt, classifier, cfg.learning.lr, cfg.learning.weight_decay
    )
    contract = make_contract(cfg, table, objective, spec, label_counts)
    judge = Judge(cfg, table, contract, objective, device)
    batches = EpochBatches(
        SAMPLERS.build(cfg.data.sampler, labels=rows.labels),
        cfg.learning.batch_size,
        cfg.run.seed,
    )
    pin = cfg.data.pin_mem and device.type == "cuda"
    transform = AUGMENTATIONS.build(cfg.data.augment)
    loader = train_loader(rows, spec, transform, batches, cfg.data.num_workers, pin)
    steps_per_epoch = -(-len(loader) // cfg.learning.update_freq)
    settings = step_settings(cfg, steps_per_epoch)
    latest, progress = folder / LATEST, Progress()
    if latest.exists():
        progress = load_state(latest, classifier, optimizer)
        log.info("continuing after epoch %d", progress.next_epoch - 1)
    network = make_network(contract, classifier)
    for epoch in range(progress.next_epoch, cfg.learning.epochs):
        started = time.perf_counter()
        batches.epoch = epoch
        seed_torch(cfg.run.seed, epoch)
        loss = train_epoch(
            classifier,
            judge.objective,
            loader,
            optimizer,
            settings,
            epoch * steps_per_epoch,
            device,
            f"epoch {epoch}",
        )
        _, metrics = judge(network, "valid")
        entry = {
            "epoch": epoch,
            "train_loss": loss,
            "lr": optimizer.param_groups[0]["lr"],
            "seconds": round(time.perf_counter() - started, 2),
            "valid": metrics,
        }
        is_best = progress.add(entry, cfg.run.monitor)
        _save(cfg, folder, classifier, optimizer, contract, progress, is_best)
        run_log.epoch(progress.history)
        log.info(_epoch_line(entry, cfg.learning.epochs, is_best))
    best, _ = load_network(folder / BEST)
    judge.report(best.to(device, memory_format=torch.channels_last), folder, ("valid", "test"))
    log.info("best epoch %d by %s, in %s", progress.best_epoch, cfg.run.monitor, folder / BEST)


def step_settings(cfg: Config, steps_per_epoch: int) -> StepSettings:
    """How steps are made, with both schedules as functions of the step."""
    learning = cfg.learning
    n_steps = steps_per_epoch * learning.epochs
    start, end = learning.weight_decay, learning.weight_decay_end
    end = start if end is None else end
    return StepSettings(
        learning.update_freq,
        learning.clip_grad,
        SCHEDULERS.build(
            learning.scheduler, lr=learning.lr, n_steps=n_steps, steps_per_epoch=steps_per_epoch
        ),
        lambda step: end + (start - end) * half_cosine(step / max(1, n_steps - 1)),
    )


def _save(
    cfg: Config, folder: Path, classifier, optimizer, contract: Contract, progress, is_best: bool
) -> None:
    """Write the epoch's checkpoints; `latest` last, since it is what a killed run returns to."""
    entry = progress.history[-1]
    contract = replace(contract, metrics=scalars(entry["valid"]))
    number = entry["epoch"]
    kept = cfg.run.save_ckpt and (number + 1) % cfg.run.save_ckpt_freq == 0
    names = [f"checkpoint_epoch_{number}.pth"] if kept else []
    for name in [*names, *([BEST] if is_best else []), LATEST]:
        save_state(folder / name, classifier, optimizer, contract, progress)


def _epoch_line(entry: dict, epochs: int, is_best: bool) -> str:
    valid = entry["valid"]
    return (
        f"epoch {entry['epoch'] + 1}/{epochs}  loss {entry['train_loss']:.4f}  "
        f"valid loss {valid['loss']:.4f}  AUROC {valid['auroc']:.4f}  "
        f"sensitivity {valid['malignant_recall']:.4f}  F1 {valid['malignant_f1']:.4f}  "
        f"{entry['seconds']:.0f} s" + ("  best" if is_best else "")
    )
