"""Submit training as SLURM or local jobs. Accepts all flags of melanoma_train.py."""

from src.scripts.run_with_submitit import run

if __name__ == "__main__":
    run()
