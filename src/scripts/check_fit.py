"""Diagnose a run from its learning curves: a verdict, the reasons and advice.

Rules are tried in this order. The first that applies gives the verdict; reasons from other matching
rules are listed after it. Losses are compared only with each other, so their scale does not matter.
They are first smoothed by a running median over a fifth of the epochs (an odd number, at least 3),
so outliers do not affect the verdict. Changes in validation loss smaller than its typical
epoch-to-epoch change, the median of the absolute changes, are ignored.

    diverged         a loss is NaN or infinite
    too few epochs   fewer than 5
    unstable         a fifth of the epochs (at least 2) deviate from their neighbours by more than
                     25 % of the mean loss
    diverged         training loss ends 50 % above its first epoch
    unstable         final training loss exceeds its minimum by more than 25 % of the mean loss
    overfitting      validation loss rose 10 % from its best to the end, training loss did not rise
    still improving  validation loss fell by 5 % or more in the last third (at least 2 epochs)
    overfitting      half or more of the reduction in training loss is absent from validation loss
    underfitting     validation AUROC never reached 0.6, or training loss fell by less than 10 % and
                     AUROC did not reach 0.8
    no validation    none of these, and no validation loss was recorded
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

    verdict = fit.diagnose_fit(read_history(history_path(options.run)))
    reasons = [f"  {reason}" for reason in verdict.reasons]
    print("\n".join([f"{options.run}: {verdict.name}", *reasons, fit.ADVICE[verdict.name]]))


if __name__ == "__main__":
    run_main(main)
