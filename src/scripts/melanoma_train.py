"""Train a melanoma classifier, or all folds of a cross-validation, or evaluate a checkpoint."""

from functools import partial
from typing import Any

from ..core.errors import require, run_main, told_once
from ..core.files import expect_file
from ..core.flags import parse_settings, resolve
from ..engine.resume import settings_to_resume, training_config


def parse(argv: list[str] | None) -> list[Any]:
    return parse_settings(argv, __doc__)


def main(argv: list[str] | None) -> None:
    with told_once():  # all processes of a run have the same flags
        (given,) = parse(argv)
        flags = {name: value for name, value in given.items() if name != "print_config"}
        resume = given.get("resume")
        cfg = resolve(flags, settings_to_resume(resume), f"--resume {resume}")
        evaluates = cfg.run.test and cfg.run.checkpoint
        if not evaluates:
            cfg = training_config(given)
            require(not cfg.run.test, "--test: expected the checkpoint, --checkpoint FILE")
    if evaluates:
        evaluate(given, cfg.run.checkpoint)
        return

    from ..engine.folds import train_folds
    from ..engine.run import train

    if cfg.data.kfold and cfg.data.fold == -1:
        train_folds(cfg)
    else:
        train(cfg)


def evaluate(given: dict[str, Any], checkpoint: str) -> None:
    """Evaluate a checkpoint; settings that are not given are those that it was trained with."""
    expect_file(checkpoint, "--checkpoint")

    from ..artifact.network import load_contract
    from ..engine.evaluate import test, trained_settings

    contract = load_contract(checkpoint)
    test(resolve(given, trained_settings(contract)), contract)


run = partial(run_main, main)  # the command as an installed program

if __name__ == "__main__":
    run()
