"""Acne over time: the simulator, the mixed model against closed forms, the command."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.longitudinal.mixed_model import fit_mixed_model
from src.longitudinal.severity import EFFECTS, read_severities, simulate
from src.scripts import acne_longitudinal
from tests.documented import commands, read

WHOLE = "patient,day,treatment,severity\n" + "".join(
    f"p{patient},{day},{('Baseline', 'Cream')[day > 2]},{(patient + day * day) % 3}\n"
    for patient in range(3)
    for day in range(1, 6)
)


def test_a_simulated_study_is_as_documented():
    rows = simulate(1)
    assert rows.groupby(["patient", "treatment"]).size().eq(14).all()
    assert len(rows) == 420 and rows["patient"].nunique() == 10
    assert rows["severity"].between(0, 3).all()
    assert np.allclose(rows["severity"] * 10, np.rint(rows["severity"] * 10))


def test_effects_of_a_balanced_study_are_the_differences_of_means_with_their_anova_errors():
    rows = simulate(2)
    model = fit_mixed_model(rows, "Baseline")
    means = rows.groupby("treatment")["severity"].mean()
    # two-way analysis of variance: residuals after patients' and treatments' means
    by_patient = rows.groupby("patient")["severity"].transform("mean")
    by_treatment = rows.groupby("treatment")["severity"].transform("mean")
    residual = rows["severity"] - by_patient - by_treatment + rows["severity"].mean()
    variance = (residual**2).sum() / (420 - 10 - 2)
    for effect in model.effects:
        assert effect.estimate == pytest.approx(means[effect.treatment] - means["Baseline"])
        reach = 1.959964 * np.sqrt(2 * variance / 140)
        assert effect.high - effect.estimate == pytest.approx(reach, rel=1e-4)
        assert (effect.n_days, effect.n_patients) == (140, 10)
        assert effect.p_value < 1e-6
    assert model.residual_sd == pytest.approx(np.sqrt(variance), rel=1e-4)
    assert model.converged and model.notes == ()


@pytest.mark.simulation
def test_the_model_recovers_the_simulators_effects(at_size):
    n_studies = at_size(20, 300)
    models = [fit_mixed_model(simulate(seed), "Baseline") for seed in range(n_studies)]
    for place, (name, truth) in enumerate(EFFECTS.items()):
        effects = [model.effects[place] for model in models]
        assert {effect.treatment for effect in effects} == {name}
        bias = np.mean([effect.estimate for effect in effects]) - truth
        assert abs(bias) < 0.05 * abs(truth)
        covered = np.mean([effect.low <= truth <= effect.high for effect in effects])
        assert 0.93 <= covered <= 0.97 or (n_studies < 300 and covered >= 0.8)
    assert all(model.converged for model in models)


def test_what_the_assumptions_do_not_hold_for_is_told():
    rows = simulate(3)
    drift = rows.groupby("patient").cumcount().mod(14).sub(6.5) / 10
    (note,) = fit_mixed_model(rows.assign(severity=rows["severity"] + drift), "Baseline").notes
    assert "day before" in note
    apart = rows.assign(patient=rows["patient"] + rows["treatment"])
    assert any("one treatment only" in n for n in fit_mixed_model(apart, "Baseline").notes)


def test_columns_and_treatments_are_read_in_any_case_and_what_is_wrong_is_named(tmp_path):
    path = tmp_path / "study.csv"
    path.write_text(WHOLE.replace("patient,day", "Patient,DAY").replace("1,Base", "1,base"))
    rows = read_severities(path, "Baseline")
    assert set(rows["treatment"]) == {"Baseline", "Cream"}
    for old, new, named in (
        ("p0,1,Baseline,1", "p0,1,Baseline,4", "severity '4'"),
        ("p0,1,Baseline,1", "p0,1,Baseline,", "severity"),
        ("p0,1,Baseline,1", "p0,1,Baseline,low", "'low'"),
        ("p0,1,Baseline,1", "p0,2,Baseline,1", "one row for each"),
        ("p0,1,Baseline,1", ",1,Baseline,1", "patient ''"),
        ("Baseline", "Placebo", "--baseline"),
        ("Cream", "Baseline", "two or more"),
        ("day", "week", "no column 'day'"),
    ):
        path.write_text(WHOLE.replace(old, new))
        with pytest.raises(UserError) as error:
            read_severities(path, "Baseline")
        assert named in str(error.value), new
    path.write_text("".join(WHOLE.splitlines(keepends=True)[:6]))
    with pytest.raises(UserError, match="1 patient"):
        read_severities(path, "Baseline")


def test_the_command_writes_the_table_and_both_figures(tmp_path, capsys):
    study, out = tmp_path / "new" / "study.csv", tmp_path / "out"
    argv = ["--csv", str(study), "--output_dir", str(out)]
    with pytest.raises(UserError, match="--simulate"):
        acne_longitudinal.main(argv)
    assert acne_longitudinal.main([*argv, "--simulate", "--seed", "4"]) == 0
    said = capsys.readouterr()
    assert "Antibiotics: -0." in said.out and "p < 0.001" in said.out
    table = pd.read_csv(out / "effects.csv")
    assert table["treatment"].tolist() == ["Antibiotics", "Cream"]
    assert ((table["low"] < table["estimate"]) & (table["estimate"] < table["high"])).all()
    for name in ("trajectories.png", "distributions.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="exists"):
        acne_longitudinal.main([*argv, "--simulate"])


def test_a_model_that_did_not_converge_is_reported_and_fails(tmp_path, capsys, monkeypatch):
    study = tmp_path / "study.csv"
    study.write_text(simulate(5).to_csv(index=False))
    mixed = sys.modules[fit_mixed_model.__module__].MixedLM
    real = mixed.fit
    monkeypatch.setattr(mixed, "fit", lambda self, **options: real(self, **options, maxiter=1))
    argv = ["--csv", str(study), "--output_dir", str(tmp_path)]
    assert acne_longitudinal.main(argv) == 1
    assert "did not converge" in capsys.readouterr().err
    assert not pd.read_csv(tmp_path / "effects.csv")["converged"].any()


def test_the_documented_command_runs(tmp_path, monkeypatch):
    (command,) = commands("docs/ACNE.md")
    monkeypatch.chdir(tmp_path)
    assert acne_longitudinal.main(command.argv) == 0
    assert {f"`{path.name}`" for path in Path("acne_output").iterdir()} == set(
        re.findall(r"^\| (`\S+`)", read("docs/ACNE.md"), re.MULTILINE)
    )
