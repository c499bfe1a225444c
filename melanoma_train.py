"""Train a melanoma classifier, or judge one with --test: flags -> train(cfg)."""

from src.core.errors import run_main
from src.core.flags import load_config
from src.engine.evaluate import test, trained_settings
from src.engine.run import train


def main(argv: list[str] | None) -> None:
    cfg = load_config(argv)
    if not cfg.run.test:
        train(cfg)
        return
    # settings that are not given are those that the checkpoint was trained with
    test(load_config(argv, base=trained_settings(cfg.run.checkpoint)))


if __name__ == "__main__":
    run_main(main)
