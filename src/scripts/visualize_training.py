"""python -m src.scripts.visualize_training RUN [RUN ...]: learning curves of runs as a figure."""

import argparse
import os
from pathlib import Path

from ..core.errors import UserError, refuse_in_words, run_main
from ..evaluation.metrics import MONITORED
from ..runs.history import history_path, read_history, read_json
from ..runs.learning_curves import plot_training

FIGURE = "training_curves.png"


def main(argv: list[str] | None) -> None:
    args = parse_args(argv)
    paths = [history_path(run) for run in args.runs]
    histories = dict(zip(run_names(paths), map(read_history, paths), strict=True))
    output = args.output or paths[0].parent / FIGURE
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: no folder {output.parent}; make it first")
    plot_training(histories, [name for name in map(monitored, paths) if name], output)
    for name, run in histories.items():
        print(f"{name}: {run.n_epochs} epochs, the best is {run.best + 1}")
    print(f"written to {output}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    refuse_in_words(parser)
    runs_help = "folders of runs, or their training_history.json; several share one figure"
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=runs_help)
    output_help = f"PNG to write (default, for one run: {FIGURE} in its folder)"
    parser.add_argument("-o", "--output", type=Path, metavar="PNG", help=output_help)
    args = parser.parse_args(argv)
    if len(args.runs) > 1 and not args.output:
        raise UserError(f"{len(args.runs)} runs: expected --output PNG for their figure")
    if args.output and (args.output.suffix.lower() != ".png" or args.output.is_dir()):
        raise UserError(f"--output {args.output}: expected the name of a .png file")
    return args


def run_names(paths: list[Path]) -> list[str]:
    """A name for each history file: its folder's path below the one that all have in common.

    Raises `UserError` where a run is given twice.
    """
    folders = [path.resolve().parent for path in paths]
    if len(set(folders)) < len(folders):
        raise UserError("a run is given twice: expected different ones")
    shared = os.path.commonpath([folder.parent for folder in folders])
    return [folder.relative_to(shared).as_posix() for folder in folders]


def monitored(path: Path) -> str:
    """The metric that picked the best epoch, by the settings beside a history; "" if unknown."""
    settings = path.parent / "config.json"
    content = read_json(settings) if settings.is_file() else {}
    name = content.get("monitor") if isinstance(content, dict) else None
    return name if isinstance(name, str) and name in MONITORED else ""


if __name__ == "__main__":
    run_main(main)
