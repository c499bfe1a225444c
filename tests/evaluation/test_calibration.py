"""Calibration: bins and their error by hand and by a loop, temperatures that are known."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from src.core.errors import UserError
from src.evaluation.calibration import (
    CALIBRATIONS,
    equal_mass_edges,
    fit_temperature,
    reliability,
    scaled,
    temperature,
    top_label,
)

NAN = float("nan")
LABELS = np.array([1, 0, 0])
PROBABILITIES = np.array([[0.3, 0.7], [0.9, 0.1], [0.4, 0.6]])


def known_calibrated(n_rows: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(labels, logits): the labels are drawn with the probabilities softmax(logits)."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n_rows, n_classes))
    below = softmax(logits, axis=1).cumsum(axis=1)
    below[:, -1] = 1
    return (below >= rng.random((n_rows, 1))).argmax(axis=1), logits


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, 1e-15)).mean())


def ece_by_loop(confidence, correct, edges) -> float:
    """Row by row: the bins are (lower, upper], the first one with its lower edge."""
    total = 0.0
    for index in range(len(edges) - 1):
        own = [
            (c, right)
            for c, right in zip(confidence.tolist(), correct.tolist(), strict=True)
            if edges[index] < c <= edges[index + 1] or (index == 0 and c == edges[0])
        ]
        if own:
            mean, share = (math.fsum(values) / len(own) for values in zip(*own, strict=True))
            total += len(own) / len(confidence) * abs(share - mean)
    return total


def test_by_hand():
    found = reliability(*top_label(LABELS, PROBABILITIES), np.linspace(0, 1, 3 + 1))
    assert found.ece == pytest.approx(1 / 3)
    assert found.n.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.lower, [0, 1 / 3, 2 / 3])
    np.testing.assert_allclose(found.upper, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(found.confidence, [NAN, 0.6, 0.8])
    np.testing.assert_array_equal(found.accuracy, [NAN, 0, 1])


def test_of_a_class_it_is_its_probability_against_its_share():
    found = reliability(PROBABILITIES[:, 1], LABELS == 1, np.linspace(0, 1, 2 + 1))
    np.testing.assert_allclose(found.confidence, [0.1, 0.65])
    np.testing.assert_array_equal(found.accuracy, [0, 0.5])
    assert found.ece == pytest.approx((0.1 + 2 * 0.15) / 3)


@settings(max_examples=150, derandomize=True, database=None)
@given(st.data())
def test_error_is_that_of_a_loop(data):
    n_rows, n_bins = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 8))
    n_values = data.draw(st.sampled_from([1, 4, 1000]))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    confidence = rng.integers(n_values + 1, size=n_rows) / n_values
    correct = rng.random(n_rows) < confidence
    for edges in (np.linspace(0, 1, n_bins + 1), equal_mass_edges(confidence, n_bins)):
        found = reliability(confidence, correct, edges)
        assert found.ece == pytest.approx(ece_by_loop(confidence, correct, edges), abs=1e-12)
        assert found.n.sum() == n_rows
        assert (np.isnan(found.confidence) == (found.n == 0)).all()
        filled = found.n > 0
        assert (found.confidence <= found.upper + 1e-12)[filled].all()
        assert (found.confidence >= found.lower - 1e-12)[filled].all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bin_has_its_upper_edge_and_the_first_also_its_lower(dtype):
    confidence = np.array([0, 0.25, 0.5, 0.75, 1], dtype)
    found = reliability(confidence, np.ones(5, bool), np.linspace(0, 1, 4 + 1))
    assert found.n.tolist() == [2, 1, 1, 1]


@settings(max_examples=150, derandomize=True, database=None)
@given(st.data())
def test_equal_mass_bins_are_filled_alike_and_never_split_equal_values(data):
    n_rows, n_bins = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 9))
    n_values = data.draw(st.sampled_from([1, 3, 10**9]))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    confidence = (rng.integers(n_values + 1, size=n_rows) / n_values).astype(dtype)
    edges = equal_mass_edges(confidence, n_bins)
    found = reliability(confidence, np.ones(n_rows, bool), edges)
    assert (found.n > 0).all()
    assert 1 <= len(found.n) <= n_bins
    assert (edges[0], edges[-1]) == (0, 1)
    assert (np.diff(edges[1:-1]) > 0).all()
    assert np.isin(edges[1:-1], confidence).all()
    commonest = np.unique(confidence, return_counts=True)[1].max()
    assert found.n.max() < n_rows / n_bins + 1 + commonest
    if len(np.unique(confidence)) == n_rows:
        assert len(found.n) == min(n_bins, n_rows)
        assert found.n.max() - found.n.min() <= 1


def test_equal_mass_edges_by_hand():
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    np.testing.assert_array_equal(equal_mass_edges(values, 3), [0, 0.2, 0.4, 1])
    repeated = np.array([0.1, 0.5, 0.5, 0.5, 0.5, 0.9])
    np.testing.assert_array_equal(equal_mass_edges(repeated, 3), [0, 0.5, 1])
    np.testing.assert_array_equal(equal_mass_edges(np.full(9, 0.7), 3), [0, 1])


@pytest.mark.parametrize("confidence", [[], [NAN, NAN], [0.2, NAN, 0.9]], ids=str)
def test_nothing_known_is_no_error_known(confidence):
    confidence = np.array(confidence, np.float64)
    correct = np.ones(len(confidence), bool)
    for edges in (np.linspace(0, 1, 3 + 1), equal_mass_edges(confidence, 3)):
        found = reliability(confidence, correct, edges)
        assert math.isnan(found.ece)
        assert found.n.sum() == 0
        assert np.isnan(found.accuracy).all()


def test_probabilities_of_decisions_alone_give_an_undefined_error():
    confidence, correct = top_label(np.zeros(4, int), np.full((4, 2), NAN))
    assert math.isnan(reliability(confidence, correct, np.linspace(0, 1, 5 + 1)).ece)


@pytest.mark.parametrize(("correct", "ece"), [(True, 0), (False, 1)])
def test_certain_rows_are_calibrated_when_they_are_right(correct, ece):
    found = reliability(np.ones(5), np.full(5, correct), np.linspace(0, 1, 10 + 1))
    assert found.ece == ece


def test_of_equally_probable_classes_the_first_is_the_top_label():
    confidence, correct = top_label(np.array([0, 1]), np.full((2, 2), 0.5))
    assert (confidence.tolist(), correct.tolist()) == ([0.5, 0.5], [True, False])


def test_the_dict_is_of_json_types():
    found = reliability(*top_label(LABELS, PROBABILITIES), np.linspace(0, 1, 3 + 1)).to_dict()
    assert set(found) == {"ece", "bins"}
    filled = {"lower": 2 / 3, "upper": 1, "n": 2, "confidence": 0.8, "accuracy": 1}
    assert json.loads(json.dumps(found))["bins"][2] == pytest.approx(filled)
    assert type(found["bins"][0]["n"]) is int


@pytest.mark.parametrize("n_classes", [2, 7])
@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
def test_temperature_is_the_factor_of_the_logits(n_classes, factor):
    """Within 8 %, which is some four standard errors of 4,000 rows."""
    labels, logits = known_calibrated(4000, n_classes, seed=n_classes)
    probabilities = softmax(factor * logits, axis=1)
    temperature = fit_temperature(labels, probabilities)
    assert temperature == pytest.approx(factor, rel=0.08)
    exact = factor * fit_temperature(labels, softmax(logits, axis=1))
    assert temperature == pytest.approx(exact, rel=1e-6)
    restored = scaled(probabilities, temperature)
    ece = [
        reliability(*top_label(labels, p), np.linspace(0, 1, 15 + 1)).ece
        for p in (restored, probabilities)
    ]
    assert ece[0] < 0.03
    assert factor == 1 or ece[1] > 2 * ece[0]


@settings(max_examples=60, derandomize=True, database=None)
@given(st.integers(0, 9999), st.integers(1, 40), st.integers(2, 8), st.sampled_from([0.1, 1, 5]))
def test_no_other_temperature_has_a_lower_loss(seed, n_rows, n_classes, spread):
    rng = np.random.default_rng(seed)
    probabilities = softmax(spread * rng.normal(size=(n_rows, n_classes)), axis=1)
    labels = rng.integers(n_classes, size=n_rows)
    before = probabilities.copy()
    temperature = fit_temperature(labels, probabilities)
    assert 0.05 <= temperature <= 20
    found = log_loss(labels, scaled(probabilities, temperature))
    for other in [1.0, *np.geomspace(0.05, 20, 25)]:
        assert found <= log_loss(labels, scaled(probabilities, other)) + 1e-9
    np.testing.assert_array_equal(probabilities, before)


@pytest.mark.parametrize(
    ("labels", "temperature"),
    [([1, 0, 1], 0.05), ([0, 1, 0], 20), ([1, 1, 0], 20)],
    ids=["always right", "always wrong", "right less than chance"],
)
def test_temperature_stops_at_its_bounds(labels, temperature):
    probabilities = np.array([[0.3, 0.7], [0.9, 0.1], [0.4, 0.6]])
    assert fit_temperature(np.array(labels), probabilities) == temperature


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_uniform_probabilities_need_no_temperature(n_classes):
    uniform = np.full((5, n_classes), 1 / n_classes)
    assert fit_temperature(np.arange(5) % n_classes, uniform) == 1


def test_probabilities_of_zero_are_finite_mistakes():
    labels, probabilities = np.array([0, 0, 1, 1]), np.array([[1.0, 0]] * 3 + [[0, 1.0]])
    temperature = fit_temperature(labels, probabilities)
    assert 1 < temperature <= 20
    after = scaled(probabilities, temperature)
    assert np.isfinite(after).all()
    assert log_loss(labels, after) < log_loss(labels, probabilities)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [(np.zeros((0, 2)), "no rows"), (np.full((3, 2), NAN), "found only decisions")],
)
def test_temperature_of_nothing_is_refused(probabilities, message):
    with pytest.raises(UserError, match=message):
        fit_temperature(np.zeros(len(probabilities), int), probabilities)


def test_scaled_probabilities_by_hand():
    odds = np.array([[1, 4]]) / 5
    np.testing.assert_allclose(scaled(odds, 1), odds)
    np.testing.assert_allclose(scaled(odds, 2), [[1 / 3, 2 / 3]])
    np.testing.assert_allclose(scaled(odds, 0.5), [[1 / 17, 16 / 17]])
    np.testing.assert_allclose(scaled(odds, 1e9), [[0.5, 0.5]], atol=1e-8)
    rows = scaled(np.repeat(odds, 3, axis=0), np.array([1, 2, 0.5]))
    np.testing.assert_allclose(rows[:, 0], [1 / 5, 1 / 3, 1 / 17])


def test_scaling_leaves_the_decision_and_what_is_unknown():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), size=50).astype(np.float32)
    for value in (0.05, 0.7, 20):
        found = scaled(probabilities, value)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        np.testing.assert_array_equal(found.argmax(axis=1), probabilities.argmax(axis=1))
    assert np.isnan(scaled(np.full((2, 3), NAN), 2.0)).all()


@pytest.fixture(scope="module")
def grouped():
    """Labels, probabilities and groups: group 0 has logits of 3 times, 1 of half the right size.

    Group 2 has 9 rows, group 3 one class, group 4 no row; every tenth row is of unknown group.
    """
    labels, logits = known_calibrated(2000, 3, seed=1)
    groups = np.arange(2000) % 2
    groups[::10] = -1
    groups[1:91:10] = 2
    groups[labels == 2] = np.where(np.arange((labels == 2).sum()) % 4, groups[labels == 2], 3)
    factor = np.where(groups == 0, 3.0, np.where(groups == 1, 0.5, 1.0))
    return labels, softmax(factor[:, None] * logits, axis=1), groups


def test_groups_have_their_own_temperature_where_they_can(grouped):
    labels, probabilities, groups = grouped
    given = (labels, probabilities, groups, 5)
    found = temperature(*given, 10, by="group")
    everyone = fit_temperature(labels, probabilities)
    assert found.shape == (6,)
    assert found[:2] == pytest.approx([3, 0.5], rel=0.15)
    assert found[2:].tolist() == [everyone] * 4
    own = fit_temperature(labels[groups == 2], probabilities[groups == 2])
    enough = temperature(*given, 9, by="group")
    assert enough[2] == own != everyone
    before, after = (
        log_loss(labels, scaled(probabilities, temperatures[groups]))
        for temperatures in (np.full(6, everyone), found)
    )
    assert after < before


def test_the_call_string_chooses_by_what(grouped):
    labels, probabilities, groups = grouped
    given = {
        "labels": labels,
        "probabilities": probabilities,
        "groups": groups,
        "n_groups": 5,
        "min_rows": 10,
    }
    everyone = CALIBRATIONS.build("temperature", **given)
    assert everyone.tolist() == [fit_temperature(labels, probabilities)] * 6
    by_group = CALIBRATIONS.build("temperature(by='group')", **given)
    np.testing.assert_array_equal(by_group, temperature(**given, by="group"))
    with pytest.raises(UserError, match="expected 'all' or 'group'"):
        CALIBRATIONS.build("temperature(by='tone')", **given)
