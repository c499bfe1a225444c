"""Weighted rows, and what metrics are made of: the data at weights of one, resamples at others."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array

from ..core.classes import BINARY_CLASSES
from .predictions import Predictions

N_BINS = 15
LEAST_PROBABILITY = 1e-15  # a lower one counts as this, as in the log loss
KINDS = ("all", "positive", "negative")


@dataclass(frozen=True)
class Rows:
    """Predictions, the cluster of each row (int [N], from 0: a patient, a lesion or the image) and
    the bins of calibration errors."""

    predictions: Predictions
    clusters: np.ndarray
    n_bins: int = N_BINS

    @cached_property
    def target(self) -> np.ndarray:
        """Bool [N]: whether a row is of the positive class."""
        return self.predictions.labels == self.predictions.positive

    @property
    def score(self) -> np.ndarray:
        """Float [N]: the probability of the positive class."""
        return self.predictions.probabilities[:, self.predictions.positive]

    @cached_property
    def at_scores(self) -> tuple[csr_array, csr_array]:
        """Positive and negative rows, float32 [thresholds, n_clusters], the highest score first.

        Every distinct score of a positive row is a threshold, and what lies between two of them
        another: wherever a curve goes straight along its axis of negatives. None where a score is
        NaN.
        """
        order = np.argsort(-self.score, kind="stable")
        score, target = self.score[order], self.target[order]
        if np.isnan(score).any():
            return (csr_array((0, self.n_clusters), dtype=np.float32),) * 2
        step = (np.diff(score, prepend=np.nan) != 0).cumsum() - 1  # of each distinct score
        has_positive = np.bincount(step[target], minlength=step.max(initial=-1) + 1) > 0
        is_threshold = has_positive | np.append(True, has_positive[:-1])
        places = (is_threshold.cumsum() - 1)[step]
        shape = int(is_threshold.sum()), self.n_clusters
        clusters = self.clusters[order]
        counts = (
            coo_array((np.ones(kind.sum(), np.float32), (places[kind], clusters[kind])), shape)
            for kind in (target, ~target)
        )
        positives, negatives = (count.tocsr() for count in counts)
        return positives, negatives

    @cached_property
    def cells(self) -> np.ndarray:
        """Float64 [n_clusters, classes²]: rows of a cluster by label and decision."""
        n_cells = len(self.predictions.classes) ** 2
        place = self.predictions.labels * len(self.predictions.classes) + self.predictions.decisions
        counts = np.bincount(self.clusters * n_cells + place, minlength=self.n_clusters * n_cells)
        return counts.reshape(self.n_clusters, n_cells).astype(np.float64)

    @cached_property
    def losses(self) -> np.ndarray:
        """Float64 [n_clusters, 2]: sums of the Brier scores and log losses of a cluster's rows.

        The Brier score of a row is the squared distance of its probabilities from its label, for
        two classes halved: 0 to 1 of two, 0 to 2 of more (Brier 1950).
        """
        labels, probabilities = self.predictions.labels, self.predictions.probabilities
        n_classes = probabilities.shape[1]
        brier = ((probabilities - np.eye(n_classes)[labels]) ** 2).sum(axis=1)
        brier = brier / 2 if n_classes == 2 else brier
        own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        log_loss = -np.log(np.clip(own, LEAST_PROBABILITY, 1.0))
        sums = np.zeros((self.n_clusters, 2))
        np.add.at(sums, self.clusters, np.stack([brier, log_loss], axis=1))
        return sums

    @cached_property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.clusters.max(initial=-1)) + 1

    def of_kind(self, kind: str) -> np.ndarray:
        """Bool [N]: `all`, `positive` or `negative` rows."""
        return {"all": np.full(len(self.target), True), "positive": self.target}.get(
            kind, ~self.target
        )

    def count(self, kind: str) -> int:
        """How many rows there are of a kind."""
        return int(self.of_kind(kind).sum())

    def count_clusters(self, kind: str) -> int:
        """How many clusters have rows of a kind."""
        return len(np.unique(self.clusters[self.of_kind(kind)]))

    def part(self, keep: np.ndarray) -> "Rows":
        """The rows where `keep` [N] holds, their clusters numbered anew."""
        clusters = np.unique(self.clusters[keep], return_inverse=True)[1]
        return replace(self, predictions=self.predictions.where(keep), clusters=clusters)

    @cached_property
    def by_class(self) -> list["Rows"]:
        """For each class the same rows with it as the positive class, the rest as the other."""
        whole, found = self.predictions, []
        for label in range(len(whole.classes)):
            score = whole.probabilities[:, label]
            binary = replace(
                whole,
                labels=(whole.labels == label).astype(np.int64),
                decisions=(whole.decisions == label).astype(np.int64),
                probabilities=np.stack([1 - score, score], axis=1),
                classes=BINARY_CLASSES,
                positive=1,
            )
            found.append(replace(self, predictions=binary))
        return found

    def as_they_are(self) -> "Weighted":
        """The rows at weights of one, in float64: what is measured of them is the estimate.

        Each is a cluster of its own, so that clusters do not touch the last digit of a sum.
        """
        n_rows = len(self.clusters)
        return Weighted(replace(self, clusters=np.arange(n_rows)), np.ones((1, n_rows)))


def rows_of(predictions: Predictions, n_bins: int = N_BINS) -> Rows:
    """The rows of predictions, each a cluster of its own."""
    return Rows(predictions, np.arange(len(predictions.labels)), n_bins)


@dataclass(frozen=True)
class Curve:
    """Weights of positive and negative rows at each threshold, highest first, and their sums
    down to it: all [n_resamples, thresholds]; `n_positive` and `n_negative` [n_resamples]."""

    positives: np.ndarray
    negatives: np.ndarray

    @cached_property
    def hits(self) -> np.ndarray:
        """Weight of the positive rows with a score or a higher one."""
        return self.positives.cumsum(axis=1)

    @cached_property
    def alarms(self) -> np.ndarray:
        """Weight of the negative rows with a score or a higher one."""
        return self.negatives.cumsum(axis=1)

    @property
    def n_positive(self) -> np.ndarray:
        """Weight of all positive rows."""
        return _last(self.hits)

    @property
    def n_negative(self) -> np.ndarray:
        """Weight of all negative rows."""
        return _last(self.alarms)


@dataclass(frozen=True)
class Weighted:
    """Rows and weights of their clusters, whole numbers [n_resamples, n_clusters].

    What follows is of the resamples, float64 with `n_resamples` first.
    """

    rows: Rows
    weights: np.ndarray

    @cached_property
    def confusion(self) -> np.ndarray:
        """[n_resamples, label, decision]"""
        n_classes = len(self.rows.predictions.classes)
        counts = self.weights @ self.rows.cells.astype(self.weights.dtype)
        return counts.astype(np.float64).reshape(-1, n_classes, n_classes)

    @property
    def n(self) -> np.ndarray:
        """[n_resamples]: rows."""
        return self.confusion.sum(axis=(1, 2))

    @property
    def n_right(self) -> np.ndarray:
        """[n_resamples]: rows that are decided rightly."""
        return np.trace(self.confusion, axis1=1, axis2=2)

    @property
    def labelled(self) -> np.ndarray:
        """[n_resamples, classes]: rows of a class."""
        return self.confusion.sum(axis=2)

    @property
    def decided(self) -> np.ndarray:
        """[n_resamples, classes]: rows that are decided to be of a class."""
        return self.confusion.sum(axis=1)

    @property
    def hits(self) -> np.ndarray:
        """[n_resamples, classes]: rows of a class that are decided to be of it."""
        return np.diagonal(self.confusion, axis1=1, axis2=2)

    @property
    def tp(self) -> np.ndarray:
        """[n_resamples]: true positives."""
        return self.hits[:, self.rows.predictions.positive]

    @property
    def n_positive(self) -> np.ndarray:
        """[n_resamples]: rows of the positive class."""
        return self.labelled[:, self.rows.predictions.positive]

    @property
    def n_selected(self) -> np.ndarray:
        """[n_resamples]: rows that are decided to be of the positive class."""
        return self.decided[:, self.rows.predictions.positive]

    @property
    def fp(self) -> np.ndarray:
        """[n_resamples]: false positives."""
        return self.n_selected - self.tp

    @property
    def n_negative(self) -> np.ndarray:
        """[n_resamples]: rows of the other classes."""
        return self.n - self.n_positive

    @property
    def losses(self) -> np.ndarray:
        """[n_resamples, 2]: sums of Brier scores and log losses.

        Not by a matrix product, whose last digit depends on the number of threads.
        """
        return np.einsum("rc,ck->rk", self.weights, self.rows.losses)

    @cached_property
    def curve(self) -> Curve:
        """The rows ranked by their probability of the positive class, one curve a resample.

        Without a score where one of them is NaN. Equal scores share a threshold.
        """
        weights = np.ascontiguousarray(self.weights.T)
        if self.n.max(initial=0) >= 2**24:  # float32 holds whole numbers up to there
            weights = weights.astype(np.float64)
        return Curve(*(np.ascontiguousarray((c @ weights).T) for c in self.rows.at_scores))

    def part(self, keep: np.ndarray) -> "Weighted":
        """The rows where `keep` [N] holds, with the weights of their clusters."""
        return Weighted(self.rows.part(keep), self.weights[:, np.unique(self.rows.clusters[keep])])

    @property
    def by_class(self) -> list["Weighted"]:
        """For each class the same resamples with it as the positive class, against the rest."""
        return [replace(self, rows=rows) for rows in self.rows.by_class]


def ratios(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """parts / wholes elementwise, NaN where there is nothing to divide by."""
    parts, wholes = np.broadcast_arrays(parts, wholes)
    return np.divide(parts, wholes, out=np.full(wholes.shape, np.nan), where=wholes > 0)


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean over classes [n_resamples] of values [n_resamples, classes] that are not NaN."""
    known = ~np.isnan(values)
    return ratios(np.nan_to_num(values).sum(axis=1), known.sum(axis=1))


def _last(sums: np.ndarray) -> np.ndarray:
    return sums[:, -1].astype(np.float64) if sums.shape[1] else np.zeros(len(sums))
