"""Sweeps: continued as if never interrupted, nothing trained twice, the hopeless ended early."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

import src.sweeps.trials as trials_module
from src.core.errors import UserError
from src.core.flags import load_config
from src.scripts.sweep import main

pytestmark = pytest.mark.slow

SPACE = "lr: {low: 1e-5, high: 1e-1, log: true}\nbatch_size: {choices: [8, 16, 32]}"


class Trainer:
    """Stands in for `train`: learns best at lr 1e-3, continues where it was stopped.

    `fails` maps (run, epoch) to what is raised before that epoch.
    """

    def __init__(self):
        self.epochs: list[tuple[str, int]] = []
        self.fails: dict[tuple[str, int], BaseException] = {}

    @property
    def runs(self):
        """Names of the runs, in the order of their first epoch."""
        return list(dict.fromkeys(run for run, _ in self.epochs))

    def __call__(self, cfg, after_epoch):
        folder = Path(cfg.run.output_dir) / cfg.run.run_name
        folder.mkdir(exist_ok=True)
        path = folder / "training_history.json"
        history = json.loads(path.read_text()) if path.exists() else []
        quality = 1 / (1 + abs(np.log10(cfg.learning.lr) + 3)) + cfg.learning.batch_size / 1000
        for epoch in range(len(history), cfg.learning.epochs):
            if (cfg.run.run_name, epoch) in self.fails:
                raise self.fails[cfg.run.run_name, epoch]
            self.epochs.append((cfg.run.run_name, epoch))
            # the last epoch but one is the best
            rise = quality * (1 - 0.5 ** (epoch + 1)) - 0.2 * (epoch == cfg.learning.epochs - 1)
            entry = {"epoch": epoch, "seconds": 1.5, "valid": {"auroc": rise, "log_loss": -rise}}
            history.append(entry)
            path.write_text(json.dumps(history))
            after_epoch(history)
        return folder


@pytest.fixture
def trainer(monkeypatch):
    trainer = Trainer()
    monkeypatch.setattr(trials_module, "train", trainer)
    return trainer


@pytest.fixture
def sweep(tmp_path, trainer, monkeypatch):
    """Run a sweep of N trials in a folder; its `trials.csv`."""

    def run(n_trials, *flags, folder="study", space=SPACE, figures=False):
        if not figures:  # they take longer than all else
            monkeypatch.setattr(trials_module, "write_figures", lambda *_: "")
        (tmp_path / "space.yaml").write_text(space)
        argv = ["--space", str(tmp_path / "space.yaml"), "--trials", str(n_trials)]
        argv += ["--study-dir", str(tmp_path / folder), "--monitor", "auroc", "--epochs", "5"]
        argv += ["--data_path", str(tmp_path)]
        main([*argv, *flags])
        return pd.read_csv(tmp_path / folder / "trials.csv")

    return run


def load_study(tmp_path):
    """The study as other programs of Optuna see it."""
    storage = f"sqlite:///{tmp_path / 'study' / 'study.db'}"
    return optuna.load_study(study_name="sweep", storage=storage)


def value_of(row):
    """The value of the last epoch but one."""
    quality = 1 / (1 + abs(np.log10(row["lr"]) + 3)) + row["batch_size"] / 1000
    return quality * (1 - 0.5**4)


def test_trials_are_evaluated_by_their_best_epoch(sweep, trainer, tmp_path, capsys):
    trials = sweep(6, figures=True)
    assert trials["number"].tolist() == list(range(6))
    complete = trials[trials["state"] == "complete"]
    assert len(complete) >= 5, "none is pruned before the sixth"
    assert complete["value"].tolist() == pytest.approx(complete.apply(value_of, axis=1).tolist())
    assert (complete["seconds"] == 7.5).all()
    assert trials["lr"].between(1e-5, 1e-1).all()
    assert trials["lr"].nunique() == 6
    assert trainer.runs == trials["folder"].tolist()
    best = complete.loc[complete["value"].idxmax()]
    shown = capsys.readouterr().out
    assert "6 trials (" in shown
    assert shown.splitlines()[-1].endswith(f"--config {tmp_path / 'study' / 'best.yaml'}")
    cfg = load_config(["--config", str(tmp_path / "study" / "best.yaml")])
    assert (cfg.learning.lr, cfg.learning.batch_size) == (best["lr"], best["batch_size"])
    assert (cfg.learning.epochs, cfg.run.monitor, cfg.run.run_name) == (5, "auroc", "")
    for name in ("optimization_history.png", "slices.png"):
        assert (tmp_path / "study" / name).read_bytes().startswith(b"\x89PNG")


def test_less_is_better_for_a_loss(sweep, tmp_path):
    trials = sweep(4, "--monitor", "log_loss")
    complete = trials[trials["state"] == "complete"]
    assert complete["value"].tolist() == pytest.approx((-complete.apply(value_of, axis=1)).tolist())
    best = complete.loc[complete["value"].idxmin()]
    cfg = load_config(["--config", str(tmp_path / "study" / "best.yaml")])
    assert cfg.learning.lr == best["lr"]


def test_an_interrupted_sweep_continues_as_if_it_had_not_been(sweep, trainer):
    whole = sweep(12, folder="whole")
    expected, trainer.epochs = trainer.epochs, []
    for run, epoch in (("trial_0", 0), ("trial_2", 3), ("trial_7", 1)):
        trainer.fails = {(run, epoch): KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            sweep(12)
    trainer.fails = {}
    assert sweep(12).equals(whole)
    assert trainer.epochs == expected, "no epoch is trained twice"


def test_a_run_that_ended_before_the_study_knew_is_not_trained_again(sweep, trainer, monkeypatch):
    real_tell = optuna.Study.tell

    def killed(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(optuna.Study, "tell", killed)
    with pytest.raises(KeyboardInterrupt):
        sweep(2)
    monkeypatch.setattr(optuna.Study, "tell", real_tell)
    trials = sweep(2)
    assert len(trainer.epochs) == 10
    assert trials["value"].tolist() == pytest.approx(trials.apply(value_of, axis=1).tolist())


def test_epochs_that_were_saved_but_not_reported_are_reported_later(sweep, tmp_path, monkeypatch):
    real_report = trials_module.report

    def killed_after_epoch_1(trial, history, monitor):
        if len(history) == 2:
            raise KeyboardInterrupt
        real_report(trial, history, monitor)

    monkeypatch.setattr(trials_module, "report", killed_after_epoch_1)
    with pytest.raises(KeyboardInterrupt):
        sweep(1)
    monkeypatch.setattr(trials_module, "report", real_report)
    sweep(1)
    (trial,) = load_study(tmp_path).trials
    history = json.loads((tmp_path / "study" / "trial_0" / "training_history.json").read_text())
    assert list(trial.intermediate_values.values()) == [e["valid"]["auroc"] for e in history]


def test_the_same_command_adds_only_what_is_missing(sweep, trainer):
    whole = sweep(9, folder="whole")
    trainer.epochs = []
    first = sweep(4)
    assert len(trainer.runs) == 4
    assert sweep(9).equals(whole)
    assert first.equals(whole.iloc[:4][first.columns])
    n_epochs = len(trainer.epochs)
    assert sweep(9).equals(whole)
    assert sweep(3).equals(whole)
    assert len(trainer.epochs) == n_epochs


def test_another_seed_draws_other_settings(sweep):
    assert not set(sweep(3)["lr"]) & set(sweep(3, "--seed", "1", folder="other")["lr"])


def test_pruned_trials_are_those_below_the_median_of_the_earlier_ones(sweep, trainer, tmp_path):
    sweep(25)
    done = [trial for trial in load_study(tmp_path).trials if "same_as" not in trial.user_attrs]
    states = [trial.state.name for trial in done]
    assert states[:5] == ["COMPLETE"] * 5
    assert states.count("PRUNED") > 2
    for trial in done:
        steps = list(trial.intermediate_values)
        values = np.array([*trial.intermediate_values.values()])
        earlier = [t for t in done[: trial.number] if t.state.name == "COMPLETE"]
        below = [
            len(earlier) >= 5
            and 2 <= step < 4
            and values[: i + 1].max() < np.median([t.intermediate_values[step] for t in earlier])
            for i, step in enumerate(steps)
        ]
        assert any(below) == (trial.state.name == "PRUNED")
        assert below.index(True) == len(steps) - 1 if any(below) else len(steps) == 5


def test_settings_that_were_tried_are_not_trained_again(sweep, trainer):
    trials = sweep(8, space="batch_size: {choices: [8, 16]}")
    assert trainer.runs == ["trial_0", trials["folder"].unique()[1]]
    assert len(trainer.epochs) == 10
    assert trials.groupby("batch_size")[["value", "folder"]].nunique().eq(1).all(axis=None)
    assert trials["seconds"].sum() == 15


def test_a_first_trial_that_fails_ends_the_sweep_and_is_taken_up_again(sweep, trainer):
    trainer.fails = {("trial_0", 2): UserError("no such folder")}
    with pytest.raises(UserError, match=r"^trial 0: no such folder"):
        sweep(3)
    trainer.fails = {("trial_0", 2): RuntimeError("a fault")}
    with pytest.raises(RuntimeError, match="a fault"):
        sweep(3)
    trainer.fails = {}
    assert sweep(3)["state"].tolist() == ["complete"] * 3
    assert len(trainer.epochs) == len(set(trainer.epochs)) == 15


@pytest.mark.parametrize("error", [UserError("needs tone groups"), RuntimeError("out of memory")])
def test_a_later_failure_is_noted_and_passed_over(sweep, trainer, error):
    trainer.fails = {("trial_1", 1): error}
    trials = sweep(3)
    assert trials["state"].tolist() == ["complete", "fail", "complete"]
    assert trials["error"][1] == str(error)
    assert sweep(3).equals(trials)


@pytest.mark.parametrize(
    ("flags", "space", "name"),
    [
        (["--weight_decay", "0.1"], SPACE, "weight_decay"),
        (["--seed", "1"], SPACE, "seed"),
        ([], SPACE.replace("1e-5", "1e-4"), "lr"),
        ([], SPACE.splitlines()[0], "batch_size"),
    ],
)
def test_a_sweep_is_not_continued_with_other_settings(sweep, flags, space, name):
    sweep(1)
    with pytest.raises(UserError, match=rf"begun with another space or other .*\({name}\)"):
        sweep(2, *flags, space=space)


def test_settings_that_change_no_result_may_differ(sweep):
    assert len(sweep(1)) == 1
    assert len(sweep(2, "--num_workers", "0")) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--trials", "0"], "--trials 0: expected 1 or more"),
        (["--trials", "many"], "--trials is 'many': expected"),
        (["--space", ""], "--space is '': expected a path"),
        (["--lr", "0.1"], "--lr is searched: remove it"),
        (["--test"], "--test: has no effect on a sweep"),
        (["--run_name", "a"], "--run_name: has no effect on a sweep"),
        (["--ngpus", "2"], "--ngpus: expected with --cluster"),
        (["--train_on_all"], "--train_on_all leaves no validation rows"),
        (["--kfold", "3"], "choose its validation fold with --fold"),
        (["--objective", "focall"], "did you mean 'focal'"),
        (["--spase", "x"], "unknown argument '--spase'; did you mean 'space'"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_written(sweep, tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        sweep(2, *flags)
    assert not (tmp_path / "study").exists()


def test_a_loss_compares_no_objectives(sweep):
    space = "objective: {choices: [ohem, focal]}"
    with pytest.raises(UserError, match="--monitor loss is not comparable between objectives"):
        sweep(2, "--monitor", "loss", space=space)


def test_several_processes_are_refused(sweep, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="start it without torchrun"):
        sweep(1)


def test_a_sweep_that_runs_is_not_joined(sweep, tmp_path):
    sweep(1)
    with (
        trials_module.only_process(tmp_path / "study"),
        pytest.raises(UserError, match=r"the sweep in .*study is in use by another process"),
    ):
        sweep(1)


def run_sql(*lines):
    def run(path):
        with closing(sqlite3.connect(path)) as database:
            for line in lines:
                database.execute(line)
            database.commit()

    return run


def overwrite(start, content):
    def write(path):
        data = bytearray(path.read_bytes())
        data[start : start + len(content)] = content
        path.write_bytes(data)

    return write


DAMAGE = {
    "text": lambda path: path.write_text("not a database " * 100),
    "other program": lambda path: (path.unlink(), run_sql("CREATE TABLE notes (a)")(path)),
    "other columns": lambda path: (path.unlink(), run_sql("CREATE TABLE studies (a)")(path)),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-5000]),
    "bytes within": overwrite(8192, b"\xff" * 4096),
    "version": run_sql("UPDATE alembic_version SET version_num = 'v99'"),
    "attribute": run_sql("UPDATE study_user_attributes SET value_json = '{'"),
    "settings": run_sql("UPDATE study_user_attributes SET value_json = '5'"),
    "distribution": run_sql("UPDATE trial_params SET distribution_json = '[]'"),
    "state": run_sql("UPDATE trials SET state = 'LOST'"),
    "link": lambda path: path.symlink_to(path.rename(path.with_name("other.db"))),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


def test_a_damaged_study_is_refused_in_one_line_and_left_alone(sweep, tmp_path):
    sweep(2)
    study = tmp_path / "study" / "study.db"
    whole = study.read_bytes()
    for kind, damage in DAMAGE.items():
        damage(study)
        before = study.lstat()
        with pytest.raises(UserError, match=r"study\.db: (not a study|cannot be)") as error:
            sweep(3)
        assert "\n" not in str(error.value), kind
        assert study.lstat().st_ino == before.st_ino, kind
        study.unlink()
        study.write_bytes(whole)
    history = tmp_path / "study" / "trial_0" / "training_history.json"
    damaged = ("[]", "{}", "[5]", '[{"epoch": 0}]', "[", '[{"epoch": 0, "seconds": 1}]')
    for n_trials, text in enumerate(damaged, 3):
        history.write_text(text)
        with pytest.raises(UserError, match=r"training_history\.json: not"):
            sweep(n_trials)


def test_a_full_disk_ends_a_sweep_with_one_line(sweep, trainer, monkeypatch):
    def full(*_):
        raise optuna.exceptions.StorageInternalError("") from sqlite3.OperationalError("disk full")

    monkeypatch.setattr(optuna.Study, "tell", full)
    with pytest.raises(UserError, match=r"study\.db: cannot be written \(disk full\)"):
        sweep(1)


def test_two_real_trials(tmp_path, tiny_settings, capsys):
    settings = {**tiny_settings, "epochs": 1, "monitor": "auroc"}
    for name in ("lr", "batch_size"):
        settings.pop(name)
    (tmp_path / "space.yaml").write_text(SPACE)
    (tmp_path / "tiny.yaml").write_text(json.dumps(settings))
    argv = ["--config", str(tmp_path / "tiny.yaml"), "--space", str(tmp_path / "space.yaml")]
    argv += ["--output_dir", str(tmp_path / "out"), "--trials", "2"]
    main(argv)
    folder = tmp_path / "out" / "sweep_space"
    trials = pd.read_csv(folder / "trials.csv")
    assert trials["state"].tolist() == ["complete", "complete"]
    for _, trial in trials.iterrows():
        run = folder / trial["folder"]
        metrics = json.loads((run / "metrics.json").read_text())
        assert trial["value"] == pytest.approx(metrics["valid"]["auroc"])
        config = json.loads((run / "config.json").read_text())
        assert (config["lr"], config["batch_size"]) == (trial["lr"], trial["batch_size"])
        assert not list(run.glob("checkpoint_epoch_*"))
    assert "2 trials (2 complete), best first" in capsys.readouterr().out
