"""Trials as jobs: waves of them, continued and counted as those of one process are."""

import json
from pathlib import Path

import pandas as pd
import pytest

import src.sweeps.trials as trials_module
from src.core.errors import UserError
from src.scripts.sweep import main

SPACE = "lr: {low: 1e-5, high: 1e-1, log: true}"


class Jobs:
    """Stands in for the cluster: a job's value is its learning rate, and some jobs fail."""

    def __init__(self):
        self.waves: list[list[str]] = []
        self.failing: set[str] = set()

    def submit(self, cfgs, cluster):
        self.waves.append([cfg.run.run_name for cfg in cfgs])
        for cfg in cfgs:
            assert (cfg.run.resume, cluster.cluster) == ("auto", "local")
            folder = Path(cfg.run.output_dir, cfg.run.run_name)
            if cfg.run.run_name not in self.failing:
                folder.mkdir(parents=True)
                entry = {"epoch": 0, "seconds": 1.0, "valid": {"auroc": cfg.learning.lr}}
                (folder / "training_history.json").write_text(json.dumps([entry]))
                (folder / "metrics.json").write_text("{}")
        return cfgs

    def wait(self, jobs):
        names = [cfg.run.run_name for cfg in jobs]
        return [f"error: job of {name}" for name in names if name in self.failing]


@pytest.fixture
def jobs(monkeypatch):
    jobs = Jobs()
    monkeypatch.setattr(trials_module, "submit_trainings", jobs.submit)
    monkeypatch.setattr(trials_module, "wait_for", jobs.wait)
    monkeypatch.setattr(trials_module, "write_figures", lambda *_: "")
    return jobs


@pytest.fixture
def sweep(tmp_path, jobs):
    def run(n_trials, *flags):
        (tmp_path / "space.yaml").write_text(SPACE)
        argv = ["--space", str(tmp_path / "space.yaml"), "--trials", str(n_trials)]
        argv += ["--study_dir", str(tmp_path / "study"), "--monitor", "auroc", "--epochs", "1"]
        argv += ["--data_path", str(tmp_path), "--cluster", "local", "--ngpus", "0"]
        main([*argv, *flags])
        return pd.read_csv(tmp_path / "study" / "trials.csv")

    return run


def test_trials_are_submitted_in_waves_and_evaluated_by_their_runs(sweep, jobs):
    trials = sweep(5, "--parallel", "2")
    assert jobs.waves == [["trial_0", "trial_1"], ["trial_2", "trial_3"], ["trial_4"]]
    assert trials["value"].tolist() == pytest.approx(trials["lr"].tolist())
    assert trials["lr"].nunique() == 5
    sweep(6, "--parallel", "2")
    assert jobs.waves[3:] == [["trial_5"]]


def test_a_failed_job_is_noted_and_the_others_count(sweep, jobs):
    jobs.failing = {"trial_1"}
    trials = sweep(3, "--parallel", "3").set_index("number")
    assert trials["state"].tolist() == ["complete", "fail", "complete"]
    assert trials.loc[1, "error"] == "error: job of trial_1"


def test_a_first_wave_that_fails_ends_the_sweep_and_is_taken_up_again(sweep, jobs):
    jobs.failing = {"trial_0", "trial_1"}
    with pytest.raises(UserError, match="trial 0: error: job of trial_0"):
        sweep(2)
    jobs.failing = set()
    assert sweep(2)["state"].tolist() == ["complete"] * 2
    assert jobs.waves == [["trial_0", "trial_1"]] * 2


def test_a_wrong_number_at_a_time_is_refused(sweep):
    for number in ("0", "many"):
        with pytest.raises(UserError, match=rf"--parallel .*{number}'?: expected "):
            sweep(2, "--parallel", number)
