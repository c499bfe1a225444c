"""Drawn predictions of the same rows."""

import numpy as np

from src.evaluation.predictions import Predictions


def drawn(rng, n_rows=120, strength=0.5, n_classes=2):
    """Predictions of rows that are the same whatever `rng`."""
    labels = np.arange(n_rows) % 3 % n_classes
    logits = rng.normal(size=(n_rows, n_classes))
    logits[np.arange(n_rows), labels] += strength
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions(
        names=[f"i{row}.jpg" for row in range(n_rows)],
        labels=labels,
        groups=np.full(n_rows, -1),
        probabilities=probabilities.astype(np.float32),
        decisions=probabilities.argmax(1),
        classes=("benign", "malignant", "other")[:n_classes],
        positive=1,
        group_names=("light",),
    )


CLUSTERS = np.arange(120) // 2
