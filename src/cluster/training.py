"""Trainings as jobs: their settings, made fit for a job and checked before any is submitted."""

import logging
from functools import partial
from pathlib import Path

import submitit

from ..core.config import Config, settings_with
from ..core.errors import UserError
from ..core.options import Role
from ..engine.checks import check_settings
from ..engine.log import new_run_name
from ..engine.resume import LATEST, find_run
from ..engine.run import train
from .job import TrainingJob
from .options import Cluster
from .submit import submit

log = logging.getLogger(__name__)


def submit_trainings(cfgs: list[Config], cluster: Cluster) -> list[submitit.Job]:
    """The job of each configuration, as `submit` gives them; none with `debug`.

    Raises `UserError` for what cannot be trained, before the first is submitted.
    """
    cluster = cluster.found()
    cfgs = [as_job(cfg, cluster) for cfg in cfgs]
    runs = [Path(cfg.run.output_dir, cfg.run.run_name) for cfg in cfgs]
    for i, run in enumerate(runs):
        if run in runs[:i]:
            raise UserError(f"{run}: two jobs have the same run; give each a different --run_name")
    if cluster.cluster == "debug":
        calls: list = [partial(train, cfg) for cfg in cfgs]
    else:
        calls = [TrainingJob(cfg) for cfg in cfgs]
    jobs = submit(calls, cluster, runs[0].name)
    for job, run in zip(jobs, runs, strict=False):  # there are none with `debug`
        log.info("job %s: run %s, log %s", job.job_id, run, job.task(0).paths.stdout)
    return jobs


def as_job(cfg: Config, cluster: Cluster) -> Config:
    """The settings of a job, checked: absolute paths, and a named run that any start continues."""
    if cfg.run.test:
        raise UserError("--test: jobs train a model; evaluate it with melanoma_train.py --test")
    check_settings(cfg)
    if cfg.run.device.startswith("cuda") and not cluster.ngpus:
        raise UserError(f"--device {cfg.run.device}: there are no GPUs with --ngpus 0")
    flat = cfg.flat()
    paths = {name: flat[name] for name in settings_with(Role.PATH) if flat[name]}
    cfg = cfg.with_settings(**{name: str(Path(path).absolute()) for name, path in paths.items()})
    folder = find_run(cfg) or Path(cfg.run.output_dir, new_run_name(cfg))
    if not cfg.run.resume and (folder / LATEST).exists():
        raise UserError(f"{folder} already holds a run: give another --run_name, or --resume auto")
    return cfg.with_settings(
        output_dir=str(folder.parent.absolute()),
        run_name=folder.name,
        resume="auto",
        device=cfg.run.device if cluster.ngpus else "cpu",
    )


def one_of_each_fold(cfg: Config) -> list[Config]:
    """A configuration for each fold where `--kfold` is given without `--fold`, else this one."""
    if not cfg.data.kfold or cfg.data.fold >= 0:
        return [cfg]
    name = new_run_name(cfg)
    return [cfg.with_settings(fold=i, run_name=f"{name}_fold{i}") for i in range(cfg.data.kfold)]
