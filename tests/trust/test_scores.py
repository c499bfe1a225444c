"""Uncertainty, strangeness and selective error, against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import chi2, kstest
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import roc_auc_score

from src.trust.out_of_distribution import (
    auroc,
    energy,
    false_positive_rate,
    fit_mahalanobis,
    msp,
    threshold_that_keeps,
)
from src.trust.selective import aurc, excess_aurc, risk_at, risk_by_coverage
from src.trust.uncertainty import entropy, mutual_information


@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0.05, 20))
def test_predictive_entropy_is_at_least_mutual_information_which_is_not_negative(seed, k, spread):
    samples = np.random.default_rng(seed).dirichlet(np.full(k, spread), (6, 9))
    predictive, mutual = entropy(samples.mean(0)), mutual_information(samples)
    assert (predictive >= mutual).all() and (mutual >= 0).all()
    assert predictive == pytest.approx(scipy_entropy(samples.mean(0), axis=1))
    assert (predictive <= np.log(k) + 1e-12).all()
    assert mutual_information(samples[:1]) == pytest.approx(0)


def test_passes_that_contradict_each_other_have_all_their_entropy_in_common():
    certain = np.eye(2)[:, None]  # two passes, each sure of another class
    assert mutual_information(certain) == pytest.approx(np.log(2))
    assert entropy(np.array([[1.0, 0], [0.5, 0.5]])) == pytest.approx([0, np.log(2)])


def test_confidence_scores():
    logits = np.array([[1000.0, 0, -3], [0.5, 0.25, 0]])
    assert energy(logits) == pytest.approx(-logsumexp(logits, axis=1))
    assert energy(logits, 2) == pytest.approx(-2 * logsumexp(logits / 2, axis=1))
    assert msp(np.array([[0.7, 0.3]])) == pytest.approx([0.3])


def test_mahalanobis_on_gaussians_is_chi_squared_and_tells_what_is_known_to_be_strange():
    rng = np.random.default_rng(0)
    mixing, means = rng.normal(size=(10, 10)), rng.normal(0, 20, (3, 10))
    labels = rng.integers(0, 3, 4000)
    features = means[labels] + rng.normal(size=(4000, 10)) @ mixing
    distance = fit_mahalanobis(features[:2000], labels[:2000])
    new = distance(features[2000:])
    assert kstest(new, chi2(10).cdf).pvalue > 0.01
    covariance = mixing.T @ mixing
    exact = [
        min((x - m) @ np.linalg.solve(covariance, x - m) for m in means)
        for x in features[2000:2100]
    ]
    assert np.corrcoef(exact, new[:100])[0, 1] > 0.99
    # shifted by 3 standard deviations in every direction: a noncentral chi-squared
    strange = means[labels[2000:]] + (3 + rng.normal(size=(2000, 10))) @ mixing
    assert auroc(new, distance(strange)) > 0.999
    # beside the directions in which the training images differ
    wide = np.pad(features[:2000], ((0, 0), (0, 5))) + rng.normal(0, 0.01, (2000, 15))
    thin = fit_mahalanobis(wide, labels[:2000], n_components=10)
    aside = wide + np.eye(15)[12] * 0.5
    assert auroc(thin(wide), thin(aside)) > 0.99


def test_ranking_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    known, strange = rng.normal(size=200).round(1), rng.normal(1, 1, 150).round(1)
    both = np.concatenate([known, strange])
    assert auroc(known, strange) == pytest.approx(
        roc_auc_score(np.repeat([0, 1], [200, 150]), both)
    )
    threshold = threshold_that_keeps(0.95, known)
    assert (known <= threshold).mean() >= 0.95 > (known < threshold).mean()
    assert false_positive_rate(known, strange) == (strange <= threshold).mean()


def test_error_against_coverage_by_hand_and_at_its_limits():
    errors, confidence = np.array([0, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6])
    assert risk_by_coverage(errors, confidence) == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert aurc(errors, confidence) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert aurc(errors, -errors) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert excess_aurc(errors, -errors) == 0
    assert aurc(errors, np.ones(4)) == pytest.approx(0.5)  # no order: the error itself
    assert risk_at(0.5, errors, confidence) == 0.5 and risk_at(0.0, errors, confidence) == 0
