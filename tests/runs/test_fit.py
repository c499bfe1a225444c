"""Verdicts on curves of closed form, and what must not change a verdict."""

from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from src.runs import fit
from src.runs.fit import diagnose_fit, running_median
from src.runs.history import History
from src.scripts import check_fit

EPOCHS = np.arange(30)


def falling(start, floor, time, epochs=EPOCHS):
    """start at epoch 0, towards `floor` with this time constant in epochs."""
    return floor + (start - floor) * np.exp(-epochs / time)


def zigzag(size):
    return np.where(EPOCHS % 2, size, -size)


def history(train, valid=None, auroc=0.85):
    metrics = {} if valid is None else {"loss": valid, "auroc": np.full(len(train), auroc)}
    return History(np.asarray(train, float), np.full(len(train), 1e-3), metrics, 0)


SETTLED = falling(0.7, 0.2, 3)
LATE_RISE = np.maximum(0, EPOCHS - 10) / 19
CURVES = {
    "good": (SETTLED, SETTLED + 0.03, 0.9, "good fit"),
    "learnt in the first epoch": (falling(0.1, 0.095, 3), falling(0.11, 0.1, 3), 0.9, "good fit"),
    "one outlier": (SETTLED, SETTLED + np.where(EPOCHS == 17, 3, 0.03), 0.9, "good fit"),
    "harder in training": (falling(0.9, 0.5, 3), falling(0.6, 0.3, 3), 0.9, "good fit"),
    "rising validation": (falling(0.7, 0.1, 8), 0.5 + 0.2 * LATE_RISE, 0.9, "overfitting"),
    "validation stays behind": (falling(0.7, 0.02, 5), falling(0.7, 0.5, 3), 0.9, "overfitting"),
    "learnt by heart": (falling(0.7, 0.02, 5), falling(0.7, 0.65, 3), 0.55, "overfitting"),
    "slow": (falling(0.7, 0, 25), falling(0.7, 0.05, 25), 0.9, "still improving"),
    "slow and behind": (falling(0.7, 0, 8), falling(0.7, 0.2, 20), 0.9, "still improving"),
    "flat": (falling(0.7, 0.68, 3), falling(0.7, 0.69, 3), 0.7, "underfitting"),
    "only the prior": (falling(0.7, 0.09, 2), falling(0.5, 0.09, 2), 0.55, "underfitting"),
    "zigzag": (SETTLED, 0.4 + zigzag(0.2), 0.9, "unstable"),
    "zigzag in training": (0.4 + zigzag(0.2), SETTLED + 0.03, 0.9, "unstable"),
    "lost again": (0.2 + 0.4 * LATE_RISE + SETTLED, 0.2 + 0.5 * LATE_RISE + SETTLED, 0.9, None),
    "explosion": (0.7 * 1.1**EPOCHS, 0.7 * 1.1**EPOCHS, 0.5, "diverged"),
}


@pytest.mark.parametrize("case", CURVES)
def test_verdicts_of_curves(case):
    train, valid, auroc, expected = CURVES[case]
    assert diagnose_fit(history(train, valid, auroc)).name == (expected or "unstable")


@pytest.mark.parametrize("case", CURVES)
@hypothesis.given(factor=st.floats(1e-6, 1e6))
@hypothesis.settings(max_examples=20)
def test_the_unit_of_the_loss_does_not_matter(case, factor):
    train, valid, auroc, _ = CURVES[case]
    scaled = diagnose_fit(history(factor * train, factor * valid, auroc))
    assert scaled.name == diagnose_fit(history(train, valid, auroc)).name


@pytest.mark.parametrize("share", [0.01, 0.05, 0.09, 0.11, 0.2, 0.5, 2.0])
def test_a_higher_end_of_validation_loss_is_overfitting_from_ten_percent_on(share):
    train = falling(0.7, 0.4, 5)
    # seven equal last epochs: the running median ends at this height exactly
    valid = 0.5 * (1 + share * np.minimum(1, np.maximum(0, EPOCHS - 10) / 13))
    verdict = diagnose_fit(history(train, valid))
    assert verdict.figures["valid_rise"] == pytest.approx(share)
    assert (verdict.name == "overfitting") == (share >= fit.RISE)


def test_rising_together_is_not_called_overfitting():
    both = SETTLED + 0.1 * LATE_RISE
    assert diagnose_fit(history(both, both + 0.01)).figures["valid_rise"] > fit.RISE
    assert diagnose_fit(history(both, both + 0.01)).name != "overfitting"


@pytest.mark.parametrize(("share", "name"), [(0.48, "good fit"), (0.52, "overfitting")])
def test_the_gap_counts_against_what_training_gained(share, name):
    train = np.r_[1.0, np.full(29, 0.4)]
    valid = np.full(30, 0.4 + share * 0.6)
    assert diagnose_fit(history(train, valid)).name == name


@pytest.mark.parametrize(("fall", "name"), [(0.04, "good fit"), (0.06, "still improving")])
def test_recent_is_the_last_third(fall, name):
    valid = 0.5 * np.r_[np.ones(22), 1 - fall / 2, np.full(7, 1 - fall)]
    assert diagnose_fit(history(falling(0.7, 0.3, 3), valid)).name == name


