"""python -m src.scripts.check_fit RUN: did it learn too little, too much or enough, and why."""

import argparse
from pathlib import Path

from ..core.errors import refuse_in_words, run_main
from ..runs import fit
from ..runs.history import history_path, read_history

ADVICE = {
    "diverged": "a lower --lr, --clip_grad 1, a scheduler with warmup_epochs, no --use_amp",
    "too few epochs": "more --epochs",
    "unstable": "a lower --lr, --clip_grad 1, a larger --batch_size, --model_ema",
    "overfitting": "the best checkpoint, not the last; --early_stopping, stronger --augment, more "
    "--weight_decay or --dropout, a smaller --model",
    "still improving": "more --epochs",
    "underfitting": "a higher --lr, more --epochs, a larger --model, less --freeze",
    "no validation": "a run without --train_on_all to choose its --epochs by",
    "good fit": "nothing: judge it on the test rows",
}


def main(argv: list[str] | None) -> None:
    args = parse_args(argv)
    verdict = fit.judge_fit(read_history(history_path(args.run)))
    print(f"{args.run}: {verdict.name}")
    for reason in verdict.reasons:
        print(f"  {reason}")
    print(f"try: {ADVICE[verdict.name]}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=fit.__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    refuse_in_words(parser)
    run_help = "folder of a run, or its training_history.json"
    parser.add_argument("run", type=Path, metavar="RUN", help=run_help)
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)
