"""The flags of searches over settings and of comparisons of objectives."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from ..cluster.options import Cluster
from ..core.errors import UserError, require
from ..core.options import MAX_SEED, REQUIRED, Section, flag


@dataclass(frozen=True)
class SweepOptions(Section):
    """Sweep"""

    space: Path = flag(REQUIRED, "settings to search, a YAML file (docs/SWEEPS.md)")
    trials: int = flag(20, "total number of trials", least=1)
    study_dir: Path | None = flag(
        None, "folder of the study (default: sweep_<name of the space> in --output_dir)"
    )


@dataclass(frozen=True)
class TrialJobs(Cluster):
    """Cluster, with --cluster: trials as jobs"""

    cluster: Literal["auto", "slurm", "local", "debug"] | None = flag(  # type: ignore[assignment]
        None, "where to run trials as jobs: auto, slurm, local or debug (default: no jobs)"
    )
    parallel: int = flag(4, "number of trials to run at a time as jobs", least=1)

    def __post_init__(self):
        super().__post_init__()
        given = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        if given and not self.cluster:
            raise UserError(f"--{given[0]}: expected with --cluster, which runs trials as jobs")


@dataclass(frozen=True)
class ComparisonOptions(Section):
    """Comparison"""

    objectives: tuple[str, ...] = flag(
        (),
        "objectives to compare, call strings; the first is the reference "
        "(default: cross_entropy, then all others)",
    )
    seeds: tuple[int, ...] = flag(
        (0, 1, 2), "seeds; each trains a run on a split of its own", least=0, most=MAX_SEED
    )
    specificity: float = flag(
        0.9, "specificity on the validation rows at which sensitivity is compared", least=0, below=1
    )
    min_positive: int = flag(
        10, "smallest number of positive test images for a group to be compared", least=1
    )
    n_resamples: int = flag(2000, "number of bootstrap resamples", least=100)

    def __post_init__(self):
        super().__post_init__()
        differ = len(set(self.seeds)) == len(self.seeds)
        require(differ, f"--seeds {self.seeds}: expected different ones")
