"""Conformal sets: quantiles by hand, coverage over many splits, crepes, groups."""

import numpy as np
import pytest
from crepes import ConformalClassifier
from scipy.stats import betabinom, kstest, norm

from src.core.errors import UserError
from src.trust.conformal import SCORES, conformal_quantile, fit_conformal, scores_of


def draw(rng, n, n_classes=5):
    """(labels, probabilities, groups): the model is overconfident, and more so in group 1."""
    groups = np.arange(n) % 2
    logits = rng.normal(0, 1.5, (n, n_classes))
    odds = np.exp(logits)
    labels = (odds.cumsum(1) > rng.random((n, 1)) * odds.sum(1, keepdims=True)).argmax(1)
    stated = np.exp(logits * np.where(groups, 2.5, 1.2)[:, None])
    return labels, stated / stated.sum(1, keepdims=True), groups


def test_the_quantile_is_the_one_that_exchangeability_gives():
    scores = np.arange(1, 20) / 20  # 19 rows: the 18th of 20 places
    assert conformal_quantile(scores, 0.1) == 18 / 20
    assert conformal_quantile(scores[:9], 0.1) == 9 / 20
    assert conformal_quantile(scores[:8], 0.1) is None  # no place for 90 % among 9


def test_scores_are_those_of_the_papers():
    p = np.array([[0.5, 0.2, 0.3]])
    assert scores_of("lac", p)[0] == pytest.approx([0.5, 0.8, 0.7])
    share = scores_of("aps", p)[0, 0] / 0.5
    assert 0 <= share < 1
    assert scores_of("aps", p)[0] == pytest.approx(
        [0.5 * share, 0.8 + 0.2 * share, 0.5 + 0.3 * share]
    )
    assert scores_of("raps", p)[0] - scores_of("aps", p)[0] == pytest.approx([0, 0.2, 0.1])
    assert (scores_of("aps", p) == scores_of("aps", p)).all()  # the same image, the same set
    even = np.array([[0.6, 0.4]]) + np.linspace(0, 0.1, 2000)[:, None] * [1, -1]
    assert kstest(scores_of("aps", even)[:, 0] / even[:, 0], "uniform").pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("score", SCORES)
def test_coverage_over_200_splits_lies_in_its_binomial_interval_in_each_group(score):
    rng, n, m, n_splits = np.random.default_rng(3), 400, 200, 200
    covered, of_marginal_in_group_1 = np.zeros(3), []
    for _ in range(n_splits):
        labels, probabilities, groups = draw(rng, m)
        fitted = fit_conformal(score, 0.1, *draw(rng, n), n_groups=2)
        fits = scores_of(score, probabilities)[np.arange(m), labels]
        by_group = fits <= np.array(fitted.by_group)[groups]
        marginal = fits <= fitted.quantile
        covered += marginal.sum(), by_group[groups == 0].sum(), by_group[groups == 1].sum()
        of_marginal_in_group_1.append(marginal[groups == 1].mean())
        sets = fitted.sets(probabilities, groups)
        assert (sets[np.arange(m), labels] >= by_group).all() and sets.any(axis=1).all()
    for found, n_fitted, rows in zip(
        covered, (n, n // 2, n // 2), (m, m // 2, m // 2), strict=True
    ):
        place = int(np.ceil((n_fitted + 1) * 0.9))  # what a split covers is beta-binomial
        of_split = betabinom(rows, place, n_fitted + 1 - place)
        mean, spread = n_splits * of_split.mean(), np.sqrt(n_splits) * of_split.std()
        low, high = norm.interval(0.999, mean, spread)
        assert low <= found <= high
    assert np.mean(of_marginal_in_group_1) < 0.885  # what groups of their own are for


def test_sets_are_those_of_crepes():
    rng = np.random.default_rng(4)
    (labels, probabilities, groups), (_, new, new_groups) = draw(rng, 301), draw(rng, 100)
    truth = scores_of("lac", probabilities)[np.arange(301), labels]
    for own, theirs in (({}, {}), ({"groups": groups, "n_groups": 2}, {"bins": groups})):
        model = ConformalClassifier().fit(truth, **theirs)
        bins = {"bins": new_groups} if theirs else {}
        expected = model.predict_set(scores_of("lac", new), confidence=0.9, smoothing=False, **bins)
        found = fit_conformal("lac", 0.1, labels, probabilities, **own).sets(new, new_groups)
        top = np.eye(5, dtype=bool)[new.argmax(1)]
        assert (found == (expected.astype(bool) | top)).all()


def test_a_group_with_few_rows_takes_the_quantile_of_all_and_no_rows_give_full_sets():
    labels, probabilities, groups = draw(np.random.default_rng(5), 200)
    groups[:] = 0
    groups[:8] = 1
    fitted = fit_conformal("lac", 0.1, labels, probabilities, groups, 3)
    assert fitted.by_group[1:] == (None, None)
    unknown = fitted.sets(probabilities, np.full(200, -1))
    assert (fitted.sets(probabilities, np.full(200, 1)) == unknown).all()
    assert (fitted.sets(probabilities, np.full(200, 7)) == unknown).all()
    few = fit_conformal("aps", 0.1, labels[:5], probabilities[:5])
    assert few.quantile is None and few.sets(probabilities, groups).all()
    for score, alpha in (("x", 0.1), ("lac", 1.0)):
        with pytest.raises(UserError):
            fit_conformal(score, alpha, labels, probabilities)
