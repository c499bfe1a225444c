"""A run's folder: its name, and what is written into it."""

import json
import logging
import math
import platform
import shlex
import sys
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from tensorboardX import SummaryWriter

from ..core.commit import commit
from ..core.config import Config
from ..core.errors import UserError
from ..core.files import make_folder, to_strict_json, write_text
from ..core.flags import to_yaml
from ..core.lease import Lease
from ..core.progress import duration
from ..core.registry import parse_call
from ..datasets.table import SPLITS, Table
from ..evaluation.measure import scalars

PACKAGES = ("torch", "torchvision", "timm", "numpy", "opencv-python", "onnx", "scikit-learn")
PACKAGE = __name__.partition(".")[0]  # `src` in a clone, the installed name elsewhere
N_TIMED = 5  # last epochs whose mean length tells the time left
log = logging.getLogger(__name__)


def new_run_name(cfg: Config) -> str:
    """`--run_name`, else `<YYYYmmdd_HHMMSS>_<model>_bs<batch>_<objective>`."""
    objective = parse_call(cfg.learning.objective).name
    stamp = datetime.now().strftime("%Y%m%d_%H%M%S")
    name = f"{stamp}_{cfg.model.model}_bs{cfg.learning.batch_size}_{objective}"
    return cfg.run.run_name or name


def environment() -> dict:
    """Versions, platform and commit that a result depends on."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": commit(),
    }


class RunLog:
    """Writes `training.log`, `log.txt`, `training_history.json` and TensorBoard events."""

    def __init__(self, folder: Path, cfg: Config, lease: Lease):
        self.folder, self.lease, self._epochs = folder, lease, cfg.learning.epochs
        events = Path(cfg.run.log_dir) / folder.name if cfg.run.log_dir else folder / "logs"
        make_folder(events)
        self._writer = SummaryWriter(str(events))
        self._handler = _LogFile(
            folder / "training.log", encoding="utf-8", errors="backslashreplace"
        )
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger(PACKAGE).addHandler(self._handler)
        write_text(folder / "config.yaml", to_yaml(cfg))
        write_text(folder / "config.json", json.dumps(cfg.flat(), indent=2, ensure_ascii=False))
        write_text(folder / "environment.json", json.dumps(environment(), indent=2))
        with (folder / "command.txt").open("a", encoding="utf-8") as file:
            file.write(f"{shlex.join(sys.orig_argv)}\n")  # a run that goes on has several

    def epoch(self, history: list[dict], may_stop_early: bool = False) -> None:
        """Record the last epoch of `history`, and how long those that are left will take."""
        entry = history[-1]
        self.history(history)
        by_class = {f"accuracy/{name}": v for name, v in entry["accuracy_by_class"].items()}
        parts = {"train": entry | entry["speed"], "valid": entry["valid"] | by_class}
        for part, values in parts.items():
            for key, value in scalars(values).items():
                if math.isfinite(value):
                    self._writer.add_scalar(f"{part}/{key}", value, entry["epoch"])
        self._writer.flush()
        log.info(_epoch_line(entry, self._epochs) + self._left(history, may_stop_early))

    def _left(self, history: list[dict], may_stop_early: bool) -> str:
        last = [entry["seconds"] for entry in history[-N_TIMED:]]
        n_left = self._epochs - len(history)
        left = duration(n_left * sum(last) / len(last))
        return f"  {'at most' if may_stop_early else 'about'} {left} left" if n_left > 0 else ""

    def history(self, history: list[dict]) -> None:
        """Write the files of all epochs."""
        lines = [to_strict_json(line) + "\n" for line in history]
        write_text(self.folder / "log.txt", "".join(lines))
        write_text(self.folder / "training_history.json", to_strict_json(history, indent=1))

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        """Flush and let go of the files."""
        logging.getLogger(PACKAGE).removeHandler(self._handler)
        for output in (self._writer, self._handler):
            with suppress(OSError):  # on a full disk: what matters has said so
                output.close()


def log_to_console(is_main: bool = True) -> None:
    """Send this software's log lines to stdout, once; other processes than the main say errors."""
    logger = logging.getLogger(PACKAGE)
    logger.setLevel(logging.INFO if is_main else logging.ERROR)
    logger.propagate = False
    if not any(isinstance(handler, _Console) for handler in logger.handlers):
        logger.addHandler(_Console())


class _LogFile(logging.FileHandler):
    """Raises where a line cannot be written, instead of printing a traceback beside the run."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise UserError(f"{self.baseFilename}: cannot be written ({sys.exception()})")


class _Console(logging.Handler):
    """Writes to whatever stdout is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record).encode(errors="backslashreplace").decode()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _epoch_line(entry: dict, epochs: int) -> str:
    valid, start = entry["valid"], f"epoch {entry['epoch'] + 1}/{epochs}"
    shown = {"loss": entry["train_loss"]}
    if valid:
        names = {"valid loss": "loss", "AUROC": "auroc", "sensitivity": "sensitivity", "F1": "f1"}
        shown |= {title: valid[name] for title, name in names.items()}
    values = [f"{k} {v:.4f}" if math.isfinite(v) else f"{k} undefined" for k, v in shown.items()]
    is_best = ["best"] if valid and entry["is_best"] else []
    return "  ".join([start, *values, f"{entry['seconds']:.0f} s", *is_best])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def row_counts(table: Table) -> str:
    """A line on rows, classes and groups of each split."""
    parts = []
    for split in SPLITS:
        rows = table.split(split)
        counts = np.bincount(rows.labels, minlength=len(table.classes))
        named = ", ".join(f"{n} {name}" for name, n in zip(table.classes, counts, strict=True))
        parts.append(f"{split} {len(rows)} ({named})")
    return "; ".join(parts)
