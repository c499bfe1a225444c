"""Reading a run's history: the trainer's own, and files that are damaged or of a stranger."""

import json

import numpy as np
import pytest

from src.core.errors import UserError
from src.runs import history
from src.runs.history import HISTORY, history_path, read_history


def entry(epoch, **changes):
    valid = {"loss": 0.5, "auroc": None, "n": 9, "confusion_matrix": [[1]], "groups": {}}
    parts = {"epoch": epoch, "train_loss": 0.7, "lr": 1e-3, "valid": valid, "is_best": epoch < 2}
    return parts | changes


def written(folder, content):
    path = folder / HISTORY
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_a_history_is_read(tmp_path):
    entries = [entry(0), entry(1, train_loss=None), entry(2, lr=0)]
    found = read_history(history_path(written(tmp_path, entries).parent))
    np.testing.assert_array_equal(found.train_loss, [0.7, np.nan, 0.7])
    np.testing.assert_array_equal(found.learning_rate, [1e-3, 1e-3, 0])
    assert set(found.valid) == {"loss", "auroc", "n"}
    assert np.isnan(found.valid["auroc"]).all()
    assert (found.best, found.n_epochs) == (1, 3)


@pytest.mark.parametrize("empty", [{}, None])
def test_a_history_without_validation_rows_is_read(tmp_path, empty):
    assert read_history(written(tmp_path, [entry(0, valid=empty)])).valid == {}


def test_the_trainers_history_is_read(tiny_run):
    found = read_history(history_path(tiny_run))
    entries = json.loads((tiny_run / HISTORY).read_text())
    assert found.train_loss.tolist() == [e["train_loss"] for e in entries]
    assert found.valid["auroc"].tolist() == [e["valid"]["auroc"] for e in entries]
    assert entries[found.best]["is_best"]
    assert not any(e["is_best"] for e in entries[found.best + 1 :])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[" * 100_000,
        "\ud800".encode("utf-16", "surrogatepass").decode("latin-1"),
        "9" * 5000,
        "7",
        "[]",
        "{}",
        "[1]",
        [{"epoch": 0}],
        [entry(1)],
        [entry(0, train_loss="0.7")],
        [entry(0, train_loss=True)],
        [entry(0, train_loss=[1])],
        [entry(0, train_loss=10**400)],
        [entry(0, valid=[1])],
        [entry(0), entry(1, valid={})],
        [entry(0), entry(1, valid={"loss": 0.5})],
        [entry(0), entry(1, valid={"loss": 0.5, "auroc": "x", "n": 9})],
    ],
)
def test_a_damaged_or_foreign_file_is_refused_in_one_line(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(UserError) as caught:
        read_history(path)
    assert str(caught.value).startswith(f"{path}: not ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_beyond_the_limit_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "MAX_JSON_BYTES", 10)
    with pytest.raises(UserError, match="expected at most 10"):
        read_history(written(tmp_path, [entry(0)]))


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match="expected the folder of a run"):
        history_path(tmp_path)
    with pytest.raises(UserError, match="expected the folder of a run"):
        history_path(tmp_path / "no.json")
    (tmp_path / "kfold.json").touch()
    with pytest.raises(UserError, match="fold_0"):
        history_path(tmp_path)
