"""The study of a sweep: what is searched, in a folder that one process holds at a time."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
import sqlalchemy

from ..core.config import Config
from ..core.errors import UserError
from ..engine.resume import RESULT_NEUTRAL
from ..evaluation.metrics import MONITORED
from .search_space import Space

N_TRIALS_BEFORE_PRUNING, N_EPOCHS_BEFORE_PRUNING = 5, 2


@dataclass(frozen=True)
class Sweep:
    """What is searched: trials of `cfg` with settings from `space`, in `folder`."""

    cfg: Config
    space: Space
    folder: Path


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Holds a study for this process; the lock ends with the process, also with a killed one."""
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: this sweep is running already: wait, or end it") from None
        yield


def open_study(sweep: Sweep) -> optuna.Study:
    """The study in the sweep's folder, made where there is none.

    Raises `UserError` where it was begun with another space or other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = sweep.folder / "study.db"
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{path}",
            study_name="sweep",
            direction="maximize" if MONITORED[sweep.cfg.run.monitor] else "minimize",
            pruner=optuna.pruners.MedianPruner(N_TRIALS_BEFORE_PRUNING, N_EPOCHS_BEFORE_PRUNING),
            load_if_exists=True,
        )
    except sqlalchemy.exc.DatabaseError as error:
        raise UserError(f"{path}: not a study, or unreadable ({error.orig})") from None
    settings = {key: value for key, value in sweep.cfg.flat().items() if key not in RESULT_NEUTRAL}
    # a searched setting's own value does not matter
    ours = settings | {key: asdict(setting) for key, setting in sweep.space.items()}
    ours = json.loads(json.dumps(ours))
    theirs = study.user_attrs.get("settings", ours)
    different = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    if different:
        raise UserError(
            f"{sweep.folder}: this sweep was begun with another space or other settings "
            f"({', '.join(different[:5])}): give the same, or another --study_dir"
        )
    study.set_user_attr("settings", ours)
    return study
