"""Rounding to what is known: digits follow the interval, and undefined stays a word."""

import pytest

from src.report.numbers import (
    count,
    decimal,
    interval_of,
    metric,
    p_value,
    percent,
    too_few,
    value_of,
    why_undefined,
)

NAN = float("nan")


def told(value, low, high, unit):
    figure = {"value": value, "low": low, "high": high}
    texts = value_of(figure, unit), interval_of(figure, unit)
    return tuple(text.replace("\u202f", " ") for text in texts)


@pytest.mark.parametrize(
    ("figure", "unit", "expected"),
    [
        ((0.7226, 0.641, 0.802), "%", ("72 %", "64–80 %")),
        ((0.0984, 0.0911, 0.1064), "%", ("9.8 %", "9.1–10.6 %")),
        ((0.9021, 0.85, 0.951), "", ("0.90", "0.85–0.95")),
        ((0.9021, 0.893, 0.911), "", ("0.902", "0.893–0.911")),
        ((-0.012, -0.018, -0.006), "points", ("−1.2 points", "−1.8 to −0.6 points")),
        ((0.05, -0.01, 0.11), "points", ("5 points", "−1 to 11 points")),
        ((0.5, NAN, NAN), "%", ("50 %", "")),
        ((0.981, NAN, NAN), "%", ("98.1 %", "")),
        ((1.0, NAN, NAN), "%", ("100 %", "")),
        ((0.0, 0.0, 0.2), "%", ("0 %", "0–20 %")),
        ((-0.001, -0.04, 0.03), "", ("0.00", "−0.04 to 0.03")),
        ((NAN, NAN, NAN), "%", ("not defined", "")),
        ((None, None, None), "", ("not defined", "")),
    ],
)
def test_a_figure_has_the_digits_that_its_interval_allows(figure, unit, expected):
    assert told(*figure, unit) == expected


def test_single_numbers():
    assert count(6562) == "6,562"
    assert percent(0.262, 1) == "26.2\u202f%" and percent(NAN) == percent(None) == "not defined"
    assert decimal(-0.0001) == "0.000" and decimal(-0.25, 1) == "−0.2"
    assert [p_value(p) for p in (0.0004, 0.004, 0.042, 0.11, 1.0)] == [
        "p < 0.001",
        "p = 0.004",
        "p = 0.042",
        "p = 0.11",
        "p = 1.00",
    ]
    assert p_value(NAN) == "p not defined"


def test_an_unknown_metric_goes_by_its_own_name():
    assert metric("new_score") == ("New score", "")
    assert metric("sensitivity") == ("Sensitivity", "%")


@pytest.mark.parametrize(
    ("name", "n", "n_positive", "reason"),
    [
        ("auroc", 0, 0, "no images"),
        ("sensitivity", 9, 0, "no melanomas"),
        ("auroc", 9, 9, "only melanomas"),
        ("specificity", 9, 9, "only melanomas"),
        ("precision", 9, 3, "no positive decision"),
        ("auroc", 9, 3, "no probabilities"),
        ("matthews", 9, 3, "no variation"),
    ],
)
def test_why_a_metric_is_undefined(name, n, n_positive, reason):
    part = {"n": n, "n_positive": n_positive}
    assert why_undefined(name, part, "melanomas") == reason


def test_too_few_counts_the_rows_of_the_rate():
    part = {"n": 30, "n_positive": 9}
    found = {name: too_few(name, part, 10) for name in ("sensitivity", "specificity", "auroc")}
    assert found == {"sensitivity": True, "specificity": False, "auroc": True}
    assert not too_few("selection_rate", part, 30) and too_few("selection_rate", part, 31)


def test_one_point_is_singular():
    figure = {"value": 0.01, "low": -0.03, "high": 0.05}
    assert value_of(figure, "points") == "1 point"
    assert value_of(figure | {"value": -0.012}, "points") == "−1 point"
    assert value_of(figure | {"value": 0.02}, "points") == "2 points"
