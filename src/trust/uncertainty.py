"""How unsure a model is: entropy, and what of it would go with a better model; in nats."""

import numpy as np


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """[N]: the Shannon entropy of each row of [N, classes]; log(classes) where all are equal."""
    p = probabilities.astype(np.float64)
    return np.abs((p * np.log(np.where(p > 0, p, 1))).sum(axis=-1))  # no -0


def mutual_information(samples: np.ndarray) -> np.ndarray:
    """[N] of `samples` [passes, N, classes], such as passes with dropout (Gal & Ghahramani 2016).

    The predictive entropy less the mean entropy of the passes: what they disagree about, from 0,
    where all agree, to the predictive entropy (BALD, Houlsby et al. 2011).
    """
    disagreement = entropy(samples.mean(axis=0)) - entropy(samples).mean(axis=0)
    return np.clip(disagreement, 0, None)
