"""Train a melanoma classifier, or all folds of a cross-validation, or evaluate a checkpoint."""

from src.scripts.melanoma_train import run

if __name__ == "__main__":
    run()
