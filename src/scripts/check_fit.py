"""Did a run learn too little, too much or enough: a verdict on its curves, the reasons, advice."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import run_main
from ..core.options import REQUIRED, flag, parse_options
from ..runs import fit
from ..runs.history import history_path, read_history


@dataclass(frozen=True)
class Options:
    """run"""

    run: Path = flag(
        REQUIRED, "folder of a run, or its training_history.json", positional=True, metavar="RUN"
    )


def main(argv: list[str] | None) -> None:
    """None once the verdict is printed."""
    rules = fit.__doc__.partition("\n\n")[2]
    raw = argparse.RawDescriptionHelpFormatter
    options = parse_options(argv, __doc__, Options, epilog=rules, formatter_class=raw)[0]
    verdict = fit.judge_fit(read_history(history_path(options.run)))
    reasons = [f"  {reason}" for reason in verdict.reasons]
    advice = f"try: {fit.ADVICE[verdict.name]}"
    print("\n".join([f"{options.run}: {verdict.name}", *reasons, advice]))


if __name__ == "__main__":
    run_main(main)
