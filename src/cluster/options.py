"""Where jobs run and what they get: the flags of a cluster, and submitit's executor for them."""

import contextlib
import math
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields, replace

import submitit

from ..core.errors import UserError, nearest
from ..core.files import make_folder
from ..core.options import flag
from .snapshot import snapshot

KINDS = ("auto", "slurm", "local", "debug")
MAX_TIMEOUTS = 1000
# the notice a job gets of its end: no more than queueing again takes, the state is on disk
SIGNAL_DELAY_S = 30


@dataclass(frozen=True)
class Cluster:
    """Cluster"""

    cluster: str = flag(
        "auto",
        "slurm; local: a job of this machine; debug: in this process; auto: slurm where a cluster "
        "answers, else local",
    )
    nodes: int = flag(1, "machines of a job")
    ngpus: int = flag(1, "GPUs of each machine, with a process for each; 0: one process on its CPU")
    timeout: int = flag(1440, "minutes until a job is stopped, and queued again to go on")
    partition: str = flag("", "partition of SLURM; empty: its default")
    mem_gb: float = flag(0.0, "GB of memory on each machine; 0: the partition's default")
    cpus_per_task: int = flag(0, "CPU cores of each process; 0: the partition's default")
    account: str = flag("", "account that is charged")
    qos: str = flag("", "quality of service")
    constraint: str = flag("", "features that the machines must have")
    comment: str = flag("", "comment that SLURM keeps")
    job_dir: str = flag("./slurm_jobs/%j", "folder of a job's logs, %j being its number")

    def __post_init__(self):
        if self.cluster not in KINDS:
            hint = nearest(self.cluster, KINDS)
            raise UserError(f"--cluster {self.cluster}: expected {', '.join(KINDS)}{hint}")
        for name, least in (("nodes", 1), ("timeout", 1), ("ngpus", 0), ("cpus_per_task", 0)):
            value = getattr(self, name)
            if value < least:
                raise UserError(f"--{name} {value}: expected {least} or more")
        if not 0 <= self.mem_gb < math.inf:
            raise UserError(f"--mem_gb {self.mem_gb}: expected 0 or more")
        for name in (f.name for f in fields(self) if f.type is str):
            if not getattr(self, name).isprintable():  # it would be a line of its own for sbatch
                raise UserError(f"--{name}: expected one line of text")
        if not self.job_dir:
            raise UserError("--job_dir: expected a folder")
        if self.cluster in ("local", "debug") and self.nodes > 1:
            raise UserError(f"--nodes {self.nodes}: --cluster {self.cluster} has this machine only")
        if self.cluster == "debug" and self.ngpus > 1:
            raise UserError(f"--ngpus {self.ngpus}: --cluster debug is one process; take local")

    def found(self) -> "Cluster":
        """The same with `auto` decided. Raises `UserError` where SLURM is asked for in vain."""
        if self.cluster in ("local", "debug"):
            return self
        if has_slurm():
            return replace(self, cluster="slurm")
        if self.cluster == "slurm":
            raise UserError("--cluster slurm: no cluster answers (sinfo, sbatch); take local")
        return replace(self, cluster="local")


def has_slurm() -> bool:
    """Whether a cluster answers to which jobs can be submitted from here."""
    if not all(map(shutil.which, ("sbatch", "srun", "sinfo"))):
        return False
    with contextlib.suppress(subprocess.TimeoutExpired):
        return not subprocess.run(["sinfo"], capture_output=True, timeout=30).returncode
    return False


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
        srun_args=_srun_args(cluster),
        additional_parameters={"requeue": True},
    )
    return executor


def _srun_args(cluster: Cluster) -> list[str]:
    # a task that fails would leave the others waiting for it
    arguments = ["--kill-on-bad-exit=1"]
    if cluster.cpus_per_task:  # srun does not take them over from sbatch
        arguments.append(f"--cpus-per-task={cluster.cpus_per_task}")
    return arguments


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
