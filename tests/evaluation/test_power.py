"""What a group's size allows to say: power by every outcome there is, intervals, sentences."""

import itertools
import math
import re

import numpy as np
import pytest
from scipy.stats import binom, norm

from src.evaluation.power import detectable_rates, exact_interval, power_notes

NAN = float("nan")


def power_of_the_test(n: tuple[int, int], rates: tuple[float, float], confidence: float) -> float:
    """Chance that two rates of `n` rows are found different, summed over all numbers of hits."""
    angles = [2 * np.arcsin(np.sqrt(np.arange(k + 1) / k)) for k in n]
    chances = [binom.pmf(np.arange(k + 1), k, rate) for k, rate in zip(n, rates, strict=True)]
    distance = np.abs(np.subtract.outer(*angles)) / math.sqrt(1 / n[0] + 1 / n[1])
    return float(np.outer(*chances)[distance > norm.ppf((1 + confidence) / 2)].sum())


def test_the_difference_is_found_with_this_power():
    sizes, powers = (
        [(40, 400), (100, 100), (60, 1000), (300, 700)],
        [(0.8, 0.95), (0.5, 0.95), (0.9, 0.99)],
    )
    for n, rest, (power, confidence) in itertools.product(sizes, (0.5, 0.7, 0.9), powers):
        difference = rest - detectable_rates(*n, rest, power, confidence)[0]
        found = power_of_the_test(n, (rest - difference, rest), confidence)
        assert found == pytest.approx(power, abs=0.04)
        less, more = ((rest - f * difference, rest) for f in (0.8, 1.2))
        assert power_of_the_test(n, less, confidence) < power - 0.04
        assert power_of_the_test(n, more, confidence) > power + 0.025


