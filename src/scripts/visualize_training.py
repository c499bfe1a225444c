"""Learning curves of one or more runs, as one figure."""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UserError, run_main
from ..core.files import check_output
from ..core.options import REQUIRED, flag, parse_options

FIGURE = "training_curves.png"


@dataclass(frozen=True)
class Options:
    """figure"""

    runs: tuple[Path, ...] = flag(
        REQUIRED,
        "folders of runs, or their training_history.json; several share one figure",
        positional=True,
        metavar="RUN",
    )
    output: Path | None = flag(
        None, f"PNG to write (default, for one run: {FIGURE} in its folder)", also=("-o",)
    )

    def __post_init__(self):
        if len(self.runs) > 1 and not self.output:
            raise UserError(f"{len(self.runs)} runs: expected --output PNG for their figure")
        if self.output and self.output.suffix.lower() != ".png":
            raise UserError(f"--output {self.output}: expected the name of a .png file")


def main(argv: list[str] | None) -> None:
    """None once the figure is written."""
    options = parse_options(argv, __doc__, Options)[0]

    from ..runs.history import history_path, read_history, run_names
    from ..runs.learning_curves import monitored, plot_training

    paths = [history_path(run) for run in options.runs]
    names = run_names(paths)
    output = options.output or paths[0].parent / FIGURE
    check_output(output, *paths)
    histories = dict(zip(names, map(read_history, paths), strict=True))
    plot_training(histories, [name for name in map(monitored, paths) if name], output)
    for name, run in histories.items():
        print(f"{name}: {run.n_epochs} epochs, best epoch {run.best + 1}")
    print(f"written to {output}")


if __name__ == "__main__":
    run_main(main)
