"""Submitting callables as jobs, and learning how the jobs ended."""

import contextlib
import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit

from ..core.errors import UserError
from .executor import make_executor
from .options import Cluster

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


def submit(calls: Sequence[Callable[[], Any]], cluster: Cluster, name: str) -> list[submitit.Job]:
    """A job for each callable: one array on SLURM; on this machine one after the other.

    `name` is what the queue shows. With `debug` they are called here, and there are no jobs.
    Raises `UserError` for what SLURM refuses.
    """
    if cluster.cluster == "debug":
        for call in calls:
            call()
        return []
    executor, jobs = make_executor(cluster, name), []
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