@pytest.mark.simulation
@pytest.mark.parametrize("n", [(50, 500), (200, 200)], ids=str)
def test_the_difference_is_found_in_simulated_rows(n, at_size):
    """10,000 (10^6) pairs of groups, compared by the usual test of two proportions."""
    rng = np.random.default_rng(0)
    rates = detectable_rates(*n, 0.75)[0], 0.75
    hits = [
        rng.binomial(k, rate, size=at_size(10_000, 10**6)) for k, rate in zip(n, rates, strict=True)
    ]
    pooled = (hits[0] + hits[1]) / sum(n)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    found = np.abs(hits[0] / n[0] - hits[1] / n[1]) / error > norm.ppf(0.975)
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_more_rows_show_smaller_differences():
    found = np.array([detectable_rates(n, 1000, 0.6) for n in (10, 20, 50, 200, 10**6)])
    assert (np.diff(found[:, 0]) > 0).all() and (np.diff(found[:, 1]) < 0).all()
    assert detectable_rates(10**12, 10**12, 0.8) == pytest.approx((0.8, 0.8), abs=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_a_rate_above_is_a_rate_below_of_what_is_missed(rate):
    below, above = detectable_rates(30, 200, rate)
    mirrored = detectable_rates(30, 200, 1 - rate)
    assert (1 - above, 1 - below) == pytest.approx(mirrored, nan_ok=True)


@pytest.mark.parametrize(
    ("n_group", "n_rest", "rate_rest", "undefined"),
    [
        (0, 50, 0.8, [True, True]),
        (50, 0, NAN, [True, True]),
        (1, 50, 0.5, [True, True]),
        (50, 50, 0, [True, False]),
        (50, 50, 1, [False, True]),
    ],
)
def test_what_no_rate_would_show_is_undefined(n_group, n_rest, rate_rest, undefined):
    assert [*map(math.isnan, detectable_rates(n_group, n_rest, rate_rest))] == undefined


def test_a_rate_of_nothing_is_the_last_that_is_found():
    """At rates of the others where it just is, 2 arcsin √rate being the distance needed."""
    distance = (norm.ppf(0.975) + norm.ppf(0.8)) * math.sqrt(1 / 20 + 1 / 80)
    rate = math.sin(distance / 2) ** 2
    assert detectable_rates(20, 80, rate + 1e-9)[0] == pytest.approx(0, abs=1e-6)
    assert math.isnan(detectable_rates(20, 80, rate - 1e-9)[0])


def test_beyond_the_interval_the_hits_are_too_unlikely():
    """Each end is the rate at which so many hits or more, or fewer, have half of what is left."""
    counts = [(6, 1), (17, 15), (40, 20), (5, 0), (5, 5), (1, 1)]
    for (n, n_hits), confidence in itertools.product(counts, (0.9, 0.95)):
        low, high = exact_interval(n_hits, n, confidence)
        left = (1 - confidence) / 2
        assert low == 0 if n_hits == 0 else binom.sf(n_hits - 1, n, low) == pytest.approx(left)
        assert high == 1 if n_hits == n else binom.cdf(n_hits, n, high) == pytest.approx(left)


def test_exact_interval_by_hand():
    """None of five: 1 - 0.025^(1/5)."""
    assert exact_interval(0, 5) == pytest.approx((0, 1 - 0.025**0.2))
    assert exact_interval(np.int64(5), np.int64(5)) == pytest.approx((0.025**0.2, 1))
    assert all(map(math.isnan, exact_interval(0, 0)))


def notes_of(n_positive, n_hits, least=10):
    counts = zip(n_positive, n_hits, strict=True)
    return power_notes(dict(zip("ABCD", counts, strict=False)), "mel", least)


def numbers_of(note: str) -> list[str]:
    return re.findall(r"\d+\.\d\d|\d+", note.split(":", 1)[1])


def test_a_small_group_is_told_what_it_allows_to_say():
    (note,) = notes_of([120, 6], [95, 1])
    low, _ = detectable_rates(6, 120, 95 / 120)
    assert note.startswith("B: 6 mel images.")
    ends = [f"{end:.2f}" for end in exact_interval(1, 6)]
    assert numbers_of(note) == ["6", "1", "6", *ends, "95", f"{low:.2f}", "0.79", "80"]


def test_sentences_of_very_small_groups():
    (note,) = notes_of([1, 60], [1, 20])  # no rate could be distinguished from that of the others
    assert numbers_of(note) == ["1", "1", "1", "0.03", "1.00", "95", "0.33"]
    (note,) = notes_of([0, 60], [0, 20])
    assert note.startswith("A: no mel image.")
    (note,) = notes_of([2], [0])  # no others
    assert numbers_of(note) == ["2", "0", "2", "0.00", "0.84", "95"]


def test_of_two_groups_that_have_enough_it_tells_the_difference_that_could_be_detected():
    (note,) = notes_of([46, 17, 10], [34, 15, 8])
    below, above = detectable_rates(10, 17, 23 / 27)
    assert math.isnan(above)
    assert note.startswith("C and B") and f" {23 / 27 - below:.2f} or more" in note
    assert " 10 and 17 mel images" in note
    (note,) = notes_of([10, 12], [1, 1])  # only a higher rate could
    gap = detectable_rates(10, 12, 2 / 22)[1] - 2 / 22
    assert f" {gap:.2f} or more" in note
    (note,) = notes_of([2, 2], [1, 1], least=1)
    assert "no difference" in note


def test_what_was_found_far_above_the_others_could_be_distinguished_from_them():
    """5 of 5 against 10 of 66: no lower rate would, but this one does."""
    note, _ = notes_of([5, 66, 20], [5, 10, 3])
    below, above = detectable_rates(5, 86, 13 / 86)
    assert math.isnan(below) and above < 1
    assert f" at least {above:.2f} " in note and "at most" not in note
    note, _ = notes_of([8, 200, 100], [4, 100, 50])
    assert re.search(r"at most 0\.0\d or at least 0\.9\d", note)


def test_notes_come_in_the_order_of_the_groups():
    notes = notes_of([0, 50, 9, 10], [0, 40, 3, 9])
    assert [note[:2] for note in notes] == ["A:", "C:", "D "]
    assert notes_of([], []) == []
    assert notes_of([0, 1], [0, 1], least=0) == []
