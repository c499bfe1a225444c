"""`visualize_training`: where the figure goes, what runs are called, what is refused."""

import json
import shutil

import cv2
import pytest

from src.core.errors import UserError
from src.runs import learning_curves
from src.scripts.visualize_training import main


@pytest.fixture
def run(tiny_run, tmp_path):
    """A run's folder with what the program reads."""
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    for name in ("training_history.json", "config.json"):
        shutil.copy(tiny_run / name, folder)
    return folder


@pytest.fixture
def plotted(monkeypatch):
    """What the figure is of."""
    calls = []
    monkeypatch.setattr(learning_curves, "plot_training", lambda *parts: calls.append(parts))
    return calls


def test_a_runs_figure_is_in_its_folder(run, capsys):
    main([str(run)])
    assert cv2.imread(str(run / "training_curves.png")).shape[1] > 1000
    entries = json.loads((run / "training_history.json").read_text())
    best = max(entry["epoch"] for entry in entries if entry["is_best"]) + 1
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"one: 3 epochs, best epoch {best}", f"written to {run}/training_curves.png"]


def test_runs_are_named_by_what_tells_them_apart(run, tmp_path, plotted):
    fold = tmp_path / "folds" / "one"
    fold.parent.mkdir()
    shutil.copytree(run, fold)
    (fold / "config.json").write_text('{"monitor": "loss"}')
    main([str(run), str(fold / "training_history.json"), "--output", str(tmp_path / "x.png")])
    ((histories, monitored, path),) = plotted
    assert [*histories] == ["runs/one", "folds/one"]
    assert monitored == ["auroc", "loss"]
    assert path == tmp_path / "x.png"


@pytest.mark.parametrize(
    "settings", ["[]", "{}", '{"monitor": 7}', '{"monitor": "nonsense"}', None]
)
def test_settings_that_do_not_tell_the_monitored_metric_are_no_error(run, plotted, settings):
    (run / "config.json").unlink()
    if settings:
        (run / "config.json").write_text(settings)
    main([str(run)])
    assert plotted[0][1] == []


def test_mistakes_are_one_line(run, tmp_path):
    other = tmp_path / "two"
    shutil.copytree(run, other)
    for argv, message in (
        ([run, other], "2 runs: expected --output PNG"),
        ([run, run, "-o", tmp_path / "x.png"], "a run is given twice"),
        ([run, "-o", tmp_path / "x.pdf"], "expected the name of a .png file"),
        ([run, "-o", run / "config.json" / "x.png"], "cannot be written to"),
        ([tmp_path], "expected the folder of a run"),
        ([], "RUN: expected folders"),
    ):
        with pytest.raises(UserError, match=message):
            main([str(argument) for argument in argv])
    assert not list(tmp_path.rglob("*.png"))
