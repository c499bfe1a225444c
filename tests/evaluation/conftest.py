"""Small predictions tables."""

from collections.abc import Callable

import numpy as np
import pytest

from src.evaluation.predictions import Predictions

GROUPS = ("Very light", "Light", "Intermediate", "Tan and darker")


def make_table(
    labels,
    groups=None,
    scores=None,
    decisions=None,
    *,
    positive: int = 1,
    classes: tuple[str, ...] = ("benign", "malignant"),
    group_names: tuple[str, ...] = GROUPS,
) -> Predictions:
    """Predictions of `labels`: `scores` are of the positive class [N] or of all [N, classes].

    Without scores every row is certainly its label; without decisions the most probable class.
    """
    labels = np.array(labels, dtype=np.int64)
    if scores is None:
        probabilities = np.eye(len(classes))[labels]
    else:
        scores = np.array(scores, dtype=np.float64)
        both = np.stack([1 - scores, scores], axis=1) if scores.ndim == 1 else scores
        flipped = scores.ndim == 1 and positive == 0
        probabilities = (both[:, ::-1] if flipped else both).reshape(-1, len(classes))
    if decisions is None:
        decisions = probabilities.argmax(axis=1)
    groups = np.zeros(len(labels)) if groups is None else groups
    return Predictions(
        names=[f"image_{row}.jpg" for row in range(len(labels))],
        labels=labels,
        groups=np.array(groups, dtype=np.int64),
        probabilities=probabilities,
        decisions=np.array(decisions, dtype=np.int64),
        classes=classes,
        positive=positive,
        group_names=group_names,
    )


@pytest.fixture(scope="session")
def table() -> Callable[..., Predictions]:
    """A function that makes a predictions table of labels, groups, scores and decisions."""
    return make_table


@pytest.fixture(scope="session")
def random_table() -> Callable[..., Predictions]:
    """A function that makes a table of 2 or 7 classes with rows of unknown group."""

    def make(n_classes: int = 2, n_rows: int = 200, seed: int = 0) -> Predictions:
        rng = np.random.default_rng(seed)
        return make_table(
            rng.integers(n_classes, size=n_rows),
            rng.integers(-1, 4, size=n_rows),
            rng.dirichlet(np.ones(n_classes), size=n_rows),
            classes=("benign", "malignant") if n_classes == 2 else tuple("abcdefg"[:n_classes]),
        )

    return make
