"""Evaluate a model or its predictions: how good, for whom, how sure, and is a difference real?"""

from src.scripts.melanoma_eval import run

if __name__ == "__main__":
    run()
