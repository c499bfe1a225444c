"""AUROC of histograms, and the standard error over patients."""

import numpy as np
from sklearn.metrics import roc_auc_score

from src.sites.disclosure import histogram
from src.sites.ranking import auroc_by_patient, auroc_of_histograms


def drawn(rng, n_positive, n_negative):
    """Scores of both classes as a network gives them: most negatives close to 0."""
    positive, negative = rng.normal(0.5, 1.8, n_positive), rng.normal(-2.5, 2, n_negative)
    return tuple(1 / (1 + np.exp(-values)) for values in (positive, negative))


def test_pooled_histograms_give_the_auroc_within_half_a_point():
    rng, errors = np.random.default_rng(0), []
    for _ in range(20):
        sites = [drawn(rng, rng.integers(40, 200), rng.integers(300, 2000)) for _ in range(3)]
        pooled = [np.concatenate([site[kind] for site in sites]) for kind in range(2)]
        labels = np.repeat([1, 0], [len(part) for part in pooled])
        exact = roc_auc_score(labels, np.concatenate(pooled))
        told = [[histogram(site[kind]) for site in sites] for kind in range(2)]
        errors.append(abs(auroc_of_histograms(*told) - exact))
    assert max(errors) <= 0.005


def test_auroc_of_patients_is_that_of_images_with_ties():
    rng = np.random.default_rng(1)
    positive, negative = rng.integers(2, 8, 50) / 8, rng.integers(0, 7, 90) / 8
    patients = rng.integers(0, 30, 50), rng.integers(0, 30, 90)
    area, _ = auroc_by_patient(positive, negative, patients)
    labels = np.repeat([1, 0], [50, 90])
    assert np.isclose(area, roc_auc_score(labels, np.concatenate([positive, negative])))


def test_standard_error_of_single_images_is_delongs():
    rng = np.random.default_rng(2)
    positive, negative = drawn(rng, 60, 200)
    _, error = auroc_by_patient(positive, negative, (np.arange(60), 60 + np.arange(200)))
    wins = (positive[:, None] > negative[None]).astype(float)
    delong = wins.mean(axis=1).var(ddof=1) / 60 + wins.mean(axis=0).var(ddof=1) / 200
    assert np.isclose(error**2, delong, rtol=1e-9)


def test_a_class_of_one_patient_has_no_standard_error():
    positive, negative = drawn(np.random.default_rng(4), 12, 100)
    of_one = auroc_by_patient(positive, negative, (np.zeros(12, int), 1 + np.arange(100)))
    assert np.isnan(of_one[1])


def test_standard_error_grows_with_images_of_one_patient():
    """Each image twice, of the same patient: as certain as each once."""
    rng = np.random.default_rng(3)
    positive, negative = drawn(rng, 60, 200)
    once = auroc_by_patient(positive, negative, (np.arange(60), 60 + np.arange(200)))
    ids = np.tile(np.arange(60), 2), np.tile(60 + np.arange(200), 2)
    twice = auroc_by_patient(np.tile(positive, 2), np.tile(negative, 2), ids)
    assert np.allclose(once, twice)
