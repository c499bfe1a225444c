"""Going on with a run: its own settings, more epochs, and what is refused."""

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from src.artifact.network import load_checkpoint
from src.core.config import Config
from src.core.errors import UserError
from src.datasets.load import load_table
from src.engine.checkpoint import load_state
from src.engine.checks import check_settings
from src.engine.distributed import SINGLE_PROCESS
from src.engine.parts import fetch_weights, make_classifier, make_parts
from src.engine.resume import settings_to_resume, training_config
from src.engine.schedules import SCHEDULERS
from src.scripts.melanoma_train import main
from tests.documented import commands


def read(path):
    return json.loads(path.read_text())


@pytest.fixture
def folder(tiny_run, tmp_path):
    """A copy of a finished run of three epochs."""
    return shutil.copytree(tiny_run, tmp_path / "copy")


def test_a_run_goes_on_with_its_own_settings_for_more_epochs(folder, capsys):
    before, settings = read(folder / "training_history.json"), read(folder / "config.json")
    main(["--resume", str(folder), "--epochs", "4", "--eval_batch_size", "64"])
    said = capsys.readouterr().out
    assert "epochs grow from 3 to 4" in said and "continuing after 3 of 4 epochs" in said
    after = read(folder / "training_history.json")
    assert after[:3] == before and len(after) == 4
    changed = {k: v for k, v in read(folder / "config.json").items() if settings[k] != v}
    assert changed == {"epochs": 4, "resume": str(folder)}
    schedule = SCHEDULERS.build(settings["scheduler"], lr=settings["lr"], epochs=4)
    n_steps = 1 + len(training_rows(folder)) // settings["batch_size"]
    assert after[3]["lr"] == pytest.approx(schedule(n_steps)(4 * n_steps - 1, []))
    for flags, words in (
        (["--epochs", "3"], "has 4 epochs, --epochs 3 is less"),
        (["--lr", "0.5", "--seed", "9"], r"other settings \(lr, seed\)"),
    ):
        with pytest.raises(UserError, match=words):
            main(["--resume", str(folder), *flags])
    edited = read(folder / "config.json") | {"lr": 0.5}
    (folder / "config.json").write_text(json.dumps(edited))
    with pytest.raises(UserError, match=r"checkpoint_.*\.pth was started with other settings \(lr"):
        main(["--resume", str(folder)])


def training_rows(folder):
    return (folder / "train_split.csv").read_text().splitlines()[1:]


def test_damaged_settings_of_a_run_are_named(folder):
    path = folder / "config.json"
    good = read(path)

    def with_values(name, *values):
        return [json.dumps(good | {name: value}).encode() for value in values]

    no_settings = [b"", b"\xff\xfe", b"[1, 2]", b"{", b"{}", b"[" * 9999]
    damaged = {
        "config.json: missing or unreadable": no_settings,
        "lr is": with_values("lr", [1], {"a": 1}, "x", None),
        "--lr -1.0: expected more than 0": with_values("lr", -1),
        "epochs is": with_values("epochs", 1.5, True, []),
        "no objective is called": with_values("objective", "x"),
    }
    for words, contents in damaged.items():
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(UserError) as refused:
                main(["--resume", str(folder)])
            assert words in str(refused.value), content[:99]
    path.unlink()
    with pytest.raises(UserError, match=r"config\.json: missing"):
        main(["--resume", str(folder)])


def test_settings_of_all_folds_are_those_of_the_first_without_its_place(folder, tmp_path):
    place = {"kfold": 3, "fold": 0, "output_dir": "old", "run_name": "fold_0", "log_dir": "logs/cv"}
    (folder / "config.json").write_text(json.dumps(read(folder / "config.json") | place))
    parent = tmp_path / "cv"
    folder.parent.joinpath("cv").mkdir()
    shutil.move(folder, parent / "fold_0")
    found = settings_to_resume(str(parent))
    assert (found["kfold"], found["fold"], found["log_dir"]) == (3, -1, "logs")
    assert (found["output_dir"], found["run_name"]) == (str(tmp_path), "cv")
    assert settings_to_resume(str(parent / "fold_0"))["fold"] == 0


@pytest.fixture(scope="module")
def parts(tiny_run):
    cfg = Config().with_settings(**read(tiny_run / "config.json"))
    return make_parts(cfg, check_settings(cfg), load_table(cfg.data), torch.device("cpu"))


