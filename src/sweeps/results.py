"""What a sweep has found: its trials as a table, the best settings and two figures."""

from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from matplotlib.ticker import NullFormatter
from optuna.trial import FrozenTrial, TrialState

from ..core.cells import csv_text
from ..core.config import Config
from ..core.errors import UserError
from ..core.files import write_text
from ..core.flags import to_yaml
from ..evaluation.metrics import MONITORED
from ..report.style import MAIN, SMALL, WRONG, saved_figure, short
from ..runs.history import HISTORY, read_json, to_float
from ..runs.selection import selection_text
from .search_space import Space

N_SHOWN = 10
_MOST_COLUMNS, _LONGEST_TEXT = 4, 24  # of panels, of a choice's name
_PRUNED_COLOR = "#b9bec6"


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
    seconds = [to_float(epoch["seconds"]) for epoch in read_epochs(folder / run)] if has_run else []
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value,
        **trial.params,
        "seconds": round(sum(seconds), 2),
        "folder": run,
        "error": trial.user_attrs.get("error", ""),
    }


def read_epochs(run: Path) -> list[dict]:
    """The epochs of a trial's run, at least one. Raises `UserError` where they are damaged."""
    epochs = read_json(run / HISTORY)
    names = {"epoch", "seconds", "valid"}
    if not isinstance(epochs, list) or not epochs:
        raise UserError(f"{run / HISTORY}: not the history of a run (no epochs)")
    for epoch in epochs:
        if not isinstance(epoch, dict) or not names <= epoch.keys():
            raise UserError(f"{run / HISTORY}: not the history of a run (damaged)")
    return epochs


def write_trials(study: optuna.Study, space: Space, cfg: Config, folder: Path) -> None:
    """Write `trials.csv` and, once a trial is complete, `best.yaml`, a file for `--config`."""
    frame = trials_frame(study, space, folder)
    write_text(folder / "trials.csv", csv_text(frame))
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
    optimism = selection_text([folder])
    return (
        f"{len(frame)} trials ({counts}), best first:\n{table.to_string(index=False)}\n"
        + (f"{optimism}\n" if optimism else "")
        + f"written to {folder}; the best settings: --config {folder / 'best.yaml'}"
    )


def plot_history(trials: pd.DataFrame, metric: str, is_better_higher: bool, path: Path) -> None:
    """Save a PNG: the value of each trial, by state, and the best complete one so far.

    `trials` has the columns number, state (complete, pruned, fail) and value.
    """
    with saved_figure((8, 4.2), path) as figure:
        axes = figure.subplots()
        complete = trials[trials["state"] == "complete"]
        pruned = trials[(trials["state"] == "pruned") & trials["value"].notna()]
        failed = trials[trials["state"] == "fail"]
        values = complete["value"].astype(float)
        best = values.cummax() if is_better_higher else values.cummin()
        _points(axes, complete["number"], values, "complete")
        _points(axes, pruned["number"], pruned["value"], "pruned")
        axes.step(complete["number"], best, where="post", color=WRONG, label="best so far")
        for number in failed["number"]:
            axes.axvline(number, color=WRONG, linewidth=0.8, linestyle=":")
        better = "higher" if is_better_higher else "lower"
        axes.set(
            xlabel="trial",
            ylabel=f"validation {metric} ({better} is better)",
            title=f"{len(complete)} trials complete, {(trials['state'] == 'pruned').sum()} pruned"
            + (f", {len(failed)} failed (dotted)" if len(failed) else ""),
        )
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside right upper", fontsize=SMALL, frameon=False)


def plot_slices(trials: pd.DataFrame, scales: dict[str, str], metric: str, path: Path) -> None:
    """Save a PNG: the trials' values over each setting, a panel for each of `scales`.

    A scale is linear, log or choices.
    """
    n_columns = min(_MOST_COLUMNS, len(scales))
    n_rows = -(-len(scales) // n_columns)
    shown = trials[trials["value"].notna()]
    with saved_figure((max(4.5, 3.2 * n_columns), 0.4 + 3 * n_rows), path) as figure:
        panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
        for axes in panels.flat[len(scales) :]:
            axes.set_visible(False)
        for axes, (name, scale) in zip(panels.flat, scales.items(), strict=False):
            places = _places(axes, shown[name], scale)
            for state in ("pruned", "complete"):
                own = (shown["state"] == state).to_numpy()
                _points(axes, places[own], shown["value"][own], state)
            axes.set_xlabel(name)
        for axes in panels[:, 0]:
            axes.set_ylabel(metric)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        look = {"ncols": 2, "fontsize": SMALL, "frameon": False}
        figure.legend(handles, labels, loc="outside upper right", **look)


def _places(axes, values: pd.Series, scale: str) -> np.ndarray:
    """Where values lie along x: themselves, or the index of a choice, whose axis is labelled."""
    if scale != "choices":
        axes.set_xscale(scale)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        return values.to_numpy(float)
    texts = values.map(str)
    choices = [str(value) for value in sorted(set(values), key=_order)]
    names = [short(text, _LONGEST_TEXT) for text in choices]
    axes.set_xticks(range(len(choices)), names, rotation=30, ha="right", fontsize=8)
    axes.set_xlim(-0.5, max(len(choices), 1) - 0.5)
    return texts.map(choices.index).to_numpy(float)


def _order(value) -> tuple:
    """Numbers by size, before texts by letters."""
    is_number = isinstance(value, (int, float))
    return (not is_number, value if is_number else 0, str(value))


def _points(axes, x, y, state: str) -> None:
    color = MAIN if state == "complete" else _PRUNED_COLOR
    axes.scatter(x, y, s=26, color=color, alpha=0.85, linewidths=0, label=state)
