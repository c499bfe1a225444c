"""A figure of training: loss, validation metrics and learning rate over the epochs of runs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..core.errors import UserError
from ..evaluation.metrics import MONITORED, title_of
from ..report.style import RULE, SOFT_INK, printable, saved_figure
from .history import CONFIG, History, read_json

# apart for the colour-blind and on white (Okabe & Ito 2008, without yellow)
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00")
MARKERS = ("", "^")  # of the first runs, and of the next as many
MOST_RUNS = len(COLORS) * len(MARKERS)
SHOWN = ("auroc", "sensitivity", "specificity")
_FILLER = "auprc"  # takes the sixth place where the monitored metric is one of those
_UNBOUNDED = ("loss", "log_loss")
_TRAINING, _VALIDATION = {"linestyle": (0, (3, 1.5)), "linewidth": 1.4}, {"linewidth": 2.0}
_RING = {"marker": "o", "markersize": 7, "markerfacecolor": "white", "markeredgewidth": 2}
_N_COLUMNS, _LONGEST_NAME = 3, 40


@dataclass(frozen=True)
class Panel:
    """What is drawn over the epochs, float [epochs] for each run; dashed is what training has."""

    title: str
    solid: list[np.ndarray]
    dashed: list[np.ndarray]
    is_share: bool


def plot_training(runs: dict[str, History], monitored: list[str], path: Path) -> None:
    """Save a PNG of one or more runs by name: a panel for each figure, a colour for each run.

    Loss of training and validation, the metrics `monitored`, AUROC, sensitivity and specificity of
    the validation rows, learning rate; a ring marks the best epoch. Metrics that no run has are
    left out. Raises `UserError` for more than `MOST_RUNS`.
    """
    if len(runs) > MOST_RUNS:
        raise UserError(f"{len(runs)} runs: expected at most {MOST_RUNS} in one figure")
    panels = panels_of(list(runs.values()), monitored)
    n_columns = min(_N_COLUMNS, len(panels))
    n_rows = -(-len(panels) // n_columns)
    n_abreast = 2 if len(runs) > 1 and n_columns == _N_COLUMNS else 1
    size = (3.7 * n_columns, 0.9 + 2.9 * n_rows + 0.22 * -(-len(runs) // n_abreast))
    with saved_figure(size, path) as figure:
        figure.get_layout_engine().set(hspace=0.05, wspace=0.06)
        grid = figure.subplots(n_rows, n_columns, squeeze=False).flat
        for axes in grid[len(panels) :]:
            axes.remove()
        for axes, panel in zip(grid[: len(panels)], panels, strict=True):
            _draw(axes, panel, list(runs.values()))
        _legend(figure, runs, n_abreast)


def panels_of(runs: list[History], monitored: list[str]) -> list[Panel]:
    """The panels in order; a run that does not have a metric has NaN there."""

    def of_valid(name: str) -> list[np.ndarray]:
        return [run.valid.get(name, np.full(run.n_epochs, np.nan)) for run in runs]

    panels = [Panel("loss", of_valid("loss"), [run.train_loss for run in runs], False)]
    names = dict.fromkeys(name for name in (*monitored, *SHOWN) if name != "loss")
    for name in [*names, *([_FILLER] if len(names) == len(SHOWN) else [])]:
        values = of_valid(name)
        if np.isfinite(np.concatenate(values)).any():
            title = title_of(name) + (" (selects the epoch)" if name in monitored else "")
            panels.append(Panel(title, values, [], name not in _UNBOUNDED))
    return [*panels, Panel("learning rate", [run.learning_rate for run in runs], [], False)]


def _draw(axes, panel: Panel, runs: list[History]) -> None:
    axes.set_title(panel.title)
    for look, curves in ((_TRAINING, panel.dashed), (_VALIDATION, panel.solid)):
        for index, values in enumerate(curves):
            color, marker = _look(index)
            marker = marker or ("o" if len(values) == 1 else "")
            epochs = np.arange(1, len(values) + 1)
            axes.plot(epochs, values, color=color, marker=marker, markersize=4, **look)
    for index, (run, values) in enumerate(zip(runs, panel.solid, strict=True)):
        color, _ = _look(index)
        axes.plot(run.best + 1, values[run.best], color=color, zorder=5, **_RING)
        if len(runs) == 1 and np.isfinite(values[run.best]):
            axes.set_title(f"{panel.title}: {values[run.best]:.3g}")
    if panel.is_share:
        axes.set(ylim=(-0.03, 1.03), yticks=np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    longest = max(run.n_epochs for run in runs)
    axes.set_xlim(1 - 0.04 * longest, longest + 0.04 * longest)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlabel("epoch")


def _look(index: int) -> tuple[str, str]:
    return COLORS[index % len(COLORS)], MARKERS[index // len(COLORS)]


def _legend(figure: Figure, runs: dict[str, History], n_abreast: int) -> None:
    """Which line is of which rows above, which colour is which run below, so many in a row."""
    grey, best = SOFT_INK, "best epoch" + (", its values in the titles" if len(runs) == 1 else "")
    lines = [
        Line2D([], [], color=grey, label="training", **_TRAINING),
        Line2D([], [], color=grey, label="validation", **_VALIDATION),
        Line2D([], [], color=grey, linestyle="", label=best, **_RING),
    ]
    names = []
    for index, (name, run) in enumerate(runs.items()):
        color, marker = _look(index)
        label = f"{_plain(name)}: best epoch {run.best + 1} of {run.n_epochs}"
        names.append(Line2D([], [], color=color, marker=marker, linewidth=2.5, label=label))
    look = {"frameon": False, "fontsize": 9.5}
    figure.legend(handles=lines, loc="outside upper right", ncols=3, **look)
    figure.legend(handles=names, loc="outside lower left", ncols=n_abreast, **look)


def _plain(text: str) -> str:
    """The end of a long name, in letters that the font has."""
    return printable(text if len(text) <= _LONGEST_NAME else "…" + text[1 - _LONGEST_NAME :])


def monitored(path: Path) -> str:
    """The metric that picked the best epoch, by the settings beside a history; "" if unknown."""
    settings = path.parent / CONFIG
    content = read_json(settings) if settings.is_file() else {}
    name = content.get("monitor") if isinstance(content, dict) else None
    return name if isinstance(name, str) and name in MONITORED else ""
