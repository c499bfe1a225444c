"""Answering only where the model is sure: error against coverage."""

import numpy as np


def risk_by_coverage(errors: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """[N]: the error among the i most confident rows, i = 1 to N.

    `errors` [N] are 0 or 1 (or any loss), `confidence` [N]. Equally confident rows, whose order is
    nobody's choice, count with their mean error.
    """
    order = np.argsort(-confidence, kind="stable")
    _, places, counts = np.unique(-confidence[order], return_inverse=True, return_counts=True)
    means = np.bincount(places, errors[order]) / counts
    return means[places].cumsum() / np.arange(1, len(errors) + 1)


def aurc(errors: np.ndarray, confidence: np.ndarray) -> float:
    """The area under error against coverage: the mean of `risk_by_coverage` over all N coverages.

    The convention of Geifman & El-Yaniv (2017): selective risk, each coverage i/N with weight 1/N.
    """
    return float(risk_by_coverage(errors, confidence).mean())


def excess_aurc(errors: np.ndarray, confidence: np.ndarray) -> float:
    """E-AURC (Geifman et al. 2019): `aurc` less that of the best order, all errors last."""
    return aurc(errors, confidence) - aurc(errors, -np.asarray(errors, np.float64))


def risk_at(coverage: float, errors: np.ndarray, confidence: np.ndarray) -> float:
    """The error among the given share of rows, at least one, that are most confident."""
    n = max(1, round(coverage * len(errors)))
    return float(risk_by_coverage(errors, confidence)[n - 1])
