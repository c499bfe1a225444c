"""The flags of searches over settings and of comparisons of objectives."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from ..cluster.options import Cluster
from ..core.errors import UserError
from ..core.options import REQUIRED, flag


@dataclass(frozen=True)
class SweepOptions:
    """Sweep"""

    space: Path = flag(REQUIRED, "settings to search, a YAML file (docs/SWEEPS.md)")
    trials: int = flag(20, "total number of trials")
    study_dir: Path | None = flag(
        None, "folder of the study (default: sweep_<name of the space> in --output_dir)"
    )

    def __post_init__(self):
        if self.trials < 1:
            raise UserError(f"--trials {self.trials}: expected 1 or more")


@dataclass(frozen=True)
class TrialJobs(Cluster):
    """Cluster, with --cluster: trials as jobs"""

    cluster: Literal["auto", "slurm", "local", "debug"] | None = flag(
        None, "where to run trials as jobs: auto, slurm, local or debug (default: no jobs)"
    )
    parallel: int = flag(4, "number of trials to run at a time as jobs")

    def __post_init__(self):
        super().__post_init__()
        if self.parallel < 1:
            raise UserError(f"--parallel {self.parallel}: expected 1 or more")
        given = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        if given and not self.cluster:
            raise UserError(f"--{given[0]}: expected with --cluster, which runs trials as jobs")


@dataclass(frozen=True)
class ComparisonOptions:
    """Comparison"""

    objectives: tuple[str, ...] = flag(
        (),
        "objectives to compare, call strings; the first is the reference "
        "(default: cross_entropy, then all others)",
    )
    seeds: tuple[int, ...] = flag((0, 1, 2), "seeds; each trains a run on a split of its own")
    specificity: float = flag(
        0.9, "specificity on the validation rows at which sensitivity is compared"
    )
    min_positive: int = flag(
        10, "smallest number of positive test images for a group to be compared"
    )
    n_resamples: int = flag(2000, "number of bootstrap resamples")

    def __post_init__(self):
        for name, fits, expected in (
            ("specificity", 0 <= self.specificity < 1, "0 or more, less than 1"),
            ("min_positive", self.min_positive >= 1, "1 or more"),
            ("n_resamples", self.n_resamples >= 100, "100 or more"),
            ("seeds", all(0 <= seed < 2**32 for seed in self.seeds), f"0 to {2**32 - 1}"),
            ("seeds", len(set(self.seeds)) == len(self.seeds), "different ones"),
        ):
            if not fits:
                raise UserError(f"--{name} {getattr(self, name)}: expected {expected}")
