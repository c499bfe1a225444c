"""Where the time of a training goes: samples, loading, the step and its parts, an epoch."""

import itertools
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import torch

from ..core.config import Config
from ..core.files import to_strict_json, write_text
from ..core.memory import anonymous_megabytes, own_megabytes, peak_megabytes
from ..core.progress import duration, progress
from ..datasets.load import load_table
from ..datasets.table import Table
from ..engine.checks import check_settings, check_table
from ..engine.loop import Position
from ..engine.parts import Parts, make_parts
from ..engine.precision import check_device, pick_device, set_kernels
from ..loading.augment import Augmentation
from ..loading.batches import n_processes
from ..loading.loaders import LocalISICDataset
from ..loading.prepared import first_reading, prepare_images
from ..preprocess.image import read_image
from .options import BenchmarkOptions
from .recipe import plain_sample

# what is timed by its key in JSON: milliseconds an image
PARTS = {
    "decode": "decoding alone",
    "sample": "a training sample from its file",
    "cached_sample": "a training sample from --cache ram",
    "plain_sample": "a training sample by a plain torchvision recipe",
    "loading": "loading batches alone, all processes together",
    "forward": "forward and loss",
    "backward": "backward",
    "update": "optimizer",
    "resident_step": "these three: a step on a batch that is there already",
    "training": "training: loading and steps together",
}
# ratios of two of them
RATIOS = {
    "plain_sample / sample": "times as fast as the plain recipe, from files",
    "plain_sample / cached_sample": "times as fast as the plain recipe, from the cache",
    "resident_step / training": "of the speed on a batch that is there already",
}
MOST_SAMPLES = 64


