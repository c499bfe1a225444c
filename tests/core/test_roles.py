"""What a setting's role means: by what programs do with it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from src.artifact.network import load_contract
from src.cluster.options import Cluster
from src.cluster.training import as_job
from src.core.config import ROLES, Config, settings_with
from src.core.errors import UserError
from src.core.flags import DEFAULTS
from src.core.options import Role
from src.engine.evaluate import trained_settings
from src.engine.resume import find_run
from src.scripts import find_duplicates, melanoma_eval, run_with_submitit
from src.sweeps.search_space import read_space

SAMPLES = {"amp_dtype": "float16", "cutmix_minmax": (0.2, 0.8), "num_classes": 3}
SAMPLES |= {"kfold": 4, "fold": 1, "cache": "disk"}


def other(name, value):
    """A value that a setting may have, and does not."""
    if name in SAMPLES:
        return SAMPLES[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float) or value is None:
        return value / 2 if value else 0.25
    return f"{value}x"


def test_every_setting_has_a_role_or_none():
    assert set(ROLES) == set(DEFAULTS)
    assert all(settings_with(role) for role in Role if role is not Role.NONE)


def test_result_neutral_settings_and_no_others_may_change_when_a_run_is_resumed(
    tiny_settings, tiny_run
):
    flat = json.loads((tiny_run / "config.json").read_text())
    neutral = settings_with(Role.RESULT_NEUTRAL)
    needed = {"fold": {"kfold": 4}, "feature_views": {"freeze_model": True}}
    for name, value in flat.items():
        changed = {name: other(name, value)} | needed.get(name, {})
        if name == "epochs":  # they may grow
            assert find_run(Config().with_settings(**{**flat, **changed, "resume": str(tiny_run)}))
            changed = {name: value - 1}
        cfg = Config().with_settings(**{**flat, **changed, "resume": str(tiny_run)})
        if name in neutral:
            assert find_run(cfg) == tiny_run, name
        else:
            with pytest.raises(UserError, match=name):
                find_run(cfg)


def test_settings_of_a_run_are_not_taken_over_by_an_evaluation(tiny_run):
    found = trained_settings(load_contract(tiny_run / "best_checkpoint.pth"))
    assert set(found) == set(DEFAULTS) - settings_with(Role.RUN)


def test_paths_of_inputs_follow_the_data_folder(tiny_run):
    contract = load_contract(tiny_run / "best_checkpoint.pth")
    flat = {name: "/d/x" if name in settings_with(Role.PATH) else v for name, v in DEFAULTS.items()}
    flat["data_path"] = "/d"
    found = trained_settings(replace(contract, provenance={"config": flat}))
    assert found["skin_color_csv"] == found["weights"] == "{data_path}/x"
    assert found["output_dir"] == "/d/x"


def test_paths_of_a_job_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").touch()
    for left_out in ("weights", "finetune"):  # of which one may be given
        names = settings_with(Role.PATH) - {left_out}
        given = dict.fromkeys(names, "x") | {"objective": "distillation"}
        flat = as_job(Config().with_settings(**given), Cluster()).flat()
        for name in names:
            assert Path(flat[name]).is_absolute() and flat[name].endswith("/x"), name


def test_shared_settings_and_no_others_cannot_be_searched(tmp_path):
    for name in DEFAULTS:
        path = tmp_path / "space.yaml"
        path.write_text(f"{name}: {{choices: [1]}}")
        try:
            read_space(path)
            refused = False
        except UserError as error:
            refused = "cannot be searched" in str(error)
        assert refused == (name in settings_with(Role.SHARED)), name


def accepts(parse, name, argv=()):
    """Whether a program takes a setting on its command line."""
    value = other(name, DEFAULTS[name])
    words = map(str, value) if isinstance(value, tuple) else [str(value)]
    try:
        given, *_ = parse([*argv, f"--{name}", *words])
    except UserError as error:
        assert str(error).startswith(f"--{name}: has no effect on "), name
        return False
    return name in given


def test_an_evaluation_takes_settings_of_evaluation_and_of_the_model():
    source = ["--predictions_csv", "p.csv"]
    wanted = settings_with(Role.EVALUATION) | settings_with(Role.MODEL)
    wanted |= {"objective"}  # the model's own, which may be said again
    for name in set(DEFAULTS) - {"checkpoint"}:  # that one is a source
        assert accepts(melanoma_eval.parse, name, source) == (name in wanted), name


def test_a_search_for_duplicates_takes_settings_of_data():
    wanted = settings_with(Role.DATA) | {"output_dir", "num_workers"}
    for name in DEFAULTS:
        assert accepts(find_duplicates.parse, name) == (name in wanted), name


def test_jobs_take_all_settings_but_those_of_a_test():
    for name in DEFAULTS:
        wanted = name not in settings_with(Role.TEST)
        assert accepts(run_with_submitit.parse, name) == wanted, name
