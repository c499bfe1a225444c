"""Time an evaluation with bootstrap confidence intervals."""

from dataclasses import dataclass

from ..core.errors import run_main
from ..core.options import Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """benchmark"""

    n_rows: int = flag(33_000, "predictions", also=("--rows",), least=1, most=10_000_000)
    n_resamples: int = flag(2000, "bootstrap resamples", also=("--draws",), least=1, most=100_000)
    n_patients: int = flag(0, "patients (0: one for 16 predictions)", least=0, most=10_000_000)
    n_positive: int = flag(0, "positive images (0: 1.8 %)", least=0, most=10_000_000)
    n_groups: int = flag(6, "groups of unequal size", also=("--groups",), least=1, most=100)
    n_groupings: int = flag(1, "groupings, as by tone, sex and age", least=1, most=20)
    n_runs: int = flag(5, "runs to time", also=("--runs",), least=1, most=1000)


def main(argv: list[str] | None) -> None:
    """None once the times are printed."""
    options = parse_options(argv, __doc__, Options)[0]

    from ..evaluation.benchmark import time_evaluation

    print(time_evaluation(**vars(options)))


if __name__ == "__main__":
    run_main(main)
