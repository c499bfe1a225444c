"""Train a melanoma classifier, or all folds of a cross-validation, or evaluate a checkpoint."""

from pathlib import Path
from typing import Any

from ..core.errors import UserError, run_main
from ..core.files import expect_file
from ..core.flags import parse_settings, resolve
from ..core.paths import check_training_paths


def parse(argv: list[str] | None) -> list[Any]:
    return parse_settings(argv, __doc__)


def main(argv: list[str] | None) -> None:
    (given,) = parse(argv)
    cfg = resolve({name: value for name, value in given.items() if name != "print_config"})
    checkpoint = cfg.run.checkpoint
    if cfg.run.test:
        if not checkpoint:
            raise UserError("--test: expected the checkpoint to evaluate, --checkpoint FILE")
        expect_file(Path(checkpoint), "--checkpoint")

        from ..artifact.network import load_contract
        from ..engine.evaluate import test, trained_settings

        # settings that are not given are those that the model was trained with
        test(resolve(given, trained_settings(load_contract(checkpoint))))
        return
    cfg = resolve(given)
    check_training_paths(cfg)

    from ..engine.folds import train_folds
    from ..engine.run import train

    if cfg.data.kfold and cfg.data.fold == -1:
        train_folds(cfg)
    else:
        train(cfg)


def run() -> None:
    """The command as an installed program."""
    run_main(main)


if __name__ == "__main__":
    run()
