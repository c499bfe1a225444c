"""What runs keep of their epochs, and what is told of the best of them."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from src.core.errors import UserError
from src.scripts import get_results, selection_bias
from src.selection.kept import KEPT, keep_epoch, read_kept
from src.selection.tried import assess, sentences
from tests.selection.drawn import CLUSTERS, drawn


@pytest.fixture
def runs(tmp_path):
    """A folder with three runs of two epochs; the second epoch of run `b` is far the best."""
    rng = np.random.default_rng(0)
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"monitor": "auroc"}))
        for epoch in range(2):
            found = drawn(rng, strength=3 if (name, epoch) == ("b", 1) else 0.3)
            keep_epoch(tmp_path / name / KEPT, epoch, found, CLUSTERS)
    return tmp_path


def test_epochs_are_read_back_and_a_continued_run_replaces_those_that_it_trains_again(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / KEPT
    found = [drawn(rng) for _ in range(3)]
    for epoch in (0, 1, 2, 1):
        keep_epoch(path, epoch, found[epoch], CLUSTERS)
    kept = read_kept(path)
    assert kept.epochs.tolist() == [0, 1]
    np.testing.assert_array_equal(kept.probabilities[1], found[1].probabilities)
    np.testing.assert_array_equal(kept.predictions(0).decisions, found[0].decisions)
    np.testing.assert_array_equal(kept.clusters, CLUSTERS)
    assert "i0.jpg" not in path.read_bytes().decode("latin-1")
    # other rows: nothing of the old ones stays
    keep_epoch(path, 2, replace(found[2], labels=1 - found[2].labels), CLUSTERS)
    assert read_kept(path).epochs.tolist() == [2]


def test_a_damaged_file_is_told_and_a_run_goes_on_over_it(tmp_path):
    path = tmp_path / KEPT
    keep_epoch(path, 0, drawn(np.random.default_rng(0)), CLUSTERS)
    whole = path.read_bytes()
    wrong = [whole[: len(whole) // 2], b"", b"PK\x03\x04 no archive"]
    with np.load(path) as found:
        arrays = dict(found)
    for change in ({"labels": arrays["labels"] + 9}, {"epochs": np.array([object()])}):
        np.savez(tmp_path / "other.npz", **(arrays | change))
        wrong.append((tmp_path / "other.npz").read_bytes())
    about = b'["' + b"[" * 100_000
    np.savez(tmp_path / "other.npz", **(arrays | {"about": np.frombuffer(about, np.uint8)}))
    wrong.append((tmp_path / "other.npz").read_bytes())
    directory = whole.index(b"PK\x01\x02")
    for place, value in ((8, 1), (10, 1), (10, 8)):  # encrypted, or compressed in other ways
        damaged = bytearray(whole)
        damaged[directory + place] = value
        wrong.append(bytes(damaged))
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("epochs.npy", "no array")
    wrong.append((tmp_path / "other.npz").read_bytes())
    for content in wrong:
        path.write_bytes(content)
        with pytest.raises(UserError, match=KEPT):
            read_kept(path)
    keep_epoch(path, 4, drawn(np.random.default_rng(0)), CLUSTERS)
    assert read_kept(path).epochs.tolist() == [4]


def test_the_winner_and_the_best_of_another_run_are_named_and_told_apart(runs):
    kept = {name: read_kept(runs / name / KEPT) for name in "abc"}
    for metric in ("auroc", "brier", "balanced_accuracy"):
        found = assess(kept, metric)
        assert found.winner == ("b", 1) and found.runner_up[0] != "b"
        assert found.is_told_apart and found.lead > found.lead_by_chance > 0
        assert found.optimism.n_candidates == 6
        assert abs(found.optimism.optimism) < 1e-9  # nothing else is ever chosen
        assert found.optimism.low < found.optimism.naive < found.optimism.high
        assert (found.n_runs, found.n_rows, found.n_positive) == (3, 120, 40)
    alike = {name: kept[name].before(1) for name in "abc"}
    found = assess(alike, "auroc")
    assert not found.is_told_apart and found.lead < found.lead_by_chance
    assert found.optimism.optimism > 0.01
    assert "cannot be told apart" in sentences(found)[-1]
    assert assess({"a": kept["a"]}, "auroc").runner_up is None
    with pytest.raises(UserError, match="--metric loss"):
        assess(kept, "loss")
    other = replace(kept["c"], clusters=np.arange(120, dtype=np.int32))
    with pytest.raises(UserError, match="c: its validation rows"):
        assess(kept | {"c": other}, "auroc")


def test_the_command_and_the_tables_tell_it(runs, capsys):
    assert selection_bias.main([str(runs)]) == 0
    told = capsys.readouterr().out
    assert "b, epoch 2" in told and "can be told apart" in told
    (written,) = json.loads((runs / "selection_bias.json").read_text())
    assert written["metric"] == "auroc" and written["winner"] == ["b", 1]
    assert written["optimism"]["naive"] == pytest.approx(written["corrected"])
    assert selection_bias.main([str(runs), "--metric", "brier", "--output_dir", str(runs)]) == 0
    (written,) = json.loads((runs / "selection_bias.json").read_text())
    assert written["metric"] == "brier"
    # runs chosen by what cannot be measured anew are left out, and damaged ones told
    (runs / "a" / "config.json").write_text(json.dumps({"monitor": "loss"}))
    (runs / "c" / KEPT).write_bytes(b"damaged")
    capsys.readouterr()
    assert selection_bias.main([str(runs)]) == 1
    captured = capsys.readouterr()
    assert str(runs / "c" / KEPT) in captured.err and "--metric auroc" in captured.err
    assert "b, epoch 2" in captured.out
    rows = {"n": 120, "n_positive": 40, "auroc": 0.9, "groups": {}}
    for name in "abc":
        (runs / name / "metrics.json").write_text(json.dumps({"test": rows}))
    (runs / "a" / "config.json").write_text(json.dumps({"monitor": "auroc"}))
    assert get_results.main([str(runs)]) == 0
    assert "Selection bias by AUROC:" in capsys.readouterr().out
    (runs / "selection_bias.json").unlink()
    (runs / "selection_bias.json").symlink_to(runs / "b" / KEPT)
    with pytest.raises(UserError, match="cannot be written, it is a link"):
        selection_bias.main([str(runs)])
    empty = runs / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no validation predictions"):
        selection_bias.main([str(empty)])
    with pytest.raises(UserError, match="given twice"):
        selection_bias.main([str(runs), str(runs)])
