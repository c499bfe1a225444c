"""Scores of how unlike its training images an image is; higher is stranger.

A confidence score (`msp`, `energy`) tells that an answer may be wrong, a score of features
(Mahalanobis) that an image is nothing of its kind.
"""

from dataclasses import dataclass

import numpy as np

from ..core.errors import require

N_COMPONENTS = 64


def msp(probabilities: np.ndarray) -> np.ndarray:
    """[N]: 1 - the probability of the most probable class (Hendrycks & Gimpel 2017)."""
    return 1 - probabilities.max(axis=1)


def energy(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """[N]: -T log sum exp(logits / T) of logits [N, outputs] (Liu et al. 2020)."""
    scaled = logits.astype(np.float64) / temperature
    highest = scaled.max(axis=1)
    return -temperature * (highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1)))


@dataclass(frozen=True)
class Mahalanobis:
    """Distance from the nearest class in feature space (Lee et al. 2018), and what is left over.

    Features are projected on `components` [k, width] after `center` [width] is taken off, and
    multiplied by `scales` [k], so that the covariance within classes is the identity; `means`
    [classes, k] are scaled too. What is left out is compared with `residual`, its mean square.
    """

    center: np.ndarray
    components: np.ndarray
    scales: np.ndarray
    means: np.ndarray
    residual: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """[N]: the squared distance of features [N, width], chi-squared for normal classes."""
        centered = features.astype(np.float64) - self.center
        projected = centered @ self.components.T
        left = (centered**2).sum(axis=1) - (projected**2).sum(axis=1)
        whitened = projected * self.scales
        distances = ((whitened[:, None] - self.means) ** 2).sum(axis=2).min(axis=1)
        left_over = max(0, features.shape[1] - len(self.components))
        return distances + (left_over * left.clip(0) / self.residual if self.residual else 0)


def fit_mahalanobis(
    features: np.ndarray, labels: np.ndarray, n_components: int = N_COMPONENTS
) -> Mahalanobis:
    """The distance fitted on features [N, width] of rows with `labels` int [N].

    Its directions are the principal ones within classes, as many as the rows allow.
    """
    features = features.astype(np.float64)
    require(np.isfinite(features).all(), "features: expected finite numbers")
    classes = np.unique(labels)
    require(len(features) > len(classes) + 1, "features: expected more rows than classes")
    center = features.mean(axis=0)
    means = np.array([features[labels == c].mean(axis=0) for c in classes])
    within = features - means[np.searchsorted(classes, labels)]
    freedom = len(features) - len(classes)
    _, singular, directions = np.linalg.svd(within, full_matrices=False)
    variances = singular**2 / freedom
    most = int((variances > variances[0] * 1e-10).sum())
    k = min(n_components, most, max(1, freedom // 2))
    components = directions[:k]
    left = variances[k:].sum()
    scales = 1 / np.sqrt(variances[:k])
    scaled_means = (means - center) @ components.T * scales
    return Mahalanobis(center, components, scales, scaled_means, float(left))


def threshold_that_keeps(share: float, scores: np.ndarray) -> float:
    """The lowest threshold that at least this share of rows does not exceed."""
    place = max(1, int(np.ceil(share * len(scores) - 1e-9)))
    return float(np.sort(scores)[place - 1])


def auroc(known: np.ndarray, strange: np.ndarray) -> float:
    """The probability that a strange image has a higher score than a known one; ties count half."""
    both = np.concatenate([known, strange])
    _, places, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[places][len(known) :]
    n, m = len(strange), len(known)
    return float((ranks.sum() - n * (n + 1) / 2) / (n * m))


def false_positive_rate(known: np.ndarray, strange: np.ndarray, kept: float = 0.95) -> float:
    """The share of strange images that pass where this share `kept` of known ones does."""
    return float((strange <= threshold_that_keeps(kept, known)).mean())
