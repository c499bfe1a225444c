"""The state of a run on disk, and finding the run to continue."""

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

from src.artifact.contract import contract_from_json
from src.artifact.network import load_checkpoint, save_checkpoint
from src.core.config import Config
from src.core.errors import UserError
from src.engine.parts import Parts
from src.evaluation.metrics import MONITORED
from src.evaluation.report import scalars

LATEST, BEST = "checkpoint_latest.pth", "best_checkpoint.pth"
# settings that may differ between the parts of one run: they do not change its result
_FREE = ("resume", "run_name", "output_dir", "log_dir", "num_workers", "pin_mem", "save_ckpt")
_FREE += ("save_ckpt_freq", "test", "checkpoint", "device")


@dataclass
class Progress:
    """How far a run has come: the epochs done, and which of them is best by the monitor."""

    history: list[dict] = field(default_factory=list)
    best_epoch: int = -1

    @property
    def next_epoch(self) -> int:
        """The epoch to train next."""
        return len(self.history)

    def add(self, entry: dict, monitor: str) -> None:
        """Append an epoch and note in it whether it is the best so far.

        AUROC breaks ties. Raises `UserError` where the validation rows leave `monitor` undefined.
        """
        value = entry["valid"].get(monitor)
        if value is None or math.isnan(value):
            raise UserError(
                f"--monitor {monitor} is undefined on these validation rows: choose another metric"
            )
        best = self.history[self.best_epoch] if self.history else None
        entry["is_best"] = best is None or _score(entry, monitor) > _score(best, monitor)
        if entry["is_best"]:
            self.best_epoch = entry["epoch"]
        self.history.append(entry)


def save_epoch(folder: Path, parts: Parts, progress: Progress, names: list[str]) -> None:
    """Write the state after the last epoch under each of `names`.

    Weights and contract are for users of the model, the rest is to continue from.
    """
    last = progress.history[-1]
    defined = {k: v for k, v in scalars(last["valid"]).items() if math.isfinite(v)}
    contract = replace(parts.contract, metrics=defined)
    content = {
        "model_state_dict": parts.classifier.state_dict(),
        "optimizer_state_dict": parts.optimizer.state_dict(),
        "objective_state_dict": parts.judge.objective.state_dict(),
        "contract": contract.to_json(),
        "epoch": last["epoch"],
        "best_epoch": progress.best_epoch,
        "history": progress.history,
    }
    for name in names:
        save_checkpoint(folder / name, content)


def load_epoch(path: Path, parts: Parts) -> Progress:
    """Put a checkpoint's state into classifier and optimizer; how far it had come."""
    content = load_checkpoint(path)
    before = contract_from_json(content["contract"], str(path)).provenance.get("table")
    if before != parts.contract.provenance["table"]:
        raise UserError(
            f"{path}: the data changed since this run was started (rows, labels, groups or split): "
            "start a new run, or bring back the data"
        )
    try:
        parts.classifier.load_state_dict(content["model_state_dict"])
        parts.optimizer.load_state_dict(content["optimizer_state_dict"])
        parts.judge.objective.load_state_dict(content["objective_state_dict"])
        return Progress(list(content["history"]), int(content["best_epoch"]))
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0][:120]
        raise UserError(f"{path}: it does not fit this run ({reason})") from None


def find_run(cfg: Config) -> Path | None:
    """The folder that `--resume` continues: None to start a new one.

    `auto` takes the folder `--run_name` names, else the newest in `--output_dir` with the same
    settings. Else it is a run's folder, or a checkpoint in it; the run goes on from its latest.
    Raises `UserError` for a run of other settings.
    """
    if not cfg.run.resume:
        return None
    root = Path(cfg.run.output_dir)
    if cfg.run.resume != "auto":
        path = Path(cfg.run.resume)
        folder = path if path.is_dir() else path.parent
        if not path.exists() or not (folder / LATEST).is_file():
            raise UserError(f"--resume {path}: expected auto or the folder of a run")
    elif cfg.run.run_name:
        folder = root / cfg.run.run_name
        if not (folder / LATEST).is_file():
            return None
    else:
        runs = sorted(path.parent for path in root.glob(f"*/{LATEST}"))
        same = [run for run in runs if not _differences(run, cfg)]
        return same[-1] if same else None
    different = _differences(folder, cfg)
    if different:
        raise UserError(
            f"--resume: {folder} was started with other settings ({', '.join(different[:5])}): "
            "give the same ones, or start a new run"
        )
    return folder


def _differences(folder: Path, cfg: Config) -> list[str]:
    """The settings that matter to the result and differ from those a run was started with."""
    try:
        theirs = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ["config.json is missing or unreadable"]
    ours = json.loads(json.dumps(cfg.flat()))
    keys = [key for key in {*ours, *theirs} if key not in _FREE]
    return sorted(key for key in keys if ours.get(key) != theirs.get(key))


def _score(entry: dict, monitor: str) -> tuple[float, float]:
    """What the best epoch has most of: the monitored value, signed, then AUROC."""
    value, auroc = entry["valid"][monitor], entry["valid"]["auroc"]
    return (value if MONITORED[monitor] else -value, 0.0 if math.isnan(auroc) else auroc)
