"""The study of a sweep: what is searched, in a folder that one process holds at a time."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
import sqlalchemy

from ..core.config import Config
from ..core.errors import UserError, first_line
from ..core.files import check_replaceable
from ..core.lease import leased
from ..engine.resume import RESULT_NEUTRAL
from ..evaluation.metrics import MONITORED
from .search_space import Space

STUDY = "study.db"
N_TRIALS_BEFORE_PRUNING, N_EPOCHS_BEFORE_PRUNING = 5, 2


@dataclass(frozen=True)
class Sweep:
    """What is searched: trials of `cfg` with settings from `space`, in `folder`."""

    cfg: Config
    space: Space
    folder: Path


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Holds a study for this process. Raises `UserError` where it cannot be written to."""
    try:
        with leased(folder / ".lease", f"the sweep in {folder}"):
            yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        raise UserError(f"{folder / STUDY}: cannot be written ({_reason(error)})") from None


def open_study(sweep: Sweep) -> optuna.Study:
    """The study in the sweep's folder, made where there is none.

    Raises `UserError` where it is damaged or was begun with another space or other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = sweep.folder / STUDY
    check_replaceable(path)
    try:
        direction = "maximize" if MONITORED[sweep.cfg.run.monitor] else "minimize"
        study, begun_with = _read_study(path, direction)
    except Exception as error:  # SQLite, SQLAlchemy, Alembic and Optuna have kinds of their own
        raise UserError(
            f"{path}: not a study, or damaged ({_reason(error)}): give another --study_dir, or "
            "restore it"
        ) from None
    settings = {key: value for key, value in sweep.cfg.flat().items() if key not in RESULT_NEUTRAL}
    # a searched setting's own value does not matter
    ours = settings | {key: asdict(setting) for key, setting in sweep.space.items()}
    ours = json.loads(json.dumps(ours))
    theirs = begun_with.get("settings", ours)
    if not isinstance(theirs, dict):
        raise UserError(f"{path}: not a study of this software: give another --study_dir")
    different = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    if different:
        raise UserError(
            f"{sweep.folder}: this sweep was begun with another space or other settings "
            f"({', '.join(different[:5])}): give the same, or another --study_dir"
        )
    study.set_user_attr("settings", ours)
    return study


def _read_study(path: Path, direction: str) -> tuple[optuna.Study, dict]:
    """The study in a file, made where there is none, all of it read once; its attributes."""
    if path.exists():
        with closing(sqlite3.connect(path)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        if tables and not tables & {"studies", "version_info"}:  # Optuna would add its own
            raise sqlite3.DatabaseError("another program's database")
    study = optuna.create_study(
        storage=f"sqlite:///{path}",
        study_name="sweep",
        direction=direction,
        pruner=optuna.pruners.MedianPruner(N_TRIALS_BEFORE_PRUNING, N_EPOCHS_BEFORE_PRUNING),
        load_if_exists=True,
    )
    study.get_trials(deepcopy=False)
    return study, study.user_attrs


def _reason(error: Exception) -> str:
    """What SQLite says, inside the errors of the libraries around it."""
    inner = error.__cause__ or error
    return first_line(str(getattr(inner, "orig", None) or inner) or type(inner).__name__)
