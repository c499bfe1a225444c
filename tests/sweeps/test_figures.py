"""Figures of sweeps: what is drawn are the trials, whatever state they are in."""

import numpy as np
import pandas as pd
import pytest

from src.sweeps.results import plot_history, plot_slices

TRIALS = pd.DataFrame(
    {
        "number": range(5),
        "state": ["complete", "fail", "pruned", "complete", "pruned"],
        "value": [0.7, np.nan, 0.5, 0.6, np.nan],
        "lr": [1e-3, 1e-2, 1e-1, 1e-4, 1e-3],
        "batch_size": [32, 8, 8, 16, 8],
        "objective": ["ohem", "focal", "a_very_long_name(with='options')", "ohem", "ohem"],
    }
)


def points(axes):
    return [collection.get_offsets().data.tolist() for collection in axes.collections]


@pytest.mark.parametrize(("is_better_higher", "best"), [(True, [0.7, 0.7]), (False, [0.7, 0.6])])
def test_history_shows_each_value_and_the_best_so_far(tmp_path, drawn, is_better_higher, best):
    plot_history(TRIALS, "auroc", is_better_higher, tmp_path / "x.png")
    (axes,) = drawn[0].axes
    assert points(axes) == [[[0, 0.7], [3, 0.6]], [[2, 0.5]]]
    assert axes.lines[0].get_ydata().tolist() == best
    assert axes.get_title(loc="left") == "2 trials complete, 2 pruned, 1 failed (dotted)"
    assert (tmp_path / "x.png").stat().st_size > 5000


def test_slices_have_a_panel_for_each_setting(tmp_path, drawn):
    scales = {"lr": "log", "batch_size": "choices", "objective": "choices"}
    plot_slices(TRIALS, scales, "auroc", tmp_path / "x.png")
    lr, batch, objective = drawn[0].axes
    assert lr.get_xscale() == "log"
    assert points(lr) == [[[1e-1, 0.5]], [[1e-3, 0.7], [1e-4, 0.6]]]
    assert [text.get_text() for text in batch.get_xticklabels()] == ["8", "16", "32"]
    assert points(batch) == [[[0, 0.5]], [[2, 0.7], [1, 0.6]]]
    assert [text.get_text() for text in objective.get_xticklabels()] == [
        "a_very_long_name(with='…",
        "ohem",
    ]


def test_a_sweep_without_a_value_is_drawn(tmp_path):
    none = TRIALS.assign(value=np.nan, state="fail")
    plot_history(none, "auroc", True, tmp_path / "history.png")
    plot_slices(none, {"lr": "linear", "objective": "choices"}, "auroc", tmp_path / "slices.png")
    assert (tmp_path / "slices.png").exists()
