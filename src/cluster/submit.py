"""Callables as jobs on a copy of the code: how they are started, and how they ended."""

import contextlib
import hashlib
import io
import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit

from ..core.commit import FILE, commit
from ..core.errors import UserError
from ..core.files import make_folder
from .options import Jobs

PACKAGE = Path(__file__).resolve().parents[1]  # `src` in a clone, else the installed package
MAX_TIMEOUTS = 1000
# the notice a job gets of its end: no more than queueing again takes, the state is on disk
SIGNAL_DELAY_S = 30
# what a task says whose neighbour has failed
LOST_NEIGHBOUR = re.compile(r"connection|peer|timed ?out|gloo|nccl", re.IGNORECASE)


@dataclass(frozen=True)
class Failure:
    """Why a job failed: the error that came first, its task, and that task's log."""

    job_id: str
    task: int
    reason: str
    log: Path

    def __str__(self) -> str:
        return f"error: job {self.job_id}, process {self.task}: {self.reason}\nlog: {self.log}"


def submit(calls: Sequence[Callable[[], Any]], cluster: Jobs, name: str) -> list[submitit.Job]:
    """A job for each callable: one array on SLURM; on this machine one after the other.

    `name` is what the queue shows. With `debug` they are called here, and there are no jobs.
    Raises `UserError` for what SLURM refuses.
    """
    if cluster.cluster == "debug":
        for call in calls:
            call()
        return []
    executor = make_executor(cluster, name)
    jobs: list[submitit.Job] = []
    for batch in [calls] if cluster.cluster == "slurm" else [[call] for call in calls]:
        for job in jobs[-1:]:
            job.wait()
        jobs += _submit(executor, batch)
    return jobs


def wait_for(jobs: list[submitit.Job]) -> list[Failure]:
    """The failures of those jobs that failed, once all have ended."""
    for job in jobs:
        job.wait()
    failures = [_failure(job) for job in jobs]
    return [failure for failure in failures if failure]


def _failure(job: submitit.Job) -> Failure | None:
    """The root of a job's failure, None where all its tasks succeeded.

    First the error of a task that did not just lose another, the earliest of them; else a task
    that was killed and left no word; else the loss itself.
    """
    tasks = [job.task(i) for i in range(job.num_tasks)]
    ended = [task for task in tasks if task.paths.result_pickle.exists()]
    ended.sort(key=lambda task: task.paths.result_pickle.stat().st_mtime)
    raised = [(task, last_lines(str(error))) for task in ended if (error := task.exception())]
    roots = [found for found in raised if not LOST_NEIGHBOUR.search(found[1])]
    killed = [task for task in tasks if task not in ended]
    if not roots and killed:
        error = killed[0].exception()  # waits for a file that a slow disk may hold back
        roots = [(killed[0], last_lines(str(error)))] if error else []
    for task, reason in roots or raised:
        return Failure(job.job_id, task.task_id or 0, reason, task.paths.stderr)
    return None


def last_lines(error: str) -> str:
    """What a remote error says at its end, without its traceback."""
    _, found, trace = error.partition("failed during processing with trace:\n")
    if not found:  # no result: the job's state, then all of its log
        state, _, printed = error.partition("\nError stream produced:\n")
        return "\n".join([state.partition("\n")[2] or state, *printed.splitlines()[-1:]])
    lines = trace.split("-" * 22 + "\n")[1].rstrip().splitlines()
    frames = [i for i, line in enumerate(lines) if line.startswith(("  ", "Traceback"))]
    message = "\n".join(lines[frames[-1] + 1 :] if frames else lines) or lines[-1]
    return message.rpartition("UserError: ")[2]


