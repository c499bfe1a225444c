"""Where jobs run and what they get: the flags of a cluster."""

import contextlib
import shutil
import subprocess
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from ..core.errors import UserError
from ..core.options import Section, flag


@dataclass(frozen=True)
class Jobs(Section):
    """Cluster

    Of a job on CPUs; `cluster` says where it runs.
    """

    nodes, ngpus = 1, 0

    @property
    def cluster(self) -> str | None:
        """Where jobs run: each program has a flag of its own for it."""
        raise NotImplementedError

    timeout: int = flag(
        1440, "time limit of a job in minutes; it is then requeued and resumed", least=1
    )
    partition: str = flag("", "SLURM partition (default: the cluster's)")
    mem_gb: float = flag(0.0, "memory per node in GB (0: the partition's default)", least=0)
    cpus_per_task: int = flag(0, "CPU cores per process (0: the partition's default)", least=0)
    account: str = flag("", "account to charge")
    qos: str = flag("", "quality of service")
    constraint: str = flag("", "features that the nodes must have")
    comment: str = flag("", "comment stored by SLURM")
    job_dir: str = flag("./slurm_jobs/%j", "folder of a job's logs; %j is the job's number")

    def __post_init__(self):
        super().__post_init__()
        for name in (f.name for f in fields(self) if f.type is str):
            if not getattr(self, name).isprintable():  # it would be a line of its own for sbatch
                raise UserError(f"--{name}: expected one line of text")
        if not self.job_dir:
            raise UserError("--job_dir: expected a folder")

    def found(self) -> Self:
        """The same with `auto` decided. Raises `UserError` for SLURM where there is none."""
        jobs: Any = self  # of a class with `cluster`
        if jobs.cluster in ("local", "debug"):
            return self
        if has_slurm():
            return replace(jobs, cluster="slurm")
        if jobs.cluster == "slurm":
            raise UserError("--cluster slurm: sinfo and sbatch do not respond here; use local")
        return replace(jobs, cluster="local")


@dataclass(frozen=True)
class Cluster(Jobs):
    """Cluster"""

    cluster: Literal["auto", "slurm", "local", "debug"] = flag(
        "auto",
        "slurm; local: jobs on this machine; debug: in this process; auto: slurm where it is "
        "available, else local",
    )
    nodes: int = flag(1, "number of nodes of a job", least=1)
    ngpus: int = flag(
        1, "number of GPUs per node, one process each (0: one process on the CPU)", least=0
    )

    def __post_init__(self):
        super().__post_init__()
        if self.cluster in ("local", "debug") and self.nodes > 1:
            raise UserError(f"--nodes {self.nodes}: --cluster {self.cluster} is one node; give 1")
        if self.cluster == "debug" and self.ngpus > 1:
            raise UserError(f"--ngpus {self.ngpus}: --cluster debug is one process; use local")


def has_slurm() -> bool:
    """Whether jobs can be submitted to a SLURM cluster from here."""
    if not all(map(shutil.which, ("sbatch", "srun", "sinfo"))):
        return False
    with contextlib.suppress(subprocess.TimeoutExpired):
        return not subprocess.run(["sinfo"], capture_output=True, timeout=30).returncode
    return False