@dataclass(frozen=True)
class Spread:
    """The median of several runs with the least and the most."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:9.3f}  ({self.least:.3f} to {self.most:.3f})"


def spread_of(values: Iterable[float]) -> Spread:
    """Of at least one value."""
    values = list(values)
    return Spread(statistics.median(values), min(values), max(values))


def benchmark(cfg: Config, options: BenchmarkOptions) -> str:
    """A table of what was measured with these settings; `--json` holds the same figures.

    Nothing is trained that is kept. Raises `UserError` for settings and data that a training
    would refuse.
    """
    cfg = cfg.with_settings(pretrained=False)  # weights change no time
    spec = check_settings(cfg)
    device = pick_device(cfg.run.device)
    check_device(cfg, device)
    set_kernels(cfg.run)
    table = load_table(cfg.data, first_reading(cfg.data, spec))
    check_table(table, cfg)
    parts = make_parts(cfg, spec, table, device)
    samples = sample_functions(cfg, parts, table)
    runs = []
    for _ in progress(range(options.n_runs), "timing", options.n_runs, "run"):
        run = {name: seconds_per_image(*timed) for name, timed in samples.items()}
        runs.append(run | loading_and_training(parts, options.num_batches))
        runs[-1] |= resident_steps(parts, device, options.num_batches)
    found = summary(cfg, parts, runs, device)
    if options.json:
        write_text(options.json, to_strict_json(found, indent=2))
    return describe(found)


def sample_functions(cfg: Config, parts: Parts, table: Table) -> dict[str, tuple]:
    """(function of an item, items) by name, for what is timed in one thread an image."""
    spec, augmentation = parts.contract.preprocessing, Augmentation(cfg.data.augment)
    train = table.split("train")
    few = train.with_rows(train.rows.iloc[:: max(1, len(train) // MOST_SAMPLES)][:MOST_SAMPLES])
    plain = LocalISICDataset(few, spec, augmentation)
    keys = [(row, row) for row in range(len(few))]
    found = {
        "decode": (read_image, plain.paths),
        "sample": (plain.__getitem__, keys),
        "plain_sample": (plain_sample(spec.output_size), plain.paths),
    }
    if spec.prepared_size is not None and hasattr(os, "memfd_create"):
        images = prepare_images(few, spec, replace(cfg.data, cache="ram"))
        cached = LocalISICDataset(few, spec, augmentation, images)
        found["cached_sample"] = (cached.__getitem__, keys)
    return found


def seconds_per_image(work: Callable, items: list) -> float:
    """Seconds of one item in one thread; the first is not counted.

    Of the processor, so that other work on the machine hardly counts.
    """
    threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    try:
        work(items[0])
        started = time.process_time()
        for item in items:
            work(item)
        return (time.process_time() - started) / len(items)
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])


def loading_and_training(parts: Parts, n_batches: int) -> dict[str, float]:
    """Seconds an image of loading alone and of training, and megabytes of a loading process.

    Each starts where the loading processes run and the first batch is there.
    """
    sampler: Any = parts.loader.batch_sampler
    batches = sampler.batch_size
    position = Position()
    kinds = {
        "loading": iter(parts.loader),
        "training": parts.trainer.epoch(parts.loader, position, []),
    }
    found = {}
    for name, steps in kinds.items():
        next(steps)
        started = time.perf_counter()
        n_steps = sum(1 for _ in itertools.islice(steps, n_batches))
        per_step = parts.trainer.settings.update_freq if name == "training" else 1
        n_images = max(1, n_steps * per_step * batches)
        found[name] = (time.perf_counter() - started) / n_images
        if name == "loading":
            workers = [own_megabytes(child.pid) for child in multiprocessing.active_children()]
            found["process_mb"] = max(workers, default=0.0)
        del steps
    return found


def resident_steps(parts: Parts, device: torch.device, n_batches: int) -> dict[str, float]:
    """Seconds an image of the parts of a step, on average over as many steps on one batch.

    It stays on the device; a first step is not counted, as in training.
    """
    trainer = parts.trainer
    images, labels, groups = next(iter(parts.loader))
    dtype, sums = trainer.settings.autocast_dtype, [0.0, 0.0, 0.0]
    trainer.model.train()
    for number in range(1 + n_batches):
        times = [now(device)]
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            logits = trainer.model(images)
        loss = trainer.objective(logits.float(), labels, groups)
        times.append(now(device))
        trainer.scaler.scale(loss).backward()
        times.append(now(device))
        trainer.update()
        times.append(now(device))
        if number:
            spans = itertools.pairwise(times)
            sums = [total + b - a for total, (a, b) in zip(sums, spans, strict=True)]
    seconds = [total / n_batches / len(images) for total in sums]
    names = ("forward", "backward", "update")
    return dict(zip(names, seconds, strict=True)) | {"resident_step": sum(seconds)}


def now(device: torch.device) -> float:
    """The time when all that was asked of a device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def summary(cfg: Config, parts: Parts, runs: list[dict], device: torch.device) -> dict:
    """The figures of the runs, in JSON types."""
    names = [name for name in PARTS if name in runs[0]]
    times = {name: spread_of(1000 * run[name] for run in runs) for name in names}
    pairs = {name: name.split(" / ") for name in RATIOS}
    ratios = {
        name: spread_of(run[a] / run[b] for run in runs)
        for name, (a, b) in pairs.items()
        if {a, b} <= set(names)
    }
    n_images = len(parts.loader) * cfg.learning.batch_size
    on_gpu = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None
    return {
        "model": cfg.model.model,
        "batch_size": cfg.learning.batch_size,
        "input_size": list(parts.contract.preprocessing.output_size),
        "device": str(device),
        "cache": cfg.data.cache,
        "n_processes": n_processes(cfg.data.num_workers),
        "n_images": len(parts.evaluator.table.split("train")),
        "ms_per_image": {name: vars(value) for name, value in times.items()},
        "ratios": {name: vars(value) for name, value in ratios.items()},
        "epoch_s": times["training"].median * n_images / 1000,
        "peak_mb": peak_megabytes(),
        "anonymous_mb": anonymous_megabytes(),
        "process_mb": max(run["process_mb"] for run in runs),
        "gpu_mb": on_gpu,
    }


def describe(found: dict) -> str:
    """The figures as a table for a terminal."""
    height, width = found["input_size"]
    lines = [
        f"{found['model']}, batch {found['batch_size']}, {height}x{width}, {found['device']}, "
        f"{found['n_processes']} loading processes, --cache {found['cache']}, "
        f"{found['n_images']:,} training rows",
        "milliseconds an image: median (least to most)",
    ]
    lines += [f"  {Spread(**v)}  {PARTS[k]}" for k, v in found["ms_per_image"].items()]
    lines.append("ratios")
    lines += [f"  {Spread(**v)}  {RATIOS[k]}" for k, v in found["ratios"].items()]
    gpu = f", {found['gpu_mb']:,.0f} MB on the GPU" if found["gpu_mb"] is not None else ""
    lines.append(
        f"memory: {found['peak_mb']:,.0f} MB at most, now {found['anonymous_mb']:,.0f} MB that is "
        f"no file's; {found['process_mb']:,.0f} MB of its own for each loading process{gpu}"
    )
    lines.append(f"an epoch of training: about {duration(found['epoch_s'])}")
    return "\n".join(lines)
