"""Meta-analysis over sites: closed forms, and coverage in simulated studies."""

import numpy as np
import pytest

from src.sites.meta_analysis import pool


def test_equal_sites_have_their_mean_and_no_heterogeneity():
    found = pool(np.full(6, np.log(3)), np.full(6, 0.04))
    assert np.isclose(found.mean, 0.75) and found.tau2 == found.tau2_low == found.i2 == 0


def test_sites_of_equal_size_have_the_variance_of_their_means():
    """Paule and Mandel's variance is then the sample variance less that within the sites."""
    logits, within = np.array([0.1, 0.9, 1.6, 2.4]), 0.05
    found = pool(logits, np.full(4, within))
    assert np.isclose(found.tau2, logits.var(ddof=1) - within, rtol=1e-4)
    assert np.isclose(found.mean, 1 / (1 + np.exp(-logits.mean())))
    assert found.low < found.mean < found.high and found.new_low < found.low


def test_sites_that_agree_are_no_more_certain_than_all_their_images():
    """Two sites of 30 in 40: not a CI of no width."""
    found = pool(np.full(2, np.log(3)), np.full(2, 1 / (40 * 0.1875)))
    assert found.high - found.low > 0.2


@pytest.mark.simulation
def test_intervals_cover_the_mean_and_the_heterogeneity(at_size):
    rng, n_studies = np.random.default_rng(0), at_size(200, 2000)
    true, tau2 = 1.2, 0.15
    covered = np.zeros(2)
    for _ in range(n_studies):
        variances = rng.uniform(0.02, 0.2, 8)
        logits = true + rng.normal(0, np.sqrt(tau2 + variances))
        found = pool(logits, variances)
        share = 1 / (1 + np.exp(-true))
        covered += found.low <= share <= found.high, found.tau2_low <= tau2 <= found.tau2_high
    shares = covered / n_studies
    room = 3 * np.sqrt(0.95 * 0.05 / n_studies)
    assert (abs(shares - 0.95) <= max(0.02, room)).all(), shares