def test_an_edited_state_is_refused_in_a_line(tiny_run, parts):
    good = load_checkpoint(tiny_run / "checkpoint_latest.pth")
    assert len(load_state(copy.deepcopy(good), "x", parts).history) == 3

    def edited(path, value):
        content = copy.deepcopy(good)
        *parents, last = path
        place = content
        for key in parents:
            place = place[key]
        place[last] = value
        return content

    state = good["optimizer_state_dict"]["state"]
    first = next(iter(state))
    edits = [
        *((("position",), value) for value in (None, [], "x", {}, {"epoch": 3})),
        *((("position", "epoch"), value) for value in ("3", 2, -1, 3.0, None)),
        *((("position", "loss_sum"), value) for value in ("x", None)),
        *((("history",), value) for value in (None, {}, [1, 2, 3], [[]] * 3, ["a"] * 3)),
        *((("history", 1, "valid"), value) for value in ([1], {"f1": 1}, {"auroc": "x"}, 5)),
        *((("best_epoch",), value) for value in ("x", 3, -2, None, [])),
        *((("optimizer_state_dict",), value) for value in (None, [], {}, {"state": {}})),
        (("optimizer_state_dict", "state", first, "exp_avg"), torch.zeros(1, 2, 3)),
        (("optimizer_state_dict", "param_groups"), [{"params": []}]),
        *((("objective_state_dict",), value) for value in (None, [], {"x": torch.ones(1)})),
        *((("model_state_dict",), value) for value in (None, [], {}, {"head.weight": 3})),
        *((("contract",), value) for value in (None, [], "x", {})),
        (("contract", "provenance", "config"), [1]),
        (("contract", "provenance", "config", "lr"), 0.5),
    ]
    for path, value in edits:
        with pytest.raises(UserError) as refused:
            load_state(edited(path, value), "x.pth", parts)
        text = str(refused.value)
        assert text.startswith("x.pth") and "\n" not in text, (path, value)


def test_finetuning_keeps_the_head_where_the_classes_match(tiny_run, parts, tmp_path, capsys):
    checkpoint = str(tiny_run / "best_checkpoint.pth")
    given = {"finetune": checkpoint, "data_path": str(tmp_path), "seed": "5"}
    cfg = training_config(given)
    assert (cfg.model.model, cfg.data.input_size, cfg.run.seed) == ("test_resnet", 32, 5)
    before = load_checkpoint(checkpoint)["model_state_dict"]
    log = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.engine.parts.log.info", log.append)
        same = make_classifier(cfg, parts.contract, SINGLE_PROCESS).state_dict()
        others = replace(parts.contract, classes=("nevus", "other"))
        new = make_classifier(cfg, others, SINGLE_PROCESS).state_dict()
    assert all(torch.equal(same[name], before[name]) for name in before)
    kept = {name for name in before if torch.equal(new[name], before[name])}
    assert kept == {name for name in before if not name.startswith("head.")}
    assert log[0].endswith("the head is kept")
    assert "the head is new (its classes are benign, malignant)" in log[1]
    with pytest.raises(UserError, match=r"--model resnet18: --finetune .* is a test_resnet"):
        fetch_weights(training_config(given | {"model": "resnet18"}), (32, 32))
    for flags, words in (
        ({"finetune": str(tmp_path / "none.pth")}, "--finetune .*none.pth: expected a file"),
        ({"finetune": checkpoint, "weights": checkpoint}, "--weights and --finetune"),
    ):
        with pytest.raises(UserError, match=words):
            training_config(flags | {"data_path": str(tmp_path)})


def documented():
    """The commands of docs/RUNS.md that train, as lists of flags."""
    found = commands("docs/RUNS.md")
    return [command.argv for command in found if command.program == "melanoma_train"]


def test_the_documented_commands_go_on_and_finetune(
    demo, tiny_settings, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "demo_data").symlink_to(demo)
    small = {**tiny_settings, "data_path": "demo_data/isic2020", "input_size": 64}
    lines = [f"{key}: {value}" for key, value in (small | {"output_dir": "demo_output"}).items()]
    Path("configs/demo.yaml").write_text("\n".join(lines))
    fewer = {"20": "1", "30": "2", "5": "1"}  # epochs
    found = []
    for flags in documented():
        main([fewer.get(word, word) for word in flags] + ["--num_workers", "0"])
        found.append(capsys.readouterr().out)
    first, again, more, second = found
    assert "epoch 1/1" in first
    assert "continuing after 1 of 1" in again and "epoch 1/1" not in again
    assert "epochs grow from 1 to 2" in more and "epoch 2/2" in more
    assert "the head is kept" in second and "epoch 1/1" in second
    settings = read(Path("demo_output/second/config.json"))
    assert (settings["model"], settings["input_size"], settings["lr"]) == ("test_resnet", 64, 1e-5)
