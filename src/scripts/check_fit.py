"""Did a run learn too little, too much or enough: a verdict on its curves, the reasons, advice.

Rules in the order in which they are tried; the first that holds names the verdict, the sentences of
the others that hold follow it. Losses are compared with each other only, so that their unit does
not matter. "At the end", "best" and "recent" are of the losses after a running median of a fifth of
the epochs (odd, at least 3), which takes out outliers and leaves steady curves as they are.
Validation loss rises or falls where it does so by no less than its usual step between epochs, the
median of their absolute differences.

    diverged         a loss is not a number
    too few epochs   fewer than 5
    unstable         a fifth of the epochs (at least 2) jump away from their neighbours by more than
                     25 % of the mean loss
    diverged         training loss ends 50 % above its first epoch
    unstable         training loss ends above its best by more than 25 % of the mean loss
    overfitting      validation loss rose 10 % from its best to the end, training loss did not
    still improving  validation loss fell by 5 % or more in the last third (at least 2 epochs)
    overfitting      half or more of what training loss gained is missing in validation loss
    underfitting     validation AUROC never reached 0.6, or training loss fell by less than 10 % and
                     AUROC did not reach 0.8
    no validation    no rule above holds, and there is no validation loss
    good fit         none of these
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import run_main
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """run"""

    run: Path = flag(
        REQUIRED, "folder of a run, or its training_history.json", positional=True, metavar="RUN"
    )


def main(argv: list[str] | None) -> None:
    """None once the verdict is printed."""
    rules = __doc__.partition("\n\n")[2]
    raw = argparse.RawDescriptionHelpFormatter
    options = parse_options(argv, __doc__, Options, epilog=rules, formatter_class=raw)[0]

    from ..runs import fit
    from ..runs.history import history_path, read_history

    verdict = fit.judge_fit(read_history(history_path(options.run)))
    reasons = [f"  {reason}" for reason in verdict.reasons]
    advice = f"try: {fit.ADVICE[verdict.name]}"
    print("\n".join([f"{options.run}: {verdict.name}", *reasons, advice]))


if __name__ == "__main__":
    run_main(main)
