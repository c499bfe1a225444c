"""The state of a run on disk: how it is saved, and put back."""

import logging
import math
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from ..artifact.contract import contract_from_json
from ..artifact.network import load_checkpoint, save_checkpoint
from ..core.config import Config
from ..core.errors import UserError, first_line, is_out_of_memory
from ..core.files import copy_whole
from ..evaluation.measure import scalars
from ..evaluation.metrics import MONITORED
from .loop import Position, Trainer
from .parts import Parts
from .resume import BEST, LATEST, check_same, of_single_epochs

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a run has come: epochs done, which of them is best, the place within the next."""

    history: list[dict] = field(default_factory=list)
    best_epoch: int = -1
    position: Position = field(default_factory=Position)

    def add(self, entry: dict, monitor: str) -> None:
        """Append an epoch and note in it whether it is the best so far.

        AUROC breaks ties; without validation rows the last is best. Raises `UserError` where the
        validation rows leave `monitor` undefined.
        """
        if entry["valid"]:
            value = entry["valid"].get(monitor)
            if value is None or math.isnan(value):
                raise UserError(
                    f"--monitor {monitor} is undefined on these validation rows: choose another "
                    "metric"
                )
        best = self.history[self.best_epoch] if self.history else None
        entry["is_best"] = (
            best is None or not entry["valid"] or _score(entry, monitor) > _score(best, monitor)
        )
        if entry["is_best"]:
            self.best_epoch = entry["epoch"]
        self.history.append(entry)
        self.position = Position(epoch=entry["epoch"] + 1)

    def values(self, monitor: str) -> list[float]:
        """The monitored value of each epoch, higher is better."""
        return [_score(entry, monitor)[0] for entry in self.history if entry["valid"]]


def save_state(folder: Path, parts: Parts, progress: Progress, names: list[str]) -> None:
    """Write the state under each of `names`, the last one last.

    Weights and contract are for users of the model, the rest is to continue from.
    """
    history, trainer = progress.history, parts.trainer
    valid = history[-1]["valid"] if history else {}
    defined = {k: v for k, v in scalars(valid).items() if math.isfinite(v)}
    content = {
        "model_state_dict": trainer.classifier.state_dict(),
        "optimizer_state_dict": trainer.optimizer.state_dict(),
        "objective_state_dict": trainer.objective.state_dict(),
        "scaler_state_dict": trainer.scaler.state_dict(),
        "contract": replace(parts.contract, metrics=defined).to_json(),
        "epoch": len(history) - 1,
        "best_epoch": progress.best_epoch,
        "history": history,
        "position": asdict(progress.position) | {"n_processes": trainer.processes.count},
    }
    if trainer.average is not None:
        # the average is the model; what steps continue from is beside it
        content["training_state_dict"] = content["model_state_dict"]
        content["model_state_dict"] = trainer.average.module.state_dict()
        content["n_averaged"] = int(trainer.average.n_averaged)
    save_checkpoint(folder / names[0], content)
    for name in names[1:]:
        copy_whole(folder / names[0], folder / name)


def load_state(content: dict, source: str, parts: Parts) -> Progress:
    """Put a checkpoint's content into the parts; how far it had come.

    Raises `UserError` where it is of other data, other settings or another model.
    """
    before, now = contract_from_json(content["contract"], source).provenance, parts.contract
    if before.get("table") != now.provenance["table"]:
        raise UserError(
            f"{source}: the data changed since this run was started (images, labels, groups "
            "or split): start a new run, or bring back the data"
        )
    settings, ours = before.get("config"), now.provenance["config"]
    if not isinstance(settings, dict):
        raise UserError(f"{source}: it does not say with which settings it was trained")
    check_same(settings, ours, source)
    try:
        progress, n_processes = _progress_of(content, ours["monitor"])
        _load_trainer(content, parts.trainer)
    except Exception as error:  # torch raises all kinds for what it does not expect
        if is_out_of_memory(error):
            raise
        raise UserError(f"{source}: it does not fit this run ({first_line(error)})") from None
    if progress.position.step and n_processes != parts.trainer.processes.count:
        raise UserError(
            f"{source}: stopped within an epoch by {n_processes} processes: continue it with as "
            f"many (now {parts.trainer.processes.count})"
        )
    if settings["epochs"] != ours["epochs"]:
        log.info(
            "epochs grow from %d to %d: from here on learning rate and weight decay follow the "
            "schedule of %d epochs",
            settings["epochs"],
            ours["epochs"],
            ours["epochs"],
        )
    return progress


def _progress_of(content: dict, monitor: str) -> tuple[Progress, int]:
    """(how far a checkpoint had come, its number of processes). Raises for what no run writes."""
    position = dict(content["position"])
    n_processes = position.pop("n_processes")
    progress = Progress(list(content["history"]), content["best_epoch"], Position(**position))
    place, history = progress.position, progress.history
    numbers = (n_processes, progress.best_epoch, place.epoch, place.step, place.n_rows)
    is_whole = all(type(number) is int for number in numbers) and type(place.loss_sum) is float
    is_whole = is_whole and place.epoch == len(history) and -1 <= progress.best_epoch < place.epoch
    if not is_whole or min(numbers[2:]) < 0:
        raise ValueError("its position is none of a run")
    for number, entry in enumerate(history):
        if entry["epoch"] != number or (entry["valid"] and not _score(entry, monitor)):
            raise ValueError("its history is none of a run")
    return progress, n_processes


def _load_trainer(content: dict, trainer: Trainer) -> None:
    """Put weights and all that steps change into a trainer; options stay those of its settings."""
    if trainer.average is not None:
        trainer.average.module.load_state_dict(content["model_state_dict"])
        trainer.average.n_averaged.fill_(content["n_averaged"])
    trained = "model_state_dict" if trainer.average is None else "training_state_dict"
    trainer.classifier.load_state_dict(content[trained])
    optimizer = trainer.optimizer
    options = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    optimizer.load_state_dict(content["optimizer_state_dict"])
    for group, own in zip(optimizer.param_groups, options, strict=True):
        group.update(own)
    for parameter, state in optimizer.state.items():
        for value in state.values():
            if torch.is_tensor(value) and value.shape not in (parameter.shape, ()):
                raise ValueError("its optimizer is of another model")
    trainer.objective.load_state_dict(content["objective_state_dict"])
    trainer.scaler.load_state_dict(content["scaler_state_dict"])


def state_files(cfg: Config, folder: Path) -> list[Path]:
    """The checkpoints that a run may continue from, in the order to try them; none for a new one.

    A file named by `--resume` is the only one; else the latest state, then by epoch downwards.
    """
    if not cfg.run.resume:
        return []
    if Path(cfg.run.resume).is_file():
        return [Path(cfg.run.resume)]
    newest_first = reversed(of_single_epochs(folder))
    return [path for path in (folder / LATEST, *newest_first, folder / BEST) if path.is_file()]


def load_first(paths: list[Path], parts: Parts) -> Progress:
    """How far the first checkpoint had come that fits the parts, and put it into them.

    Those that are damaged or foreign are named. Raises `UserError` where none is left.
    """
    processes, errors = parts.trainer.processes, []
    for path in paths:
        try:
            content, error = processes.from_main(partial(content_or_error, path))
            if error:
                raise UserError(error)
            return load_state(content, str(path), parts)
        except UserError as error:
            errors.append(error)
            if path != paths[-1]:
                log.warning("%s; trying the one before it", error)
    raise errors[0]


def content_or_error(path: Path) -> tuple[dict | None, str]:
    """(content, "") of a checkpoint, or (None, why it cannot be read)."""
    try:
        return load_checkpoint(path), ""
    except UserError as error:
        return None, str(error)


def best_state(folder: Path, best_epoch: int) -> dict:
    """The content of the best epoch's checkpoint.

    Where that is lost it is made again from another file of the epoch; else raises `UserError`.
    """
    content, problem = content_or_error(folder / BEST)
    others = [f"checkpoint_epoch_{best_epoch}.pth", LATEST] if problem else []
    for name in others:
        content, _ = content_or_error(folder / name)
        if content and content.get("epoch") == best_epoch and not content["position"]["step"]:
            log.warning("%s: made again from %s", problem, name)
            copy_whole(folder / name, folder / BEST)
            return content
    if problem:
        raise UserError(problem)
    return content


def remove_old(folder: Path, n_kept: int) -> None:
    """Delete all but the last `n_kept` checkpoints of single epochs; 0 keeps all."""
    for path in of_single_epochs(folder)[:-n_kept] if n_kept else []:
        path.unlink()


def _score(entry: dict, monitor: str) -> tuple[float, float]:
    """What the best epoch has most of: the monitored value, signed, then AUROC."""
    value, auroc = entry["valid"][monitor], entry["valid"]["auroc"]
    return (value if MONITORED[monitor] else -value, 0.0 if math.isnan(auroc) else auroc)
