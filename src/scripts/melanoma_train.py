"""Train a melanoma classifier or all its folds, or judge one: flags -> train(cfg) or test(cfg)."""

from ..artifact.network import load_contract
from ..core.errors import run_main
from ..core.flags import make_parser, resolve
from ..core.options import parse_flags
from ..engine.evaluate import test, trained_settings
from ..engine.folds import train_folds
from ..engine.run import train


def main(argv: list[str] | None) -> None:
    given = parse_flags(make_parser(), argv)
    cfg = resolve({name: value for name, value in given.items() if name != "print_config"})
    judges = cfg.run.test and cfg.run.checkpoint
    # when judging, settings that are not given are those that the checkpoint was trained with
    base = trained_settings(load_contract(cfg.run.checkpoint)) if judges else None
    cfg = resolve(given, base)
    if cfg.run.test:
        test(cfg)
    elif cfg.data.kfold and cfg.data.fold == -1:
        train_folds(cfg)
    else:
        train(cfg)


def run() -> None:
    """The command as an installed program."""
    run_main(main)


if __name__ == "__main__":
    run()
