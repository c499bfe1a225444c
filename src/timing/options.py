"""The flags of the benchmark of a training."""

from dataclasses import dataclass
from pathlib import Path

from ..core.options import Section, flag


@dataclass(frozen=True)
class BenchmarkOptions(Section):
    """Benchmark"""

    num_batches: int = flag(20, "batches to time in each run", least=1)
    n_runs: int = flag(5, "runs, of which the median counts", least=1)
    json: Path | None = flag(None, "also write the figures to this JSON file")
