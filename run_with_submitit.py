"""Train as jobs: the flags of melanoma_train.py and those of a cluster -> submitted jobs."""

from src.scripts.run_with_submitit import run

if __name__ == "__main__":
    run()