def _submit(executor: submitit.Executor, calls: Sequence[Callable[[], Any]]) -> list[submitit.Job]:
    """The submitted jobs. Raises `UserError` with what `sbatch` says."""
    own = {k: v for k, v in os.environ.items() if k.startswith("SBATCH_") or k == "SLURM_CONF"}
    said = io.StringIO()
    try:
        with (
            submitit.helpers.clean_env(),  # of what tells of a job that this may itself run in
            submitit.helpers.environment_variables(**own),
            contextlib.redirect_stderr(said),
        ):
            return executor.submit_array(calls)
    except submitit.core.utils.FailedJobError as error:
        reason = (str(error).strip() or "no reason given").splitlines()[-1]
        raise UserError(f"SLURM refused the job: {reason}") from None


def make_executor(cluster: Jobs, name: str) -> submitit.Executor:
    """The executor of a cluster that is `slurm` or `local`; `name` is what its queue shows."""
    n_tasks = cluster.ngpus or 1
    python = _python(cluster)
    if cluster.cluster == "local":
        executor = submitit.LocalExecutor(cluster.job_dir, MAX_TIMEOUTS, python=python)
        executor.update_parameters(
            timeout_min=cluster.timeout,
            tasks_per_node=n_tasks,
            gpus_per_node=cluster.ngpus,
            signal_delay_s=SIGNAL_DELAY_S,
        )
        return executor
    given = ("partition", "cpus_per_task", "account", "qos", "constraint", "comment")
    parameters = {name: getattr(cluster, name) for name in given if getattr(cluster, name)}
    # a task that fails would leave the others waiting for it
    srun_args = ["--kill-on-bad-exit=1"]
    if cluster.cpus_per_task:  # srun does not take them over from sbatch
        srun_args.append(f"--cpus-per-task={cluster.cpus_per_task}")
    if cluster.ngpus:
        parameters["gpus_per_node"] = cluster.ngpus
    if cluster.mem_gb:
        parameters["mem"] = f"{math.ceil(cluster.mem_gb * 1024)}M"
    executor = submitit.SlurmExecutor(cluster.job_dir, MAX_TIMEOUTS, python=python)
    executor.update_parameters(
        **parameters,
        job_name=name,
        time=cluster.timeout,
        nodes=cluster.nodes,
        ntasks_per_node=n_tasks,
        signal_delay_s=SIGNAL_DELAY_S,
        srun_args=srun_args,
        additional_parameters={"requeue": True},
    )
    return executor


def _python(cluster: Jobs) -> str:
    """The command that starts Python on a copy of the code as it is now.

    A job starts in the submitter's folder, where relative paths mean the same; `-P` keeps that
    folder, which may be a checkout, from being imported from.
    """
    jobs = submitit.core.utils.JobPaths.get_first_id_independent_folder(cluster.job_dir)
    copy = snapshot(make_folder(jobs / "code"))
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, (str(copy), os.getenv("PYTHONPATH"))))}
    visible = os.getenv("CUDA_VISIBLE_DEVICES")
    if cluster.cluster == "local" and visible is not None:  # submitit would count from 0
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(visible.split(",")[: cluster.ngpus])
    settings = [f"{name}={value}" for name, value in variables.items()]
    return shlex.join(["env", *settings, sys.executable, "-P"])


def snapshot(folder: Path, package: Path = PACKAGE) -> Path:
    """A folder inside `folder` that holds the package and its commit as they are now.

    Edits of the checkout do not reach jobs that start later. It is named by its content: the same
    code is copied once, and no copy is ever changed.
    """
    files = {
        path.relative_to(package.parent).as_posix(): path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    files[FILE] = commit().encode()
    digest = hashlib.sha256(repr(list(files.items())).encode()).hexdigest()[:16]
    copy = folder / digest
    if copy.exists():
        return copy
    unfinished = folder / f".{digest}.{os.getpid()}"
    for name, content in files.items():
        (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
        (unfinished / name).write_bytes(content)
    try:
        unfinished.rename(copy)
    except OSError:  # another submission was faster
        shutil.rmtree(unfinished)
    return copy
