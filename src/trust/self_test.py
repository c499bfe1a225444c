"""Checks of the mathematics on drawn data, where the answers are known; needs no model."""

from collections.abc import Iterator

import numpy as np

from .certificate import Promise, certify, needed
from .conformal import fit_conformal
from .out_of_distribution import auroc, fit_mahalanobis
from .selective import aurc, excess_aurc
from .uncertainty import entropy, mutual_information


def self_test(seed: int = 0) -> Iterator[tuple[str, bool]]:
    """(what is checked, whether it holds) of each check; takes a second."""
    rng = np.random.default_rng(seed)
    exact = [needed(misses, 0.1, 0.9) for misses in range(4)]
    yield "22, 38, 52, 65 cases are needed for 0, 1, 2, 3 misses", exact == [22, 38, 52, 65]
    broken = 0
    for _ in range(300):
        scores = rng.random(60)  # of which a threshold t misses the share t
        (found,) = certify(Promise(), ("all",), np.zeros(60), np.arange(60), scores)
        broken += found.threshold > 0.1
    yield "a certified promise is broken in at most 10 % of 300 studies", broken <= 30
    p = rng.dirichlet(np.ones(5), 4000)
    labels = (p.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    for score in ("lac", "aps", "raps"):
        sets = fit_conformal(score, 0.1, labels[:2000], p[:2000]).sets(p[2000:], np.full(2000, -1))
        covered = sets[np.arange(2000), labels[2000:]].mean()
        yield f"{score} sets hold 90 % of the true classes", abs(covered - 0.9) < 0.03
    samples = rng.dirichlet(np.ones(3), (8, 50))
    mutual = mutual_information(samples)
    holds = (mutual >= 0).all() and (mutual <= entropy(samples.mean(axis=0))).all()
    yield "entropy >= mutual information >= 0", bool(holds)
    known = rng.normal(size=(1000, 8))
    distance = fit_mahalanobis(known[:500], np.zeros(500))
    yield "Mahalanobis tells a shift of 4", auroc(distance(known[500:]), distance(known + 4)) > 0.99
    errors = (rng.random(500) < 0.2).astype(float)
    yield "E-AURC of the best order is 0", abs(excess_aurc(errors, -errors)) < 1e-12
    yield (
        "AURC without an order is the error",
        abs(aurc(errors, np.ones(500)) - errors.mean()) < 1e-9,
    )
