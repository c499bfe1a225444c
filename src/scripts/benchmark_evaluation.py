"""Time an evaluation with bootstrap confidence intervals."""

from dataclasses import dataclass

from ..core.errors import UserError, run_main
from ..core.options import flag, parse_options


@dataclass(frozen=True)
class Options:
    """benchmark"""

    n_rows: int = flag(33_000, "predictions", also=("--rows",))
    n_resamples: int = flag(2000, "bootstrap resamples", also=("--draws",))
    n_groups: int = flag(6, "groups of unequal size", also=("--groups",))
    n_runs: int = flag(5, "runs to time", also=("--runs",))

    def __post_init__(self):
        for name, value in vars(self).items():
            if value < 1:
                raise UserError(f"--{name} {value}: expected 1 or more")


def main(argv: list[str] | None) -> None:
    """None once the times are printed."""
    options = parse_options(argv, __doc__, Options)[0]

    from ..evaluation.benchmark import time_evaluation

    print(time_evaluation(options.n_rows, options.n_resamples, options.n_groups, options.n_runs))


if __name__ == "__main__":
    run_main(main)
