"""`train(cfg)`: names in the configuration become objects, and the objects a trained model."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch

from ..artifact.network import with_weights
from ..core.config import Config
from ..core.errors import UserError
from ..core.files import clear_unfinished, write_text
from ..core.lease import Lease, leased
from ..datasets.load import load_table
from ..datasets.overlap import write_training_rows
from ..datasets.table import SPLITS, Table, split_csv
from ..inference.teacher import taught
from ..loading.prepared import first_reading
from ..loading.unchanged import list_unchanged
from ..preprocess.spec import Preprocessing
from .checkpoint import best_state
from .checks import check_settings, check_table, warn_of_corrections
from .distributed import Processes, joined_processes
from .epochs import train_epochs
from .log import RunLog, log_to_console, new_run_name, row_counts
from .loop import limits_told
from .parts import fetch_weights, make_parts
from .precision import check_device, pick_device, set_kernels
from .resume import BEST, find_run, has_state

log = logging.getLogger(__name__)


def train(cfg: Config, after_epoch: Callable[[list[dict]], None] | None = None) -> Path:
    """Train a model as `cfg` says and evaluate its best epoch; the run's folder.

    The processes that the environment tells of share the work; the main one names the folder and
    writes it. `after_epoch` is called there with the history when an epoch is saved.
    Raises `UserError` for what is wrong with settings, data or folders, before training starts.
    SIGTERM and SIGINT end the step, save the state and exit with 128 + their number. A folder
    that another process trains in is refused, and one that is deleted meanwhile ends the run.
    """
    with (
        joined_processes(cfg.run.device, cfg.run.dist_timeout) as processes,
        limits_told(cfg),
        ExitStack() as held,
    ):
        log_to_console(processes.is_main)
        spec = processes.from_main(lambda: check_settings(cfg))
        device = pick_device(cfg.run.device, processes)
        processes.from_main(lambda: check_device(cfg, device))
        set_kernels(cfg.run)
        folder = processes.from_main(lambda: folder_of_run(cfg))
        lease = held.enter_context(leased_by_main(folder, processes))
        table, soft = processes.from_main(lambda: open_run(cfg, folder, spec))
        with RunLog(folder, cfg, lease) if lease else nullcontext() as run_log:
            log.info("run folder %s on %s", folder, device)
            log.info(row_counts(table))
            warn_of_corrections(cfg)
            for split in SPLITS if processes.is_main else ():
                write_text(
                    folder / f"{split}_split.csv", split_csv(table, split, cfg.data.data_path)
                )
            if processes.is_main:
                write_training_rows(table, folder)
            parts = make_parts(cfg, spec, table, device, processes, soft)
            held.callback(parts.stop_loading)
            processes.from_main(lambda: list_unchanged(table, spec, cfg.data.augment, folder))
            progress = train_epochs(cfg, parts, folder, run_log, after_epoch)
            content = processes.from_main(lambda: best_state(folder, progress.best_epoch))
            weights, source = content["model_state_dict"], str(folder / BEST)
            best = with_weights(parts.contract, weights, source)
            best = best.to(device, memory_format=torch.channels_last)
            parts.evaluator.report(best, folder, ("valid", "test"))
            processes.from_main(lambda: lease.check())
            log.info("best checkpoint: %s", folder / BEST)
    return folder


def folder_of_run(cfg: Config) -> Path:
    """The folder of the run to resume, or of a new one."""
    return find_run(cfg) or Path(cfg.run.output_dir) / new_run_name(cfg)


@contextmanager
def leased_by_main(folder: Path, processes: Processes) -> Iterator[Lease | None]:
    """Holds a run's folder for these processes; the lease in the main one, None in the others."""
    with ExitStack() as stack:
        held: list[Lease] = []
        lease = leased(folder / ".lease", f"run {folder}")
        processes.from_main(lambda: held.append(stack.enter_context(lease)))
        yield held[0] if held else None


def open_run(cfg: Config, folder: Path, spec: Preprocessing) -> tuple[Table, np.ndarray | None]:
    """(checked table, a teacher's probabilities) of a run whose folder is fit for it."""
    if not cfg.run.resume and has_state(folder):
        raise UserError(f"{folder} holds a run: give another --run_name, or --resume auto")
    fetch_weights(cfg, spec.output_size)
    table = load_table(cfg.data, first_reading(cfg.data, spec))
    check_table(table, cfg)
    clear_unfinished(folder)
    return table, probabilities_of_teacher(cfg, table)


def probabilities_of_teacher(cfg: Config, table: Table) -> np.ndarray | None:
    """What `--teacher` says of the training rows, float32 [rows, classes]; None without one."""
    teacher = cfg.learning.teacher
    if not teacher:
        return None
    return taught(table, Path(teacher), Path(cfg.data.cache_dir), cfg.data.allow_leakage)
