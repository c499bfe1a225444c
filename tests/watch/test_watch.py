"""Tests that may be looked at every day: their false alarms, their power, and the watch itself."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.stats import binom, ks_2samp

from src.core.errors import UserError
from src.scripts import watch
from src.skin.tone import GROUP_NAMES
from src.watch.compare import Outcomes, _group, _name, count_outcomes
from src.watch.reference import Reference, Sensitivity
from src.watch.sequential import SensitivityBets, ks_p_value, level_of_day, mix_p_value
from src.watch.state import read_state, write_state
from tests.passport.drawn import draw, write_darkness


def streams(rng, sensitivity, n_streams, n):
    """The capital after each of n positive images of each stream, against 0.85."""
    found = rng.random((n_streams, n)) < sensitivity
    return SensitivityBets(0.85).capital(found.cumsum(1), (~found).cumsum(1))


@pytest.mark.slow
def test_false_alarms_of_sensitivity_stay_below_the_level_at_any_time():
    capital = streams(np.random.default_rng(0), 0.85, 1000, 300)
    assert (capital.max(axis=1) >= 1 / 0.05).mean() <= 0.05
    assert (streams(np.random.default_rng(1), 0.9, 300, 200).max(axis=1) >= 20).mean() <= 0.05
    # never more than one on average, whatever the time
    assert capital[:, 9].mean() <= 1.2


def test_a_fall_of_20_points_is_found_within_150_melanomas_in_one_of_five_groups():
    capital = streams(np.random.default_rng(2), 0.65, 1000, 150)
    assert (capital.max(axis=1) >= 5 / 0.05).mean() >= 0.8


def test_capital_is_a_mixture_of_likelihood_ratios():
    bets = SensitivityBets(0.8)
    assert bets.capital(0, 0) == 1
    lower = 0.8 * (np.arange(50) + 0.5) / 50
    by_hand = ((lower / 0.8) ** 3 * ((1 - lower) / 0.2) ** 2).mean()
    assert bets.capital(3, 2) == pytest.approx(by_hand)
    # no bet wins by a hit or a miss where the sensitivity is as expected
    assert 0.8 * bets.capital(1, 0) + 0.2 * bets.capital(0, 1) == pytest.approx(1)


def test_days_spend_the_level_and_no_more():
    spent = sum(level_of_day(day) for day in range(1, 20_000))
    assert 0.0499 < spent < 0.05


def test_distributions_are_compared_as_scipy_does_but_for_what_was_not_kept():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=2000)
    quantiles = np.quantile(reference, np.linspace(0, 1, 201))
    for shift in (0.3, 0.5):
        day = rng.normal(shift, 1, 200)
        ours, theirs = ks_p_value(day, quantiles, 2000), ks_2samp(day, reference).pvalue
        assert theirs / 2 <= ours < theirs * 30
    null = [
        ks_p_value(
            rng.normal(size=100), np.quantile(rng.normal(size=500), np.linspace(0, 1, 201)), 500
        )
        for _ in range(300)
    ]
    assert np.mean(np.array(null) < 0.05) <= 0.05
    assert mix_p_value([50, 50, 0], [500, 500, 0]) == pytest.approx(1)
    assert mix_p_value([90, 10, 0], [500, 500, 0]) < 1e-6
    assert mix_p_value([30, 0, 0], [500, 0, 0]) == 1
    # a rare group in a small day: the level holds even where it is near 1e-5
    values = np.array([mix_p_value([20 - n, n], [940, 60]) for n in range(21)])
    for level in (1e-2, 3.4e-5):
        assert binom.pmf(np.arange(21), 20, 0.06)[values <= level].sum() <= level


def test_damaged_cells_and_states_are_refused(tmp_path):
    assert _group("9" * 5000) == "9" * 100 and _group("0") == GROUP_NAMES[0]
    reference = Reference(100, (), (0,) * (len(GROUP_NAMES) + 1), ())
    path = tmp_path / "state.json"
    assert _name("tue/a.jpg") != _name("mon/a.jpg") and _name("a.jpg") == "a"
    assert read_state(path, reference).salt != read_state(path, reference).salt
    held = replace(reference, sensitivities=(Sensitivity("all", 90, 100), Sensitivity("x", 0, 5)))
    none = Outcomes(["FALLEN"], ["FALLEN"], np.ones(1, bool))
    state, lines, is_alarm = count_outcomes(held, read_state(path, held), none, None)
    assert len(lines) == 2 and not is_alarm
    with pytest.raises(UserError, match="began with"):
        count_outcomes(held, state, none, 0.97)
    write_state(path, replace(read_state(path, reference), n_days=-1))
    with pytest.raises(UserError, match="damaged"):
        read_state(path, reference)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An ONNX file with a contract: the darker the picture, the more likely malignant."""
    path = tmp_path_factory.mktemp("watch") / "model.onnx"
    return write_darkness(path)


def write_images(folder, rng, n, gains=(1, 1, 1)):
    folder.mkdir()
    for place in range(n):
        image = np.clip(draw(rng, place % 2, (72, 96))[0] * np.array(gains), 0, 255)
        cv2.imwrite(str(folder / f"{place:03}.png"), image[..., ::-1].astype(np.uint8))


@pytest.mark.slow
def test_a_watch_finds_a_change_of_colour_and_a_fall_and_keeps_no_image(model, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name, n, gains in (
        ("ref", 100, (1, 1, 1)),
        ("same", 30, (1, 1, 1)),
        ("warm", 30, (1, 1, 0.8)),
    ):
        write_images(tmp_path / name, rng, n, gains)
    lines = [f"r{n},{int(n % 10 > 0)},1,{n % 2}" for n in range(200)]
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text("\n".join(["image_name,target,label,group", *lines]))
    watched, state = tmp_path / "watched.onnx", tmp_path / "state.json"
    begin = ["--onnx_model_path", str(model), "--reference", str(tmp_path / "ref")]
    assert watch.main([*begin, "--outcomes", str(outcomes), "--write_model", str(watched)]) == 0
    day = ["--onnx_model_path", str(watched), "--state", str(state), "--input_folder"]
    assert watch.main([*day, str(tmp_path / "same")]) == 0
    assert "no change found" in capsys.readouterr().out
    assert watch.main([*day, str(tmp_path / "warm")]) == 1
    assert "yellow to blue" in capsys.readouterr().out
    # half of the melanomas of one group are missed
    lines = [f"w{n},{int(n % 4 != 1)},malignant,{n % 2}" for n in range(200)]
    outcomes.write_text("\n".join(["image_name,target,label,group", *lines]))
    follow = [*day[:-1], "--outcomes", str(outcomes)]
    assert watch.main(follow) == 1
    told = capsys.readouterr().out
    assert "200 new positive" in told and "Light: 50 of 100 found: FALLEN" in told
    assert "Very light: 100 of 100 found: no fall found" in told
    assert watch.main(follow) == 1  # an alarm stays, and nothing is counted twice
    assert "0 new positive" in capsys.readouterr().out
    content = json.loads(state.read_text())
    assert (content["n_days"], len(content["seen"])) == (2, 200)
    assert "w1" not in state.read_text() and state.stat().st_size < 1_000_000
    outcomes.write_text("image_name,target,label\na,1,malignat\n")
    with pytest.raises(UserError, match="malignat"):
        watch.main(follow)
    state.write_text("{}")
    with pytest.raises(UserError, match="--state"):
        watch.main(follow)
    with pytest.raises(UserError, match="holds no reference"):
        watch.main(["--onnx_model_path", str(model), *follow[2:]])
    with pytest.raises(UserError, match="--write_model"):
        watch.main(begin)
