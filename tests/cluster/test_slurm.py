"""On a real SLURM cluster of two nodes: a training that is queued again, arrays, failures.

Skipped with the reason where there is none; SLURM_TESTS=require makes that a failure.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import submitit
import torch

from src.artifact.network import load_checkpoint
from src.cluster.options import Cluster
from src.cluster.submit import make_executor, wait_for
from src.cluster.training import submit_trainings
from src.core.config import Config
from src.engine.log import to_yaml
from src.scripts import predict, run_with_submitit
from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import with_contract

ROOT = Path(__file__).resolve().parents[2]
USABLE = ("idle", "mix", "alloc", "comp")
PATIENCE_S = 300
EPOCHS = 8
NODES = 2


def why_unusable() -> str:
    """Why these tests cannot run here; empty where they can."""
    if not os.environ.get("SLURM_CONF"):
        return "SLURM_CONF is not set"
    absent = [name for name in ("sbatch", "sinfo", "sacct") if not shutil.which(name)]
    if absent:
        return f"{', '.join(absent)}: not on PATH"
    nodes = subprocess.run(["sinfo", "-h", "-N", "-o", "%N %t"], capture_output=True, text=True)
    states = dict(line.split() for line in nodes.stdout.splitlines())
    n_usable = sum(state in USABLE for state in states.values())
    if n_usable < 2:
        return f"{n_usable} usable nodes, 2 are needed {nodes.stderr.strip()}"
    if subprocess.run(["sacct", "-X", "-n", "-j", "1"], capture_output=True).returncode:
        return "no accounting: sacct fails"  # submitit would wait for ever on a killed job
    return ""


@pytest.fixture(scope="module", autouse=True)
def usable_cluster():
    reason = why_unusable()
    if reason and os.environ.get("SLURM_TESTS") == "require":
        pytest.fail(f"SLURM_TESTS=require: {reason}")
    if reason:
        pytest.skip(f"no SLURM cluster: {reason}")


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """CPU jobs in a folder of their own; those that a test submitted are cancelled at its end."""
    monkeypatch.setattr(submitit.Job, "_results_timeout_s", 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums in one order, wherever they are made
    submitted, get_id = [], submitit.SlurmExecutor._get_job_id_from_submission_command

    def remember(printed):
        submitted.append(get_id(printed))
        return submitted[-1]

    monkeypatch.setattr(
        submitit.SlurmExecutor, "_get_job_id_from_submission_command", staticmethod(remember)
    )
    yield Cluster(cluster="slurm", ngpus=0, timeout=60, job_dir=str(tmp_path / "jobs" / "%j"))
    if submitted:
        subprocess.run(["scancel", *submitted], check=True)


@pytest.fixture
def settings(tiny_settings, tmp_path) -> dict:
    return {**tiny_settings, "output_dir": str(tmp_path / "runs")}


def weights(run: Path) -> dict:
    return load_checkpoint(run / "checkpoint_latest.pth")["model_state_dict"]


def wait_until_exists(path: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < end, f"{path}: not there after {PATIENCE_S} s"
        time.sleep(0.05)


def test_a_training_on_nodes_that_is_queued_again_ends_as_one_on_this_machine(
    cluster, settings, tmp_path
):
    cfg = Config().with_settings(**{**settings, "epochs": EPOCHS}, run_name="job")
    (tmp_path / "here.yaml").write_text(to_yaml(cfg.with_settings(run_name="here")))
    here = subprocess.Popen(
        [ROOT / "train.sh", "--config", tmp_path / "here.yaml"],
        env={**os.environ, "PYTHON": sys.executable, "NPROC": str(NODES)},
        stdout=subprocess.DEVNULL,
    )
    try:
        (job,) = submit_trainings([cfg], replace(cluster, nodes=NODES))
        run = tmp_path / "runs" / "job"
        wait_until_exists(run / "checkpoint_latest.pth")  # submitit's handlers are up
        subprocess.run(["scancel", "--signal=USR2", job.job_id], check=True)
        assert wait_for([job]) == []
        assert here.wait(PATIENCE_S) == 0
    finally:
        here.kill()
        here.wait()
    assert f"Requeued job {job.job_id}" in job.task(0).stdout()
    done = [n for n in range(EPOCHS) if f"continuing after {n} of {EPOCHS}" in log_of(run)]
    assert len(done) == 1 and done[0] >= 1
    found, expected = weights(run), weights(tmp_path / "runs" / "here")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    history = json.loads((run / "training_history.json").read_text())
    assert [entry["epoch"] for entry in history] == list(range(EPOCHS))


def log_of(run: Path) -> str:
    return (run / "training.log").read_text()


def test_four_configurations_are_one_array(cluster, settings, tmp_path):
    cfgs = [
        Config().with_settings(**{**settings, "epochs": 1}, seed=seed, run_name=f"seed{seed}")
        for seed in range(4)
    ]
    jobs = submit_trainings(cfgs, cluster)
    array = jobs[0].job_id.partition("_")[0]
    assert [job.job_id for job in jobs] == [f"{array}_{i}" for i in range(4)]
    assert wait_for(jobs) == []
    runs = [Path(job.result()) for job in jobs]
    assert runs == [tmp_path / "runs" / f"seed{seed}" for seed in range(4)]
    assert [json.loads((run / "config.json").read_text())["seed"] for run in runs] == [0, 1, 2, 3]
    assert all(json.loads((run / "metrics.json").read_text())["test"]["n"] for run in runs)


def test_the_error_of_a_job_reaches_the_submitter(cluster, tmp_path, capsys):
    argv = [
        "--cluster",
        "slurm",
        "--ngpus",
        "0",
        "--job_dir",
        cluster.job_dir,
        "--wait",
        "--no_pretrained",
    ]
    (tmp_path / "empty").mkdir()
    argv += ["--data_path", str(tmp_path / "empty"), "--output_dir", str(tmp_path / "runs")]
    assert run_with_submitit.main(argv) == 1
    error, log = capsys.readouterr().err.splitlines()
    assert error.startswith("error: job ") and f"{tmp_path}/empty: expected" in error
    assert f"{tmp_path}/empty: expected" in Path(log.removeprefix("log: ")).read_text()


def test_the_first_error_of_a_job_of_two_nodes_ends_it(cluster):
    def fail_on_the_second_node():
        if submitit.JobEnvironment().global_rank == 1:
            raise ValueError("of the second node")
        time.sleep(PATIENCE_S)

    started = time.monotonic()
    job = make_executor(replace(cluster, nodes=2), "fails").submit(fail_on_the_second_node)
    (failure,) = wait_for([job])
    assert (failure.task, failure.reason) == (1, "ValueError: of the second node")
    assert failure.log.name == f"{job.job_id}_1_log.err"
    assert time.monotonic() - started < PATIENCE_S  # the first node does not sleep to its end


def test_a_cancelled_job_is_a_failure_with_its_state(cluster):
    job = make_executor(cluster, "cancelled").submit(time.sleep, PATIENCE_S)
    subprocess.run(["scancel", job.job_id], check=True)
    (failure,) = wait_for([job])
    assert "state: CANCELLED" in failure.reason


@pytest.mark.simulation
def test_a_folder_is_predicted_by_an_array_and_joined(cluster, tmp_path, at_size):
    """Byte for byte as on this machine, in an array of three jobs; a failure is told.

    With --full of 10,000 files of which 200 are bad.
    """
    model = with_contract(tmp_path / "x.onnx", make_contract(), height=32, width=32)
    rng, images = np.random.default_rng(0), tmp_path / "images"
    images.mkdir()
    for number in range(at_size(50, 9800)):
        pixels = rng.integers(0, 256, (24, 24, 3)).astype(np.uint8)
        cv2.imwrite(str(images / f"{number}.png"), pixels)
    for number in range(at_size(1, 200)):
        (images / f"bad_{number}.jpg").write_text("no image")
    names = {"--onnx_model_path": model, "--input_folder": images}
    shared = [*itertools.chain(*names.items()), "--probabilities", "--batch_size", 4]
    on_slurm = ["--cluster", "slurm", "--shards", 3, "--job_dir", cluster.job_dir]
    outputs = tmp_path / "here.csv", tmp_path / "there.csv"
    for output, more in zip(outputs, ([], on_slurm), strict=True):
        assert predict.main([*map(str, [*shared, "--output_csv", output, *more])]) == 1
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert (tmp_path / "here_errors.csv").read_text() == (tmp_path / "there_errors.csv").read_text()
    jobs = {path.name for path in (tmp_path / "jobs").iterdir() if path.match("[0-9]*_*")}
    assert len({name.partition("_")[0] for name in jobs}) == 1 and len(jobs) == 3
    assert not list(tmp_path.glob(".*.partial"))
