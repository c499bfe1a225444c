"""Train a melanoma classifier, or judge one with --test: flags -> train(cfg)."""

from src.artifact.network import load_checkpoint
from src.core.errors import run_main
from src.core.flags import load_config
from src.engine.evaluate import test
from src.engine.run import train


def main(argv: list[str] | None) -> None:
    cfg = load_config(argv)
    if not cfg.run.test:
        train(cfg)
        return
    # settings that are not given are those that the checkpoint was trained with
    trained_with = load_checkpoint(cfg.run.checkpoint)["contract"]["provenance"]["config"]
    test(load_config(argv, base=trained_with))


if __name__ == "__main__":
    run_main(main)
