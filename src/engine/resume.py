"""Which run a command continues, and with which settings; without torch."""

import json
from pathlib import Path
from typing import Any

from ..core.config import Config, settings_with
from ..core.errors import UserError
from ..core.files import check_training_paths
from ..core.flags import DEFAULTS, resolve
from ..core.options import Role
from .names import check_names

LATEST, BEST, SETTINGS = "checkpoint_latest.pth", "best_checkpoint.pth", "config.json"
RESULT_NEUTRAL = settings_with(Role.RESULT_NEUTRAL)


def training_config(given: dict[str, Any]) -> Config:
    """The checked configuration of a training, of parsed flags.

    What is not given is as it was in the run that `--resume PATH` names; of a `--finetune`
    checkpoint, model and preprocessing are. Raises `UserError` for mistakes in flags and paths.
    """
    resume = given.get("resume")
    base, source = settings_to_resume(resume), f"--resume {resume}"
    if not base:
        cfg = resolve({name: text for name, text in given.items() if name != "print_config"})
        checkpoint = cfg.model.finetune
        if checkpoint:
            _check(cfg)
            base, source = _settings_of_model(checkpoint), f"--finetune {checkpoint}"
    cfg = resolve(given, base, source)
    _check(cfg)
    return cfg


def _check(cfg: Config) -> None:
    check_training_paths(cfg)
    check_names(cfg)


def _settings_of_model(checkpoint: str) -> dict[str, Any]:
    from ..artifact.network import load_contract  # not before the flags are known to be right

    settings = load_contract(checkpoint).provenance.get("config", {})
    names = ("model", "head", "preprocess", "input_size")
    return {name: settings[name] for name in names if name in settings}


def find_run(cfg: Config) -> Path | None:
    """The folder that `--resume` continues: None to start a new one.

    `auto` takes the folder `--run_name` names, else the newest in `--output_dir` with the same
    settings. Else it is a run's folder, or a checkpoint in one.
    Raises `UserError` for a run of other settings; only `epochs` may be more.
    """
    if not cfg.run.resume:
        return None
    root = Path(cfg.run.output_dir)
    if cfg.run.resume != "auto":
        path = Path(cfg.run.resume)
        folder = path if path.is_dir() else path.parent
        if not path.exists() or (path.is_dir() and not has_state(folder)):
            raise UserError(f"--resume {path}: expected auto or the folder of a run")
    elif cfg.run.run_name:
        folder = root / cfg.run.run_name
        if not has_state(folder):
            return None
    else:
        runs = sorted({path.parent for path in root.glob("*/*.pth") if has_state(path.parent)})
        same = [run for run in runs if _is_of(run, cfg)]
        return same[-1] if same else None
    check_same(read_settings(folder), cfg.flat(), f"--resume: {folder}")
    return folder


def has_state(folder: Path) -> bool:
    """Whether a run's checkpoints are in a folder."""
    paths = (folder / LATEST, folder / BEST, *of_single_epochs(folder))
    return any(path.is_file() for path in paths)


def find_finished(cfg: Config) -> Path | None:
    """The folder of the run that `--resume` continues where that has come to its end."""
    folder = find_run(cfg)
    is_finished = folder and (folder / "metrics.json").is_file() and _is_of(folder, cfg)
    return folder if is_finished else None


def settings_to_resume(resume: Any) -> dict[str, Any]:
    """The flat settings of the run that `--resume PATH` names; none for `auto` and without it.

    Of a folder of folds they are those that made all of them. Raises `UserError` where they
    cannot be read.
    """
    path = Path(str(resume or ""))
    if resume in (None, "", "auto") or not path.exists():
        return {}
    folder = path if path.is_dir() else path.parent
    if (folder / SETTINGS).exists() or not (folder / "fold_0").is_dir():
        return read_settings(folder)
    of_fold = read_settings(folder / "fold_0")
    log_dir = of_fold.get("log_dir") and str(Path(str(of_fold["log_dir"])).parent)
    place = {"output_dir": str(folder.parent), "run_name": folder.name, "log_dir": log_dir or ""}
    return {**of_fold, **place, "fold": -1}


def read_settings(folder: Path) -> dict[str, Any]:
    """The flat settings that a run was started with, as its `config.json` says, unchecked."""
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict) or not {"data_path", "model", "epochs"} <= settings.keys():
        raise UserError(
            f"{path}: missing or unreadable; expected the settings of the run: bring the file "
            "back, or start a new run"
        )
    return settings


def check_same(theirs: dict[str, Any], ours: dict[str, Any], what: str) -> None:
    """Raise `UserError` for settings that differ from those of the run that is to go on.

    Those that leave the result as it is may differ, and `epochs` may have become more.
    """
    different = _differences(theirs, ours)
    before, now = theirs.get("epochs"), ours["epochs"]
    if different == ["epochs"] and type(before) is int:
        if now > before:
            return
        raise UserError(f"{what} has {before} epochs, --epochs {now} is less: they can only grow")
    if different:
        raise UserError(
            f"{what} was started with other settings ({', '.join(different[:5])}): "
            "give the same ones, or start a new run"
        )


def of_single_epochs(folder: Path) -> list[Path]:
    """The checkpoints that are kept of single epochs, the oldest first."""
    return sorted(folder.glob("checkpoint_epoch_*.pth"), key=_epoch_of)


def _epoch_of(path: Path) -> int:
    number = path.stem.removeprefix("checkpoint_epoch_")
    return int(number) if number.isdecimal() else -1


def _is_of(folder: Path, cfg: Config) -> bool:
    """Whether a run has these very settings, as many epochs among them."""
    try:
        return not _differences(read_settings(folder), cfg.flat())
    except UserError:
        return False


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """The settings that matter to the result and differ; what an earlier version lacks is usual."""
    theirs, ours = (json.loads(json.dumps({**DEFAULTS, **part})) for part in (theirs, ours))
    keys = [key for key in {*ours, *theirs} if key not in RESULT_NEUTRAL]
    return sorted(key for key in keys if ours.get(key) != theirs.get(key))
