"""Train a melanoma classifier or all its folds, or judge one: flags -> train(cfg) or test(cfg)."""

from src.scripts.melanoma_train import run

if __name__ == "__main__":
    run()
