"""Jobs without a cluster: flags, settings of a job, the copy of the code, failures, a local job."""

import os
from dataclasses import fields
from pathlib import Path

import pytest
import submitit
import torch

from src.artifact.network import load_checkpoint
from src.cluster.options import Cluster
from src.cluster.submit import submit
from src.cluster.training import as_job, one_of_each_fold, submit_trainings
from src.core.config import Config
from src.core.errors import UserError
from src.engine.log import to_yaml
from src.scripts import run_with_submitit

FLAGS = (
    "cluster nodes ngpus timeout partition mem_gb cpus_per_task account qos constraint comment "
    "job_dir"
)
SBATCH = """#!/bin/bash
/bin/cp "${!#}" "$SEEN"
[ -z "$REFUSAL" ] || { printf "sbatch: error: $REFUSAL" >&2; exit 1; }
echo "in job: ${SLURM_JOB_ID:-none} $RANK $SBATCH_ACCOUNT" >> "$SEEN"
echo Submitted batch job 4242
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Stand-ins for SLURM's programs; the file that holds the script of the last submission."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "sbatch": SBATCH,
        "srun": "",
        "sinfo": "#!/bin/bash\nexit ${DOWN:-0}\n",
    }.items():
        (programs / name).write_text(text or "#!/bin/bash\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("SEEN", str(tmp_path / "script"))
    # what they tell of a job is never asked for: nothing here runs one
    monkeypatch.setattr(submitit.SlurmJob.watcher, "update", lambda: None)
    return tmp_path / "script"


@pytest.fixture
def jobs_dir(tmp_path):
    return str(tmp_path / "jobs" / "%j")


def lines(script: Path) -> set[str]:
    return {line.removeprefix("#SBATCH ") for line in script.read_text().splitlines()}


# flags


def test_the_flags_of_a_cluster_are_these():
    assert {f.name for f in fields(Cluster)} == set(FLAGS.split())


def test_both_kinds_of_flags_are_read():
    argv = ["--nodes", "2", "--mem-gb", "1.5", "--job_dir=x", "--epochs", "3", "--wait"]
    given, cluster, submission = run_with_submitit.parse(argv)
    assert cluster == Cluster(nodes=2, mem_gb=1.5, job_dir="x")
    assert (given, submission.wait) == ({"epochs": "3"}, True)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--nods 2", "unknown argument '--nods'; did you mean 'nodes'? (see --help)"),
        ("--nodes two", "--nodes is 'two': expected a whole number"),
        ("--nodes 0", "--nodes 0: expected 1 or more"),
        ("--ngpus -1", "--ngpus -1: expected 0 or more"),
        ("--timeout 0", "--timeout 0: expected 1 or more"),
        ("--cpus_per_task -1", "--cpus_per_task -1: expected 0 or more"),
        ("--mem_gb -1", "--mem_gb -1.0: expected 0 or more"),
        ("--mem_gb nan", "--mem_gb is 'nan': expected a number"),
        ("--mem_gb inf", "--mem_gb is 'inf': expected a number"),
        ("--job_dir=", "--job_dir: expected a folder"),
        ("--comment=one\ntwo", "--comment: expected one line of text"),
        (
            "--cluster slrum",
            "--cluster is 'slrum': expected auto, slurm, local, debug; did you mean 'slurm'?",
        ),
        ("--cluster local --nodes 2", "--nodes 2: --cluster local is one node"),
        ("--cluster debug --nodes 2", "--nodes 2: --cluster debug is one node"),
        ("--cluster debug --ngpus 2", "--ngpus 2: --cluster debug is one process; use local"),
        ("--epochs 0", "--epochs 0: expected 1 or more"),
        ("--objective cross_entropi", "no objective is called 'cross_entropi'"),
        ("--ngpus 0 --device cuda", "--device cuda: there are no GPUs with --ngpus 0"),
        ("--test", "--test: has no effect on training jobs"),
        ("--kfold 3 --resume auto", "--resume of all folds: give their --run_name"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_submitted(
    argv, message, slurm, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "isic2020_challenge").mkdir()
    with pytest.raises(UserError) as error:
        run_with_submitit.main(argv.split(" "))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "slurm_jobs").exists() and not slurm.exists()


# where


def test_auto_is_slurm_where_it_answers_else_this_machine(slurm, monkeypatch):
    assert Cluster().found().cluster == "slurm"
    assert Cluster(cluster="local").found().cluster == "local"
    monkeypatch.setenv("DOWN", "1")
    assert Cluster().found().cluster == "local"
    monkeypatch.delenv("DOWN")
    Path(os.environ["PATH"], "sbatch").unlink()  # srun alone is no cluster
    assert Cluster().found().cluster == "local"
    with pytest.raises(UserError, match="--cluster slurm: sinfo and sbatch do not respond"):
        Cluster(cluster="slurm").found()
    with pytest.raises(UserError, match="--nodes 2: --cluster local is one node"):
        Cluster(nodes=2).found()


# the settings of a job


def test_the_paths_of_a_job_are_the_submitters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config().with_settings(
        data_path="data", skin_color_csv="../tones.csv", weights="w.pth", log_dir="logs"
    )
    job = as_job(cfg, Cluster())
    assert job.data.data_path == f"{tmp_path}/data"
    assert job.data.skin_color_csv == f"{tmp_path}/../tones.csv"
    assert job.model.weights == f"{tmp_path}/w.pth"
    assert job.run.output_dir == f"{tmp_path}/melanoma_output"
    assert job.run.log_dir == f"{tmp_path}/logs"
    assert as_job(Config(), Cluster()).run.log_dir == ""


def test_a_job_has_a_fixed_run_that_any_start_of_it_continues():
    job = as_job(Config(), Cluster())
    assert job.run.resume == "auto"
    assert job.run.run_name.endswith("_convnext_tiny_bs16_cross_entropy")
    named = as_job(Config().with_settings(run_name="mine"), Cluster())
    assert named.run.run_name == "mine"
    assert as_job(named, Cluster()) == named


def test_without_gpus_a_job_trains_on_the_cpu():
    assert as_job(Config(), Cluster(ngpus=0)).run.device == "cpu"
    assert as_job(Config(), Cluster(ngpus=2)).run.device == "auto"


def test_a_finished_run_is_continued_only_when_told(tiny_run, tiny_settings):
    settings = {**tiny_settings, "output_dir": str(tiny_run.parent)}
    cfg = Config().with_settings(**settings, run_name="tiny")
    with pytest.raises(UserError, match=f"{tiny_run} already holds a run: give another --run_name"):
        as_job(cfg, Cluster())
    unnamed = Config().with_settings(**settings, resume=str(tiny_run))
    for told in (cfg.with_settings(resume="auto"), unnamed):
        job = as_job(told, Cluster())
        assert Path(job.run.output_dir, job.run.run_name) == tiny_run
        assert job.run.resume == "auto"
    with pytest.raises(UserError, match=r"started with other settings \(lr\)"):
        as_job(cfg.with_settings(resume="auto", lr=2e-3), Cluster())


def test_a_job_of_each_fold():
    cfg = Config().with_settings(kfold=3, run_name="cv")
    found = [(job.data.fold, job.run.run_name) for job in one_of_each_fold(cfg)]
    assert found == [(0, "cv_fold0"), (1, "cv_fold1"), (2, "cv_fold2")]
    assert one_of_each_fold(Config()) == [Config()]
    alone = cfg.with_settings(fold=1)
    assert one_of_each_fold(alone) == [alone]


# submission


def test_what_slurm_is_told(slurm, jobs_dir, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")  # the submitter runs in a job itself
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("SBATCH_ACCOUNT", "lab")
    cluster = Cluster(
        nodes=2, ngpus=4, timeout=90, partition="p", mem_gb=1.5, cpus_per_task=6, account="a",
        qos="q", constraint="c", comment="two words", job_dir=jobs_dir,
    )  # fmt: skip
    (job,) = submit_trainings([Config().with_settings(run_name="mine")], cluster)
    assert (job.job_id, job.num_tasks) == ("4242", 8)
    assert lines(slurm) >= {
        "--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4", "--time=90", "--partition=p",
        "--mem=1536M", "--cpus-per-task=6", "--account=a", "--qos=q", "--constraint=c",
        "--comment='two words'", "--requeue", "--signal=USR2@30", "--job-name=mine",
    }  # fmt: skip
    *_, command, around = slurm.read_text().splitlines()
    assert around == "in job: none  lab"
    assert "--kill-on-bad-exit=1 --cpus-per-task=6 env PYTHONPATH=" in command
    assert os.environ["SLURM_JOB_ID"] == "7" and os.environ["RANK"] == "3"


def test_slurm_is_told_no_more_than_was_asked_for(slurm, jobs_dir):
    submit_trainings([Config()], Cluster(ngpus=0, job_dir=jobs_dir))
    told = {line.partition("=")[0] for line in lines(slurm) if line.startswith("--")}
    assert told == {
        "--nodes", "--ntasks-per-node", "--time", "--requeue", "--signal", "--job-name",
        "--error", "--output", "--open-mode", "--wckey",
    }  # fmt: skip


def test_many_configurations_are_one_array(slurm, jobs_dir):
    cfgs = one_of_each_fold(Config().with_settings(kfold=3, run_name="cv"))
    jobs = submit_trainings(cfgs, Cluster(job_dir=jobs_dir))
    assert [job.job_id for job in jobs] == ["4242_0", "4242_1", "4242_2"]
    assert "--array=0-2%3" in lines(slurm)
    stored = [job.submission().function.cfg for job in jobs]
    assert [(cfg.data.fold, cfg.run.run_name) for cfg in stored] == [
        (0, "cv_fold0"), (1, "cv_fold1"), (2, "cv_fold2"),
    ]  # fmt: skip


def test_two_jobs_of_one_run_are_refused(slurm, jobs_dir):
    cfg = Config().with_settings(run_name="mine")
    with pytest.raises(UserError, match="mine: two jobs have the same run"):
        submit_trainings([cfg, cfg.with_settings(seed=1)], Cluster(job_dir=jobs_dir))
    assert not slurm.exists()


def test_what_slurm_refuses_is_one_line(slurm, jobs_dir, monkeypatch, capsys):
    monkeypatch.setenv("REFUSAL", "first\\nsbatch: error: no such partition\\n")
    with pytest.raises(UserError) as error:
        submit_trainings([Config()], Cluster(job_dir=jobs_dir))
    assert str(error.value) == "SLURM refused the job: sbatch: error: no such partition"
    assert capsys.readouterr().err == ""


def test_without_wait_the_submitter_returns_at_once(slurm, jobs_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("src.cluster.submit.wait_for", pytest.fail)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "isic2020_challenge").mkdir()
    assert run_with_submitit.main(["--job_dir", jobs_dir, "--run_name", "mine"]) == 0
    folder = jobs_dir.replace("%j", "4242")
    run = Path("melanoma_output", "mine").absolute()
    printed = f"job 4242: run {run}, log {folder}/4242_0_log.out\n"
    assert capsys.readouterr().out == printed


# this machine


def test_local_jobs_train_as_the_trainer_does(
    tiny_settings, tiny_run, tmp_path, jobs_dir, monkeypatch, capsys
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    data = Path(tiny_settings["data_path"])
    (tmp_path / "here").symlink_to(data)
    settings = {**tiny_settings, "data_path": "here", "output_dir": "runs"}
    config = tmp_path / "run.yaml"
    config.write_text(to_yaml(Config().with_settings(**settings)))
    argv = ["--config", "run.yaml", "--cluster", "local", "--ngpus", "0", "--job_dir", jobs_dir]
    assert run_with_submitit.main([*argv, "--run_name", "mine"]) == 0
    assert f"run {tmp_path}/runs/mine, log {tmp_path}/jobs/" in capsys.readouterr().out
    found, expected = (
        load_checkpoint(run / "checkpoint_latest.pth")["model_state_dict"]
        for run in (tmp_path / "runs" / "mine", tiny_run)
    )
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.slow
def test_the_error_of_a_local_job_reaches_the_submitter_in_one_line(tmp_path, jobs_dir, capsys):
    argv = ["--cluster", "local", "--job_dir", jobs_dir, "--no_pretrained"]
    argv += ["--data_path", str(tmp_path), "--output_dir", str(tmp_path)]
    assert run_with_submitit.main(argv) == 1
    error, place = capsys.readouterr().err.splitlines()
    assert error.startswith("error: job ") and f"{tmp_path}: " in error
    log = Path(place.removeprefix("log: "))
    assert "Traceback" not in log.read_text()
    assert log.read_text().splitlines()[-1].startswith("src.core.errors.UserError: ")


def test_what_needs_no_torch_is_submitted_too(slurm, jobs_dir):
    (job,) = submit([dict], Cluster(ngpus=0, job_dir=jobs_dir), "empty")
    assert job.submission().function is dict
    assert submit([dict], Cluster(cluster="debug"), "empty") == []


def test_debug_trains_in_this_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained = []
    monkeypatch.setattr("src.cluster.training.train", trained.append)
    cfgs = [Config().with_settings(run_name=name) for name in ("a", "b")]
    assert submit_trainings(cfgs, Cluster(cluster="debug")) == []
    assert [cfg.run.run_name for cfg in trained] == ["a", "b"]
    assert not (tmp_path / "slurm_jobs").exists()
