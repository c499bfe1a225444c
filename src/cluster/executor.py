"""submitit's executor for a cluster: how a job is started, and on which code."""

import hashlib
import math
import os
import shlex
import shutil
import sys
from pathlib import Path

import submitit

from ..core.commit import FILE, commit
from ..core.files import make_folder
from .options import Cluster

PACKAGE = Path(__file__).resolve().parents[1]  # `src` in a clone, else the installed package
MAX_TIMEOUTS = 1000
# the notice a job gets of its end: no more than queueing again takes, the state is on disk
SIGNAL_DELAY_S = 30


def make_executor(cluster: Cluster, name: str) -> submitit.Executor:
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


def _python(cluster: Cluster) -> str:
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
