"""What a sweep has found: its trials as a table, the best settings and two figures."""

from pathlib import Path

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from ..core.config import Config
from ..core.files import write_text
from ..core.flags import to_yaml
from ..evaluation.metrics import MONITORED
from ..runs.history import HISTORY, read_json
from .figures import plot_history, plot_slices
from .search_space import Space

N_SHOWN = 10


def trials_frame(study: optuna.Study, space: Space, folder: Path) -> pd.DataFrame:
    """A line for each trial: number, state, value, its settings, seconds of its epochs, folder.

    The value of a pruned trial is that of its last epoch. A trial with the settings of an earlier
    one has that one's folder and no seconds of its own.
    """
    trials = study.get_trials(deepcopy=False)
    columns = ["number", "state", "value", *space, "seconds", "folder", "error"]
    return pd.DataFrame([_line(trial, folder) for trial in trials], columns=columns)


def _line(trial: FrozenTrial, folder: Path) -> dict:
    same_as = trial.user_attrs.get("same_as")
    run = f"trial_{trial.number if same_as is None else same_as}"
    has_run = same_as is None and (folder / run / HISTORY).is_file()
    seconds = [epoch["seconds"] for epoch in read_json(folder / run / HISTORY)] if has_run else []
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value,
        **trial.params,
        "seconds": round(sum(seconds), 2),
        "folder": run,
        "error": trial.user_attrs.get("error", ""),
    }


def write_trials(study: optuna.Study, space: Space, cfg: Config, folder: Path) -> None:
    """Write `trials.csv` and, once a trial is complete, `best.yaml`, a file for `--config`."""
    frame = trials_frame(study, space, folder)
    write_text(folder / "trials.csv", frame.to_csv(index=False))
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return
    best = study.best_trial
    write_text(
        folder / "best.yaml",
        f"# python melanoma_train.py --config {folder / 'best.yaml'}\n"
        f"# trial {best.number} of {len(frame)}: {cfg.run.monitor} {best.value:.4f} on the "
        "validation rows that chose it\n" + to_yaml(cfg.with_settings(**best.params)),
    )


def write_figures(study: optuna.Study, space: Space, cfg: Config, folder: Path) -> str:
    """Write `optimization_history.png` and `slices.png`; the best trials as a table of text."""
    frame = trials_frame(study, space, folder)
    is_better_higher = MONITORED[cfg.run.monitor]
    scales = {key: setting.scale for key, setting in space.items()}
    plot_history(frame, cfg.run.monitor, is_better_higher, folder / "optimization_history.png")
    plot_slices(frame, scales, cfg.run.monitor, folder / "slices.png")
    complete = frame[frame["state"] == "complete"].drop(columns=["state", "error"])
    counts = ", ".join(f"{n} {state}" for state, n in frame["state"].value_counts().items())
    table = complete.sort_values("value", ascending=not is_better_higher).head(N_SHOWN)
    return (
        f"{len(frame)} trials ({counts}), best first:\n{table.to_string(index=False)}\n"
        f"written to {folder}; the best settings: --config {folder / 'best.yaml'}"
    )