def test_reasons_quote_the_figures():
    train = np.r_[1.0, np.linspace(0.9, 0.5, 9), np.full(3, 0.4)]
    valid = np.r_[0.9, np.linspace(0.7, 0.5, 4), np.linspace(0.51, 0.64, 5), np.full(3, 0.65)]
    verdict = diagnose_fit(history(train, valid, 0.812))
    assert verdict.name == "overfitting"
    assert verdict.reasons[0] == (
        "validation loss rose 27 % from its best (epoch 5) to the end while training loss fell 47 %"
    )
    assert verdict.reasons[-3:] == [
        "training loss went from 1 to 0.4 in 13 epochs",
        "validation loss is best at 0.51 (epoch 5) and ends at 0.65",
        "the best validation AUROC is 0.812",
    ]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["training", "validation"])
def test_a_loss_that_is_no_number_is_divergence_however_few_epochs(name, value):
    curves = {"training": np.array([0.7, 0.6, 0.5]), "validation": np.array([0.7, 0.6, 0.5])}
    curves[name][1] = value
    verdict = diagnose_fit(history(curves["training"], curves["validation"]))
    assert verdict.name == "diverged"
    assert verdict.reasons == [f"{name} loss became NaN or infinite in epoch 2 of 3"]


@pytest.mark.parametrize("n", range(1, 8))
def test_a_verdict_takes_five_epochs(n):
    name = diagnose_fit(history(falling(0.7, 0.2, 0.2)[:n], falling(0.7, 0.25, 0.2)[:n])).name
    assert name == ("too few epochs" if n < 5 else "good fit")


@pytest.mark.parametrize("valid", [None, np.full(30, np.nan)])
@pytest.mark.parametrize(
    ("train", "name"),
    [
        (SETTLED, "no validation"),
        (falling(0.7, 0.69, 3), "underfitting"),
        (0.4 + zigzag(0.2), "unstable"),
        (0.7 * 1.1**EPOCHS, "diverged"),
    ],
)
def test_without_validation_loss_training_loss_is_diagnosed(valid, train, name):
    verdict = diagnose_fit(history(train, valid, auroc=np.nan))
    assert verdict.name == name
    assert "no validation loss was recorded, so overfitting cannot be assessed" in verdict.reasons
    assert np.isnan(verdict.figures["valid_best_epoch"])


@pytest.mark.parametrize("value", [0.0, 1e-320, 1e308])
def test_losses_at_the_ends_of_the_numbers_have_a_verdict(value):
    verdict = diagnose_fit(history(np.full(30, value), np.full(30, value)))
    assert verdict.name in ("good fit", "underfitting")


@pytest.mark.parametrize("width", [3, 5, 7])
def test_the_running_median_leaves_steady_curves_and_takes_out_outliers(width):
    inner = slice(width // 2, -(width // 2))
    np.testing.assert_array_equal(running_median(SETTLED, width), SETTLED[inner])
    np.testing.assert_array_equal(running_median(SETTLED[::-1], width), SETTLED[::-1][inner])
    spike = np.where(EPOCHS == 9, 5.0, 1.0)
    np.testing.assert_array_equal(running_median(spike, width), np.ones(31 - width))


@pytest.mark.parametrize("case", ["good", "rising validation", "validation stays behind", "slow"])
def test_noise_of_the_validation_loss_seldom_changes_the_verdict(case):
    train, valid, auroc, expected = CURVES[case]
    rng = np.random.default_rng(0)
    factors = np.exp(rng.normal(0, 0.05, (200, len(valid))))
    names = [diagnose_fit(history(train, valid * factor, auroc)).name for factor in factors]
    assert np.mean([name == expected for name in names]) > 0.85


def test_strong_noise_of_a_settled_validation_loss_is_not_called_overfitting():
    factors = np.exp(np.random.default_rng(0).normal(0, 0.1, (200, 30)))
    names = [diagnose_fit(history(SETTLED, (SETTLED + 0.03) * factor)).name for factor in factors]
    assert names.count("overfitting") < 20  # 30 if changes below the usual step counted


@pytest.mark.parametrize("n", range(5, 12))
def test_few_epochs_of_steady_gain_are_still_improving(n):
    steady = np.linspace(0.7, 0.4, n)
    assert diagnose_fit(history(steady, steady + 0.05)).name == "still improving"
    assert diagnose_fit(history(steady, steady[::-1])).name == "overfitting"


def test_the_rules_are_explained_with_their_constants():
    page = (Path(__file__).parents[2] / "docs" / "RUNS.md").read_text("utf-8")
    for name in {name for name, *_ in fit.RULES} | {"too few epochs", "no validation", "good fit"}:
        assert f"    {name} " in check_fit.__doc__
        assert f"| {name} |" in page
    shares = (fit.EXPLODED, fit.JUMP, fit.RISE, fit.RECENT_FALL, fit.LITTLE_FALL)
    said = [f"{100 * share:.0f} %" for share in shares]
    said += [f"fewer than {fit.MIN_EPOCHS}", f"at least {fit.MIN_JUMPS}"]
    said += [str(fit.CHANCE_AUROC), str(fit.GOOD_AUROC)]
    for text in said:
        assert text in check_fit.__doc__ and text in page
