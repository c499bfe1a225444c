"""What a group's size allows to say: power by every outcome there is, intervals, sentences."""

import math
import re

import numpy as np
import pytest
from scipy.stats import binom, norm

from src.evaluation.power import detectable_rates, exact_interval, power_notes

NAN = float("nan")


def power_of_the_test(n: tuple[int, int], rates: tuple[float, float], level: float) -> float:
    """Chance that two rates of `n` rows are found different, summed over all numbers of hits."""
    angles = [2 * np.arcsin(np.sqrt(np.arange(k + 1) / k)) for k in n]
    chances = [binom.pmf(np.arange(k + 1), k, rate) for k, rate in zip(n, rates, strict=True)]
    distance = np.abs(np.subtract.outer(*angles)) / math.sqrt(1 / n[0] + 1 / n[1])
    return float(np.outer(*chances)[distance > norm.ppf((1 + level) / 2)].sum())


@pytest.mark.parametrize("n", [(40, 400), (100, 100), (60, 1000), (300, 700)], ids=str)
@pytest.mark.parametrize("rate_rest", [0.5, 0.7, 0.9])
@pytest.mark.parametrize(("power", "level"), [(0.8, 0.95), (0.5, 0.95), (0.9, 0.99)])
def test_the_difference_is_found_with_this_power(n, rate_rest, power, level):
    difference = rate_rest - detectable_rates(*n, rate_rest, power, level)[0]
    rates = rate_rest - difference, rate_rest
    assert power_of_the_test(n, rates, level) == pytest.approx(power, abs=0.04)
    less, more = ((rate_rest - f * difference, rate_rest) for f in (0.8, 1.2))
    assert power_of_the_test(n, less, level) < power - 0.04
    assert power_of_the_test(n, more, level) > power + 0.025


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


@pytest.mark.parametrize(("n", "n_hits"), [(6, 1), (17, 15), (40, 20), (5, 0), (5, 5), (1, 1)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_beyond_the_interval_the_hits_are_too_unlikely(n, n_hits, level):
    """Each end is the rate at which so many hits or more, or fewer, have half of what is left."""
    low, high = exact_interval(n_hits, n, level)
    left = (1 - level) / 2
    assert low == 0 if n_hits == 0 else binom.sf(n_hits - 1, n, low) == pytest.approx(left)
    assert high == 1 if n_hits == n else binom.cdf(n_hits, n, high) == pytest.approx(left)


def test_exact_interval_by_hand():
    """None of five: 1 - 0.025^(1/5)."""
    assert exact_interval(0, 5) == pytest.approx((0, 1 - 0.025**0.2))
    assert exact_interval(np.int64(5), np.int64(5)) == pytest.approx((0.025**0.2, 1))
    assert all(map(math.isnan, exact_interval(0, 0)))


def test_a_small_level_is_told_what_it_allows_to_say():
    notes = power_notes(["Light", "Tan"], np.array([120, 6]), np.array([95, 1]), 10)
    low, _ = detectable_rates(6, 120, 95 / 120)
    assert notes == [
        "Tan: 6 malignant images. Too few to judge: with 1 of 6 found the sensitivity may be "
        "anywhere from 0.00 to 0.64 (95 % exact interval), and only a sensitivity of "
        f"{low:.2f} or less would stand out from the others' 0.79."
    ]


@pytest.mark.parametrize(
    ("n_positive", "n_hits", "notes"),
    [
        (
            [1, 60],
            [1, 20],
            "A: 1 malignant image. Too few to judge: with 1 of 1 found the sensitivity may be "
            "anywhere from 0.03 to 1.00 (95 % exact interval), and no sensitivity would stand out "
            "from the others' 0.33.",
        ),
        ([0, 60], [0, 20], "A: no malignant image. Nothing can be said of the sensitivity."),
        (
            [2],
            [0],
            "A: 2 malignant images. Too few to judge: with 0 of 2 found the sensitivity may be "
            "anywhere from 0.00 to 0.84 (95 % exact interval).",
        ),
    ],
    ids=["one image", "no image", "no others"],
)
def test_sentences_of_very_small_levels(n_positive, n_hits, notes):
    assert power_notes("AB"[: len(n_positive)], n_positive, n_hits, 10) == [notes]


def test_of_two_levels_that_have_enough_it_tells_the_gap_that_would_stand_out():
    (note,) = power_notes("ABC", [46, 17, 10], [34, 15, 8], 10)
    below, above = detectable_rates(10, 17, 23 / 27)
    assert math.isnan(above)
    gap = 23 / 27 - below
    assert note == (
        "Between C (10 malignant images) and B (17), the smallest with enough, only a gap of "
        f"{gap:.2f} or more in sensitivity would stand out."
    )
    (note,) = power_notes("AB", [10, 12], [1, 1], 10)  # only a higher rate would
    gap = detectable_rates(10, 12, 2 / 22)[1] - 2 / 22
    assert f"the smallest with enough, only a gap of {gap:.2f} or more in" in note
    (note,) = power_notes("AB", [2, 2], [1, 1], 1)
    assert "B (2), the smallest with enough, no gap in sensitivity would stand out." in note


def test_what_was_found_far_above_the_others_would_stand_out():
    """5 of 5 against 10 of 66: no lower rate would, but this one does."""
    note, _ = power_notes(["Tan", "Light", "Dark"], [5, 66, 20], [5, 10, 3], 10)
    below, above = detectable_rates(5, 86, 13 / 86)
    assert math.isnan(below) and above < 1
    assert f"only a sensitivity of {above:.2f} or more would stand out" in note
    note, _ = power_notes(["Tan", "Light", "Dark"], [8, 200, 100], [4, 100, 50], 10)
    assert re.search(r"of 0\.0\d or less or of 0\.9\d or more would stand out", note)


def test_notes_come_in_the_order_of_the_levels():
    notes = power_notes("BADC", [0, 50, 9, 10], [0, 40, 3, 9], 10)
    assert [note[:2] for note in notes] == ["B:", "D:", "Be"]
    assert power_notes([], [], [], 10) == []
    assert len(power_notes("AB", [0, 1], [0, 1], 0)) == 0
