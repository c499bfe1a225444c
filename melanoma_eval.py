"""Evaluate a model or a predictions file, overall and by group; compare it with a second model."""

from src.scripts.melanoma_eval import run

if __name__ == "__main__":
    run()
