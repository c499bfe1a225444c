"""The gate in feature space: whether an image is of the kind that the model was trained with."""

from dataclasses import dataclass

import numpy as np

from ..core.errors import require
from .out_of_distribution import Mahalanobis, fit_mahalanobis, threshold_that_keeps

# of an ONNX file that fit_trust wrote: an output, and an input that may be left out
FEATURES, MASK = "features", "dropout_mask"
_DIGITS = 6


@dataclass(frozen=True)
class FeatureGate:
    """`Mahalanobis` in numbers for a file, and the distance that an image may have.

    Features are brought to length 1 before (Müller & Hein 2025, Mahalanobis++): their length tells
    of contrast more than of what is in view.
    """

    center: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]
    scales: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    residual: float
    threshold: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """[N]: the distance of features [N, width]. Raises `UserError` for another width."""
        width = len(self.center)
        fits = features.ndim == 2 and features.shape[1] == width
        require(fits, f"features of shape {features.shape}: expected [N, {width}]")
        return self._distance()(_unit(features))

    def check(self) -> None:
        """Raise `UserError` where the numbers do not fit each other."""
        width, k = len(self.center), len(self.scales)
        fits = len(self.components) == k > 0 and all(len(row) == width for row in self.components)
        fits &= len(self.means) > 0 and all(len(row) == k for row in self.means)
        require(fits and self.residual >= 0, "trust: features: numbers that fit each other")

    def _distance(self) -> Mahalanobis:
        return Mahalanobis(
            np.array(self.center),
            np.array(self.components),
            np.array(self.scales),
            np.array(self.means),
            self.residual,
        )


def fit_gate(features: np.ndarray, labels: np.ndarray, kept: float = 0.99) -> FeatureGate:
    """The gate that this share of like images passes, of features [N, width] with `labels` [N].

    Every second row fits the distance, the others, which it has not seen, its threshold.
    """
    features = _unit(features)
    distance = fit_mahalanobis(features[::2], labels[::2])
    threshold = threshold_that_keeps(kept, distance(features[1::2]))
    return FeatureGate(
        _rounded(distance.center),
        _rounded(distance.components),
        _rounded(distance.scales),
        _rounded(distance.means),
        float(distance.residual),
        threshold,
    )


def _unit(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


def _rounded(values: np.ndarray) -> tuple:
    """Nested tuples of an array, in 6 digits: what float32 features hold."""
    if values.ndim > 1:
        return tuple(map(_rounded, values))
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values)


def dropout_mask(width: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    """float32 [1, width]: 0 with probability `rate`, else 1 / (1 - rate), as in training."""
    return ((rng.random((1, width)) >= rate) / (1 - rate)).astype(np.float32)
