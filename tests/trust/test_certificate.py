"""The certificate of sensitivity: exact numbers, and promises kept in simulated studies."""

import numpy as np
import pytest
from scipy.stats import beta, binom

from src.core.errors import UserError
from src.trust.certificate import (
    Certificate,
    GroupCertificate,
    Promise,
    at_most,
    certified_threshold,
    certify,
    most_misses,
    needed,
    unit_scores,
    upper_bound,
)


def test_needed_numbers_are_those_of_the_exact_binomial():
    assert [needed(k, 0.1, 0.9) for k in range(4)] == [22, 38, 52, 65]
    assert [needed(k, 0.1, 0.95) for k in range(4)] == [29, 46, 61, 76]
    for confidence in (0.8, 0.9, 0.95, 0.99):
        for k in range(6):
            n = needed(k, 0.1, confidence)
            assert binom.cdf(k, n, 0.1) <= 1 - confidence < binom.cdf(k, n - 1, 0.1)
            assert most_misses(n, 0.1, confidence) == k
            assert most_misses(n - 1, 0.1, confidence) == k - 1


def test_the_bound_is_the_share_at_which_so_few_misses_are_just_improbable():
    for n, k in ((1, 0), (22, 0), (40, 7), (100, 99)):
        assert upper_bound(k, n, 0.9) == pytest.approx(beta.ppf(0.9, k + 1, n - k))
        assert at_most(k, n, 0.2) == pytest.approx(binom.cdf(k, n, 0.2))
    assert upper_bound(0, 0, 0.9) == upper_bound(5, 5, 0.9) == 1


def test_a_unit_is_as_caught_as_its_worst_or_its_best_image():
    scores, units = np.array([0.2, 0.9, 0.5, 0.4]), np.array([7, 7, 3, 3])
    assert unit_scores(scores, units, "every").tolist() == [0.4, 0.2]
    assert unit_scores(scores, units, "any").tolist() == [0.5, 0.9]


def test_the_threshold_is_the_last_that_fixed_sequence_testing_reaches():
    rng = np.random.default_rng(0)
    for n in (10, 22, 60, 61, 140):
        scores = rng.beta(4, 2, n).round(2)  # with ties
        reached = None
        for threshold in np.linspace(0, 1, 1001).round(3):  # p-value of "more than 10 % are missed"
            if binom.cdf((scores < threshold).sum(), n, 0.1) > 0.1:
                break
            reached = threshold
        assert certified_threshold(scores, 0.1, 0.9) == (reached if n >= 22 else None)


def test_groups_of_one_study_are_told_apart_and_named():
    groups, units = np.repeat([0, 1, -1], [30, 13, 5]), np.arange(48)
    scores = np.linspace(0.3, 1, 48)
    light, dark = certify(Promise(), ("light", "dark", "none"), groups, units, scores)
    assert (light.n, light.misses, light.threshold, light.certified) == (30, 0, 0.3, True)
    assert (dark.n, dark.threshold, dark.certified) == (13, None, False)
    certificate = Certificate(Promise(), "patient", "", True, (light, dark))
    words = [certificate.of(name, "melanoma") for name in ("light", "dark", "unknown")]
    assert words[0].startswith("misses at most 10% of melanoma cases, with 90% confidence")
    assert words[2].startswith("not certified")
    capped = certify(Promise(), ("light", "dark"), groups, units, scores, highest=0.31)
    assert [(c.threshold, c.misses) for c in capped] == [(0.3, 0), (None, 0)]
    capped = certify(Promise(), ("light", "dark"), groups, units, scores, highest=0.2)
    assert [(c.threshold, c.certified) for c in capped] == [(0.2, True), (None, False)]
    refused = Certificate(Promise(), "image", "no patients", True, ())
    assert refused.of("light", "melanoma") == "not certified: no patients"
    assert words[1] == ("cannot be certified: 13 melanoma cases (by patient), at least 22 needed")
    # both promises together cost confidence: 29 in place of 22
    both = Promise(multiplicity="bonferroni")
    assert [c.certified for c in certify(both, ("a", "b"), groups, units, scores)] == [True, False]
    together = Certificate(both, "patient", "", True, (light, dark))
    assert "at least 29 needed" in together.of("dark", "melanoma")


def test_decisions_are_certified_as_they_are():
    flagged = np.arange(60) >= 3
    (found,) = certify(Promise(), ("all",), np.zeros(60), np.arange(60), np.ones(60), flagged)
    assert (found.misses, found.threshold, found.certified) == (3, None, False)
    words = Certificate(Promise(), "lesion", "", False, (found,)).of("all", "mel")
    assert "3 of 60 missed" in words and "at most 2 may be" in words
    flagged[2] = True
    (found,) = certify(Promise(), ("all",), np.zeros(60), np.arange(60), np.ones(60), flagged)
    assert found == GroupCertificate("all", 60, 2, upper_bound(2, 60, 0.9), None, True)


def test_impossible_promises_are_refused():
    for field, value in (("max_miss", 0), ("confidence", 1), ("missed", "x"), ("multiplicity", 2)):
        with pytest.raises(UserError, match=field):
            Promise(**{field: value})


def draw_study(rng, n_patients):
    """(patients, scores) of positive images: 1 to 12 each, alike within a patient."""
    sizes = np.minimum(rng.geometric(0.35, n_patients), 12)
    patients = np.repeat(np.arange(n_patients), sizes)
    logits = np.repeat(rng.normal(1.5, 1.2, n_patients), sizes) + rng.normal(0, 0.5, sizes.sum())
    return patients, 1 / (1 + np.exp(-logits))


@pytest.mark.simulation
@pytest.mark.parametrize("missed", ["every", "any"])
def test_the_promise_is_broken_in_at_most_the_stated_share_of_studies(missed, at_size):
    rng, n_studies, sizes = np.random.default_rng(1), at_size(40, 500), (25, 60, 100, 150)
    population = np.sort(unit_scores(*draw_study(rng, 200_000)[::-1], missed))

    def true_miss(threshold):
        return np.searchsorted(population, threshold, side="left") / len(population)

    broken, together, naive = np.zeros(len(sizes)), 0, 0
    for _ in range(n_studies):
        drawn = [draw_study(rng, n) for n in sizes]
        groups = np.repeat(np.arange(len(sizes)), [len(patients) for patients, _ in drawn])
        patients, scores = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        study = tuple("abcd"), groups, patients, scores
        found = certify(Promise(missed=missed), *study)
        broken += [c.certified and true_miss(c.threshold) > 0.1 for c in found]
        both = certify(Promise(missed=missed, multiplicity="bonferroni"), *study)
        together += any(c.certified and true_miss(c.threshold) > 0.1 for c in both)
        # the threshold with 10 % missed in the study itself
        naive += true_miss(np.quantile(unit_scores(*drawn[3][::-1], missed), 0.1)) > 0.1
    # few studies are as often bad as chance has it
    most = 0.1 * n_studies if n_studies >= 500 else binom.ppf(0.999, n_studies, 0.1)
    assert (broken <= most).all() and together <= most
    assert naive / n_studies > 0.3  # so that this test can fail


@pytest.mark.simulation
def test_with_3_percent_missed_and_100_melanomas_most_studies_are_certified(at_size):
    rng, n_studies = np.random.default_rng(2), at_size(200, 500)
    zeros, ones, units = np.zeros(100), np.ones(100), np.arange(100)
    certified = [
        certify(Promise(), ("all",), zeros, units, ones, rng.random(100) >= 0.03)[0].certified
        for _ in range(n_studies)
    ]
    assert np.mean(certified) >= 0.8
